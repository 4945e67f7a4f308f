"""A head is added from outside: its weights are accounted for, and its outputs come through Spark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pyspark.sql import SparkSession
from safetensors.torch import load_file, save_file

from sparkclin.export.convert import ExportOptions, convert
from sparkclin.export.errors import CheckpointError
from sparkclin.export.heads import HEADS
from sparkclin.export.trained import TrainedModel
from sparkclin.tasks.segment_outputs import SegmentTask, segment_outputs
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.pooling import PartOutput, SegmentVector
from sparkclin.text.segments import plan_segments
from sparkclin.text.windows import Range
from sparkclin.wire.batches import NoteColumns
from testkit.checkpoints import TEXTS, random_checkpoint
from tests.seams.toy_head import LOGITS, TOY_HEAD

LABELS = {"0": "calm", "1": "worse", "2": "better"}


@pytest.fixture(scope="module", autouse=True)
def _toy_is_a_head() -> Iterator[None]:
    HEADS.append(TOY_HEAD)
    yield
    HEADS.remove(TOY_HEAD)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Longformer with the toy's weights beside its own."""
    folder = random_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"architectures": ["LongformerForToyScores"], "id2label": LABELS}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.manual_seed(1)
    state = load_file(folder / "model.safetensors")
    scorer = {"scorer.weight": torch.randn(3, config["hidden_size"]), "scorer.bias": torch.randn(3)}
    save_file({**state, **scorer}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_head_without_its_weights_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    bare = random_checkpoint(tmp_path)
    (bare / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match=r"missing longformer\.scorer\.weight \(3, 32\)"):
        TrainedModel.read(str(bare))


def test_weights_of_a_head_that_is_not_asked_for_are_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkclin.export.heads.HEADS", [head for head in HEADS if head is not TOY_HEAD])
    with pytest.raises(CheckpointError, match=r"LongformerForToyScores; the architectures that can be exported end in"):
        TrainedModel.read(str(checkpoint))


def scores_of_note(segments: Sequence[Range], parts: Sequence[PartOutput]) -> list[SegmentVector]:
    """One segment of one part each: its scores as they are."""
    return [
        SegmentVector(begin, end, part.numbers.astype(np.float32))
        for (begin, end), part in zip(segments, parts, strict=True)
    ]


@pytest.mark.slow
def test_it_exports_verifies_and_scores_notes(spark: SparkSession, checkpoint: Path, tmp_path: Path) -> None:
    bundle = convert(
        ExportOptions(checkpoint=str(checkpoint), name="toy_scores", models=tmp_path / "models", engine="onnx"),
        spark=spark,
    )
    manifest = bundle.manifest
    assert (manifest.task, manifest.labels) == ("score", tuple(LABELS.values()))
    assert [(output.name, output.size) for output in manifest.outputs] == [(LOGITS, 3)]
    task = SegmentTask(
        columns=NoteColumns(text="text"),
        carried=("note_id",),
        windows=manifest.windows(),
        plan=partial(plan_segments, level="document", pooling="mean"),
        wanted=(LOGITS,),
        merge=scores_of_note,
    )
    notes = spark.createDataFrame(list(enumerate(TEXTS)), "note_id int, text string")
    rows = segment_outputs(notes, bundle=bundle, task=task).collect()
    found = {row.note_id: row.vectors[0].vector for row in rows}
    trained = TrainedModel.read(str(checkpoint))
    reference = trained.reference()
    for note_id, pieces in enumerate(PieceEncoder(trained.tokenizer_json).encode(TEXTS)):
        row = np.array([[trained.config.cls_id, *pieces.ids, trained.config.sep_id]], np.int32)
        states = reference(row, np.ones_like(row))[0, 1:-1].astype(np.float64)
        np.testing.assert_allclose(found[note_id], trained.head.expected(states)[LOGITS], atol=1e-4, rtol=0)
