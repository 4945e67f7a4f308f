"""BigBird exported and run through Spark NLP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml import Pipeline
from pyspark.sql import SparkSession

import sparkclin
from sparkclin.export.convert import ExportOptions, convert
from sparkclin.export.families import FAMILIES
from sparkclin.export.families.bigbird import BIGBIRD
from sparkclin.export.trained import TrainedModel
from sparkclin.models.bundle import Bundle
from sparkclin.models.repository import ModelRepository
from sparkclin.text.pieces import PieceEncoder
from testkit.checkpoints import TEXTS, random_bigbird
from testkit.material import bigbird_tokenizer_json

pytestmark = [pytest.mark.slow, pytest.mark.export]
NAME = "clinical_bigbird"
LENGTHS = BIGBIRD.lengths
TYPED = "He is [CLS] well <pad> and [SEP] seen <unk>"
NOTES = [*TEXTS, "He's well.\n\nBP 120/80 🩺\tand  so on", TYPED, " ".join(TEXTS) * 20]
"""The last one is read in blocks."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blocks of 64, three random ones and 4,096 positions, as Clinical-BigBird has: every length is compared."""
    folder = tmp_path_factory.mktemp("checkpoint")
    return random_bigbird(
        folder, initializer_range=0.1, block_size=64, num_random_blocks=3, max_position_embeddings=4096
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module", params=["tensorflow", "onnx", "openvino"])
def bundle(request: pytest.FixtureRequest, spark: SparkSession, checkpoint: Path, models: Path) -> Bundle:
    options = ExportOptions(checkpoint=str(checkpoint), name=NAME, models=models, engine=request.param)
    return convert(options, spark=spark)


def test_the_manifest_holds_the_whole_table(bundle: Bundle) -> None:
    manifest, parity = bundle.manifest, bundle.manifest.parity
    assert (manifest.family, manifest.max_pieces, manifest.cls_id, manifest.sep_id) == ("big_bird", 4094, 4, 5)
    assert parity["id_rows"] == parity["id_rows_identical"] > 10
    compared = {(figure["path"], figure["length"]) for figure in parity["vectors"]}
    assert {("graph, ordinary ids", n) for n in LENGTHS} <= compared
    if manifest.engine == "openvino":
        assert {("worker, segment parts", n) for n in LENGTHS if n > 3} <= compared
    else:
        assert {("graph, codes", n) for n in LENGTHS} <= compared
        assert {("Spark NLP, codes", n) for n in LENGTHS if n > 3} <= compared
        assert {("graph, packed batch", n) for n in LENGTHS if n > 3} <= compared
    assert max(figure["max_abs_difference"] for figure in parity["vectors"]) <= 1e-4
    assert min(figure["min_cosine"] for figure in parity["vectors"]) >= 0.999999


@pytest.mark.parametrize("level", ["document", "window", "sentence", "token"])
def test_notes_have_the_vectors_of_transformers(
    spark: SparkSession, checkpoint: Path, bundle: Bundle, level: str
) -> None:
    frame = spark.createDataFrame(list(enumerate(NOTES)), "note_id int, text string")
    rows = sparkclin.embed(frame, model=bundle, level=level).collect()
    states = states_of_notes(checkpoint)
    for row in rows:
        pieces, vectors = states[row.note_id]
        if level == "document":
            chosen = np.ones(len(pieces), bool)
        else:
            chosen = (pieces.begins >= row.begin) & (pieces.begins < row.end)
        np.testing.assert_allclose(row.vector, vectors[chosen].mean(axis=0), atol=1e-4, rtol=0)
    assert {row.note_id for row in rows} == set(range(len(NOTES)))


def states_of_notes(checkpoint: Path) -> list[tuple[Any, np.typing.NDArray[np.float64]]]:
    """The pieces of each note and their vectors; all notes are one window."""
    trained = TrainedModel.read(str(checkpoint))
    config, reference = trained.config, trained.reference()
    found = []
    for pieces in PieceEncoder(trained.tokenizer_json).encode(NOTES):
        row = np.array([[config.cls_id, *pieces.ids, config.sep_id]], np.int32)
        found.append((pieces, reference(row, np.ones_like(row))[0, 1:-1].astype(np.float64)))
    assert len(found[-1][0]) > 704
    assert {config.cls_id, config.sep_id, config.pad_id} <= set(found[NOTES.index(TYPED)][0].ids.tolist())
    return found


def test_stock_pretrained_finds_it(spark: SparkSession, bundle: Bundle, models: Path, checkpoint: Path) -> None:
    """By codes; in a batch with rows of another length."""
    if bundle.manifest.engine != "tensorflow":
        pytest.skip("stock LongformerEmbeddings reads TensorFlow models only")
    from sparknlp.annotator import LongformerEmbeddings

    sparkclin.use_models(spark, models)
    tokenizer = sparkclin.NoteTokenizer.pretrained(NAME)
    embeddings = LongformerEmbeddings.pretrained(NAME, "en").setInputCols(["document", "token"]).setOutputCol("found")
    frame = spark.createDataFrame(list(enumerate(NOTES)), "note_id int, text string").coalesce(1)
    rows = Pipeline(stages=[tokenizer, embeddings]).fit(frame).transform(frame).orderBy("note_id").collect()
    for row, (_, vectors) in zip(rows, states_of_notes(checkpoint), strict=True):
        found = np.array([annotation.embeddings for annotation in row.found])
        np.testing.assert_allclose(found, vectors, atol=1e-4, rtol=0)


def test_int8_is_measured(spark: SparkSession, checkpoint: Path, models: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("\n".join(text.replace("\n", " ") for text in NOTES), encoding="utf-8")
    options = ExportOptions(
        checkpoint=str(checkpoint), name=NAME, models=models, engine="onnx", precision="int8", notes=notes
    )
    parity = convert(options, spark=spark).manifest.parity
    assert parity["precision"]["pieces"]["worst_cosine"] >= 0.995


def test_the_real_vocabulary_arrives(spark: SparkSession, tmp_path: Path) -> None:
    """50,358 pieces of SentencePiece: the ids of hard texts, by codes, are those of transformers' tokenizer."""
    folder = random_bigbird(tmp_path / "checkpoint", tokenizer_json=bigbird_tokenizer_json(), sep_token_id=66)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, BIGBIRD.model_type, replace(BIGBIRD, lengths=(64,)))
        bundle = convert(ExportOptions(checkpoint=str(folder), name=NAME, models=tmp_path, engine="onnx"), spark=spark)
    manifest = bundle.manifest
    assert (manifest.vocab_size, manifest.cls_id, manifest.sep_id, manifest.pad_id) == (50_358, 65, 66, 0)
    assert manifest.parity["id_rows"] == manifest.parity["id_rows_identical"] > 10
    assert ModelRepository(tmp_path).find(NAME).manifest == manifest
