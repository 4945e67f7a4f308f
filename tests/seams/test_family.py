"""A family is added from outside: it exports, verifies and embeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pyspark.sql import SparkSession

import sparkclin
from sparkclin.export.convert import ExportOptions, convert
from sparkclin.export.engines import EXPORTERS, SPARK_NLP_EXPORTERS, Vectors
from sparkclin.export.families import FAMILIES
from sparkclin.export.trained import TrainedModel
from sparkclin.models.bundle import Bundle
from sparkclin.tasks.segment_outputs import SegmentTask, segment_outputs
from sparkclin.text.pieces import Ints, PieceEncoder
from sparkclin.text.pooling import OUTPUTS_OF_POOLING, merge_note
from sparkclin.text.segments import SegmentPart, plan_segments
from sparkclin.text.tokenization import PairIds
from sparkclin.text.windows import cut
from sparkclin.wire.batches import NoteColumns, PairColumn
from sparkclin.wire.packed import concatenated, tagged
from testkit.checkpoints import TEXTS
from tests.export.graphs import open_graph
from tests.seams.toy_family import TOY, bert, bert_vectors, toy_checkpoint, toy_name, toy_tokenizer

NOTES = [*TEXTS, "He's well.\n\nBP 120/80 🩺 [SEP] is text", " ".join(TEXTS) * 8, "", None]


@pytest.fixture(scope="module", autouse=True)
def _toy_is_a_family() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, TOY.model_type, TOY)
        yield


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    return toy_checkpoint(folder, tokenizer_json=toy_tokenizer([text for text in NOTES if text], vocab_size=150))


@pytest.fixture(scope="module", params=EXPORTERS)
def bundle(
    request: pytest.FixtureRequest, spark: SparkSession, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """The toy in Spark NLP, verified."""
    models = tmp_path_factory.mktemp("models")
    options = ExportOptions(checkpoint=str(checkpoint), name="toy", models=models, engine=request.param)
    return convert(options, spark=spark)


@pytest.mark.slow
def test_it_is_verified(bundle: Bundle) -> None:
    assert bundle.manifest.family == TOY.model_type
    parity = bundle.manifest.parity
    assert parity["id_rows"] == parity["id_rows_identical"] > 10
    assert {figure["length"] for figure in parity["vectors"]} == {*TOY.lengths, 130}


@pytest.mark.slow
def test_it_embeds(spark: SparkSession, checkpoint: Path, bundle: Bundle) -> None:
    notes = spark.createDataFrame(list(enumerate(NOTES)), "note_id int, text string")
    rows = sparkclin.embed(notes, model=bundle).collect()
    found = {row.note_id: row.vector for row in rows}
    assert set(found) == set(range(len(NOTES)))
    trained = TrainedModel.read(str(checkpoint))
    for note_id, text in enumerate(NOTES):
        if not text:
            assert found[note_id] is None
        else:
            np.testing.assert_allclose(found[note_id], document_vector(trained, text), atol=1e-4, rtol=0)


def document_vector(trained: TrainedModel, text: str) -> np.typing.NDArray[np.float64]:
    """The mean of all pieces, by BERT; of a note of one window, or of the windows' owned pieces."""
    [pieces] = PieceEncoder(trained.tokenizer_json).encode([text])
    config, reference = trained.config, trained.reference()
    stride = min(512, round(config.max_pieces / 8))
    owned = []
    ranges = cut(len(pieces), config.max_pieces, stride)
    for index, (begin, end) in enumerate(ranges):
        row = np.array([[config.cls_id, *pieces.ids[begin:end], config.sep_id]], np.int32)
        vectors = reference(row, np.ones_like(row))[0, 1:-1].astype(np.float64)
        before = (ranges[index - 1][1] + begin + 1) // 2 if index else 0
        after = (end + ranges[index + 1][0] + 1) // 2 if index + 1 < len(ranges) else end
        owned.append(vectors[before - begin : after - begin])
    mean: np.typing.NDArray[np.float64] = np.concatenate(owned).mean(axis=0)
    return mean


QUESTION = (10, 11, 12)
ASKED = "was he seen in the clinic?"


@pytest.mark.parametrize("engine", SPARK_NLP_EXPORTERS)
def test_a_prefix_with_token_types_is_what_bert_reads(checkpoint: Path, tmp_path: Path, engine: str) -> None:
    """`[CLS] question [SEP] window [SEP]`, the window and its `[SEP]` of type 1."""
    trained = TrainedModel.read(str(checkpoint))
    SPARK_NLP_EXPORTERS[engine].graphs().write(tmp_path, trained.body(), precision="fp32")
    run = open_graph(tmp_path, engine=engine)
    vocabulary, window = trained.config.vocabulary, np.array([20, 21, 22, 23, 24], np.int32)
    parts = [SegmentPart(0, 0, 1, 0), SegmentPart(0, 1, 4, 1), SegmentPart(0, 4, 6, 2)]
    sent = concatenated(
        [tagged(window, parts, vocabulary, pair=after_question(vocabulary.sep_id))], vocabulary, request=0
    )
    packed = np.array([[vocabulary.n_tagged, *sent, vocabulary.n_tagged + 1]], np.int32)
    found = run(packed, np.ones_like(packed)).reshape(len(parts), -1)

    vectors = vectors_after_question(trained, window)
    for numbers, states in zip(found, (vectors[:1], vectors[5:8], vectors[8:10]), strict=True):
        expected = np.concatenate([states.mean(axis=0), states.max(axis=0)])
        np.testing.assert_allclose(numbers, expected, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_notes_are_read_after_a_question(spark: SparkSession, checkpoint: Path, bundle: Bundle) -> None:
    """The same through Spark: a column has the question."""
    manifest = bundle.manifest
    task = SegmentTask(
        columns=NoteColumns(text="text", pair=PairColumn(name="asked", options=manifest.pairing(first=True))),
        carried=("note_id",),
        windows=manifest.windows(),
        plan=partial(plan_segments, level="document", pooling="mean"),
        wanted=OUTPUTS_OF_POOLING["mean"],
        merge=partial(merge_note, pooling="mean"),
    )
    notes = spark.createDataFrame([(*row, ASKED) for row in enumerate(TEXTS)], "note_id int, text string, asked string")
    rows = segment_outputs(notes, bundle=bundle, task=task).collect()
    found = {row.note_id: row.vectors[0].vector for row in rows}
    trained = TrainedModel.read(str(checkpoint))
    encoder = PieceEncoder(trained.tokenizer_json)
    [asked] = encoder.encode([ASKED])
    for note_id, pieces in enumerate(encoder.encode(TEXTS)):
        own = vectors_after_question(trained, pieces.ids, question=asked.ids)[len(asked) + 2 : -1]
        np.testing.assert_allclose(found[note_id], own.mean(axis=0), atol=1e-4, rtol=0)


def after_question(sep_id: int) -> PairIds:
    return PairIds(before=np.array([*QUESTION, sep_id], np.int32))


def vectors_after_question(trained: TrainedModel, window: Ints, question: Sequence[int] | Ints = QUESTION) -> Vectors:
    """Of all positions of the row, by BERT: (positions, W)"""
    config = trained.config
    first = [config.cls_id, *question, config.sep_id]
    row = np.array([[*first, *window, config.sep_id]], np.int32)
    types = np.array([[0] * len(first) + [1] * (len(window) + 1)], np.int32)
    model = bert(trained.source.config)
    state = {name: torch.from_numpy(trained.tensors[toy_name(name)]) for name in model.state_dict()}
    model.load_state_dict(state)
    vectors: Vectors = bert_vectors(model, row, types=types)[0]
    return vectors
