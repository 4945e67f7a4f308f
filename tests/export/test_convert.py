"""The export as a whole, through Spark NLP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from export import convert
from export.convert import ExportOptions, VerifyOptions
from export.engines import EXPORTERS
from export.errors import CheckpointError, ParityError
from export.families import FAMILIES
from export.families.longformer import LONGFORMER
from export.graph.encoder import EncoderConfig, EncoderWeights
from export.graph.ops import Array
from sparkclin.errors import OptionError
from sparkclin.models.bundle import Bundle
from sparkclin.models.repository import ModelRepository
from testkit.checkpoints import TEXTS, random_checkpoint
from testkit.material import roberta_tokenizer_json

pytestmark = pytest.mark.slow
NAME = "clinical_longformer"
LENGTHS = LONGFORMER.lengths
REAL_LENGTHS = (257, 513)
"""One in which a window holds the row, and one that needs a band; the longest row, 1,028, goes in blocks."""


@pytest.fixture(scope="module")
def short_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It reads short rows, so that a comparison takes seconds."""
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint"), initializer_range=0.1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Positions for 4,096 ids and a window of 512, so that every length is compared."""
    folder = tmp_path_factory.mktemp("checkpoint")
    return random_checkpoint(folder, positions=4098, attention_window=512, initializer_range=0.1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bundle(spark: SparkSession, checkpoint: Path, models: Path) -> Bundle:
    return convert.convert(ExportOptions(checkpoint=str(checkpoint), name=NAME, models=models), spark=spark)


@pytest.fixture(scope="module")
def onnx_bundle(spark: SparkSession, checkpoint: Path, models: Path) -> Bundle:
    options = ExportOptions(checkpoint=str(checkpoint), name=NAME, models=models, engine="onnx")
    return convert.convert(options, spark=spark)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight notes of some hundred pieces, which have specialties, and one that has none."""
    texts = [" ".join(TEXTS[(turn + index) % len(TEXTS)] for turn in range(4 + index)) for index in range(9)]
    records = [{"note_id": str(index), "text": text} for index, text in enumerate(texts)]
    for index, record in enumerate(records[:8]):
        record["specialties"] = [f"specialty {index % 2}"]  # type: ignore[assignment]
    file = tmp_path_factory.mktemp("notes") / "notes.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def int8_bundle(spark: SparkSession, checkpoint: Path, models: Path, notes: Path) -> Bundle:
    options = int8_options(checkpoint, models, notes)
    return convert.convert(options, spark=spark)


@pytest.fixture(scope="module", params=EXPORTERS)
def real_bundle(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """A random layer of Clinical-Longformer's width, with the real tokenizer: 50,265 ids. A row for each path
    through its attention; all lengths are compared with a small model."""
    folder = random_checkpoint(
        tmp_path_factory.mktemp("checkpoint"),
        tokenizer_json=roberta_tokenizer_json(),
        vocab_size=50_265,
        positions=1030,
        num_hidden_layers=1,
        hidden_size=768,
        num_attention_heads=12,
        intermediate_size=3072,
        attention_window=512,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=0.02,
    )
    models = tmp_path_factory.mktemp("models")
    options = ExportOptions(checkpoint=str(folder), name=NAME, models=models, engine=request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, LONGFORMER.model_type, replace(LONGFORMER, lengths=REAL_LENGTHS))
        return convert.convert(options, spark=spark)


def int8_options(checkpoint: Path, models: Path, notes: Path) -> ExportOptions:
    return ExportOptions(
        checkpoint=str(checkpoint), name=NAME, models=models, engine="onnx", precision="int8", notes=notes
    )


def test_clinical_longformers_width_and_vocabulary(real_bundle: Bundle) -> None:
    parity = real_bundle.manifest.parity
    assert parity["id_rows"] == parity["id_rows_identical"] > 10
    assert max(figure["max_abs_difference"] for figure in parity["vectors"]) <= 1e-4
    assert {figure["length"] for figure in parity["vectors"]} == {*REAL_LENGTHS, 1028}


@pytest.mark.parametrize("fixture", ["bundle", "onnx_bundle"])
def test_the_manifest_holds_the_whole_table(request: pytest.FixtureRequest, fixture: str) -> None:
    bundle: Bundle = request.getfixturevalue(fixture)
    parity = bundle.manifest.parity
    assert parity["id_rows"] == parity["id_rows_identical"] > 10
    compared = {(figure["path"], figure["length"]) for figure in parity["vectors"]}
    assert {("graph, ordinary ids", n) for n in LENGTHS} <= compared
    assert {("graph, codes", n) for n in LENGTHS} <= compared
    assert {("Spark NLP, codes", n) for n in LENGTHS if n > 2} <= compared
    assert {("graph, packed batch", n) for n in LENGTHS if n > 2} <= compared
    assert {(f"graph, packed batch, {name}", LENGTHS[2]) for name in ("mean", "max")} <= compared
    assert all(figure["max_abs_difference"] <= 1e-4 for figure in parity["vectors"])
    assert all(figure["min_cosine"] >= 0.999999 for figure in parity["vectors"])
    assert {figure["length"] for figure in parity["packed"]["vectors"]} == {n for n in LENGTHS if n > 2}
    assert all(figure["max_abs_difference"] <= 1e-5 for figure in parity["packed"]["vectors"])
    assert "precision" not in parity
    assert bundle.problems() == []


def test_the_manifest_of_int8_holds_what_quantization_changes(int8_bundle: Bundle, notes: Path) -> None:
    parity = int8_bundle.manifest.parity
    assert parity["id_rows"] == parity["id_rows_identical"] > 10
    assert parity["limits"] is None
    assert max(figure["max_abs_difference"] for figure in parity["vectors"]) > 1e-4
    assert all(figure["max_abs_difference"] <= 1e-5 for figure in parity["packed"]["vectors"])
    assert {figure["path"] for figure in parity["paths"]["vectors"]} == {"graph, codes", "Spark NLP, codes"}
    precision = parity["precision"]
    assert precision["notes"] == precision["documents"]["vectors"] == len(notes.read_text().splitlines())
    assert precision["pieces"]["vectors"] > 500
    for vectors in ("documents", "pieces"):
        assert precision[vectors]["mean_cosine"] >= precision["limits"][vectors]["mean"] == 0.999
        assert precision[vectors]["worst_cosine"] >= precision["limits"][vectors]["worst"] == 0.995
    specialty = precision["specialty"]
    assert specialty["fp32"]["notes"] == specialty["exported"]["notes"] == 8
    difference = specialty["exported"]["nearest"] - specialty["fp32"]["nearest"]
    assert specialty["difference"]["nearest"] == difference


def test_all_engines_and_precisions_are_versions_of_one_name(
    bundle: Bundle, onnx_bundle: Bundle, int8_bundle: Bundle, models: Path
) -> None:
    repository = ModelRepository(models)
    assert repository.find(NAME, engine="tensorflow").path == bundle.path
    assert repository.find(NAME, engine="onnx", precision="fp32").path == onnx_bundle.path
    assert repository.find(NAME, engine="onnx", precision="int8").path == int8_bundle.path
    assert {b.manifest.annotator for b in (onnx_bundle, int8_bundle)} == {"RoBertaEmbeddings"}
    assert "onnxruntime" in onnx_bundle.manifest.libraries
    assert "tensorflow-cpu" not in onnx_bundle.manifest.libraries


def test_int8_takes_less_room(onnx_bundle: Bundle, int8_bundle: Bundle) -> None:
    """Positions stay fp32, and are most of a model this small."""
    positions = 4098 * 32 * 4
    exact, small = ((b.path / "roberta_onnx").stat().st_size - positions for b in (onnx_bundle, int8_bundle))
    assert small < exact


def test_nothing_else_is_left_in_the_repository(
    bundle: Bundle, onnx_bundle: Bundle, int8_bundle: Bundle, models: Path
) -> None:
    bundles = {b.path.name for b in (bundle, onnx_bundle, int8_bundle)}
    assert {path.name for path in models.iterdir()} == {*bundles, "metadata.json", ".lock"}


@pytest.fixture(scope="module")
def short_models(
    spark: SparkSession, short_checkpoint: Path, notes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A repository of a model that is verified in seconds, in fp32 and int8."""
    root = tmp_path_factory.mktemp("models")
    convert.convert(ExportOptions(checkpoint=str(short_checkpoint), name=NAME, models=root), spark=spark)
    convert.convert(int8_options(short_checkpoint, root, notes), spark=spark)
    return root


def test_verify_runs_the_table_again(spark: SparkSession, short_checkpoint: Path, short_models: Path) -> None:
    options = VerifyOptions(name=NAME, models=short_models, engine="tensorflow", checkpoint=str(short_checkpoint))
    assert convert.verify(options, spark=spark).passed


def test_verify_runs_the_version_that_was_asked_for(
    spark: SparkSession, short_checkpoint: Path, short_models: Path, notes: Path
) -> None:
    options = VerifyOptions(
        name=NAME, models=short_models, precision="int8", checkpoint=str(short_checkpoint), notes=notes
    )
    report = convert.verify(options, spark=spark)
    assert report.quantization is not None
    assert "9 notes against fp32" in report.to_text()


def test_verify_refuses_another_checkpoint(spark: SparkSession, short_models: Path, tmp_path: Path) -> None:
    other = random_checkpoint(tmp_path / "other")
    with pytest.raises(CheckpointError, match="not the checkpoint that clinical_longformer was made from"):
        convert.verify(VerifyOptions(name=NAME, models=short_models, checkpoint=str(other)), spark=spark)


def test_a_taken_name_must_be_forced_and_the_old_version_stays(
    spark: SparkSession, short_checkpoint: Path, short_models: Path
) -> None:
    options = ExportOptions(checkpoint=str(short_checkpoint), name=NAME, models=short_models)
    older = ModelRepository(short_models).find(NAME, engine="tensorflow")
    with pytest.raises(OptionError, match="--force"):
        convert.convert(options, spark=spark)
    newer = convert.convert(replace(options, force=True), spark=spark)
    assert newer.path != older.path
    assert ModelRepository(short_models).find(NAME, engine="tensorflow").path == newer.path
    assert older.problems() == newer.problems() == []


@pytest.mark.parametrize(("engine", "precision", "factor"), [("tensorflow", "fp32", 1.01), ("onnx", "int8", 1.5)])
def test_a_wrong_graph_is_not_registered_even_by_force(
    spark: SparkSession,
    short_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    notes: Path,
    engine: str,
    precision: str,
    factor: float,
) -> None:
    """One matrix of one layer is off."""

    def wrong(tensors: Mapping[str, Array], config: EncoderConfig) -> EncoderWeights:
        weights = LONGFORMER.load(tensors, config)
        output = weights.layers[1].output
        layer = replace(weights.layers[1], output=replace(output, weight=output.weight * np.float32(factor)))
        return replace(weights, layers=(weights.layers[0], layer))

    monkeypatch.setitem(FAMILIES, LONGFORMER.model_type, replace(LONGFORMER, load=wrong))
    options = ExportOptions(
        checkpoint=str(short_checkpoint),
        name=NAME,
        models=tmp_path,
        engine=engine,
        precision=precision,
        notes=None if precision == "fp32" else notes,
        force=True,
    )
    with pytest.raises(ParityError, match="FAILED"):
        convert.convert(options, spark=spark)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_pretrained_could_not_ask_for(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="lower-case letters"):
        ExportOptions(checkpoint="x", name="Clinical-Longformer", models=tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "torch"}, "'torch': expected one of tensorflow, onnx, openvino"),
        (
            {"precision": "int8"},
            "fp32 with --engine tensorflow, fp32 with --engine onnx, int8 with --engine onnx, fp32",
        ),
        ({"engine": "onnx", "precision": "int4"}, "'int4' with --engine onnx"),
        ({"global_attention": "all"}, "--global-attention 'all': expected one of none, first, question"),
        ({"engine": "onnx", "notes": Path("notes.jsonl")}, "fp32 is not compared on notes"),
    ],
)
def test_what_cannot_be_exported_is_said_at_once(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        ExportOptions(checkpoint="x", name="a_model", models=tmp_path, **settings)


@pytest.mark.parametrize(
    ("engine", "others"),
    [
        ("tensorflow", {"onnx", "onnxruntime", "openvino"}),
        ("onnx", {"tensorflow", "openvino"}),
        ("openvino", {"tensorflow", "onnxruntime"}),
    ],
)
def test_an_engine_needs_its_own_libraries_only(engine: str, others: set[str]) -> None:
    """In a process of its own, where nothing is imported yet."""
    kind = "graphs" if EXPORTERS[engine].engine.spark_nlp else "rows"
    script = f"import sys; from export.engines import EXPORTERS; EXPORTERS['{engine}'].{kind}(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert imported & others == set()
    assert f"export.graph.{engine}" in imported
