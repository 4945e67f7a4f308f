"""Notes through a model in the same process: every output lands on its own note, or an error is raised.

The model is a few lines: its outputs for a segment part are the mean and the maximum of the piece ids, so that each
number tells which pieces it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sparkclin.errors import IncompleteError
from sparkclin.inference.partition import InferenceOptions, infer_notes
from sparkclin.text.pieces import Floats, Ints, PieceEncoder
from sparkclin.text.pooling import OUTPUTS_OF_POOLING, merge_note, pool_note
from sparkclin.text.segments import plan_segments
from sparkclin.text.tokenization import tokenize
from sparkclin.text.windows import WindowOptions
from sparkclin.wire.batches import NoteColumns
from sparkclin.wire.chunks import ChunkLimits, ChunkOptions
from sparkclin.wire.tags import BEGIN, OUTSIDE, Vocabulary
from testkit.tokenizers import train_tokenizer, word_tokenizer

TEXTS = ["fever and cough", "no chest pain", None, "", "BP 120/80, pulse 72, afebrile", "x", "well " * 9, " \n"] * 3
ENCODER = PieceEncoder(train_tokenizer(["fever and cough", "no chest pain"]))
VOCABULARY = Vocabulary(size=ENCODER.n_ids, cls_id=0, sep_id=2, pad_id=1)
WINDOWS = WindowOptions(max_pieces=12, stride=4)
ROW_LIMITS = (6, 14)


class Model:
    """Keeps the shapes of the rows that it was given. `loses` is how many parts it gives too few."""

    ran = "tests"

    def __init__(self, *, loses: int = 0) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self._loses = loses

    def run(self, rows: Ints, wanted: Sequence[str]) -> Floats:
        self.shapes.append(rows.shape)
        parts: list[list[int]] = []
        for row in rows:
            for tagged in row.tolist():
                tag, piece = divmod(tagged, VOCABULARY.size)
                if tag == BEGIN:
                    parts.append([])
                if tag != OUTSIDE:
                    parts[-1].append(piece)
        made: dict[str, Callable[[list[int]], float]] = {"mean": lambda part: sum(part) / len(part), "max": max}
        found = np.array([[made[name](part) for name in wanted] for part in parts], np.float32)
        return found[: len(found) - self._loses]

    def states(self, rows: Ints) -> Floats:
        raise NotImplementedError


def options(*, level: str, pooling: str, limits: ChunkLimits, more: Mapping[str, Any]) -> InferenceOptions:
    return InferenceOptions(
        notes=ChunkOptions(
            carried=pa.schema({"note_id": pa.int64()}),
            columns=NoteColumns(text="text"),
            windows=WINDOWS,
            plan=partial(plan_segments, level=level, pooling=pooling),
            vocabulary=VOCABULARY,
            limits=limits,
            **more,
        ),
        wanted=OUTPUTS_OF_POOLING[pooling],
        merge=partial(merge_note, pooling=pooling),
        row_limits=ROW_LIMITS,
    )


def inferred(
    model: Model,
    *,
    level: str = "token",
    pooling: str = "mean",
    limits: ChunkLimits | None = None,
    more: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    notes = pa.RecordBatch.from_pydict(
        {"note_id": pa.array(range(len(TEXTS)), pa.int64()), "text": pa.array(TEXTS, pa.string())}
    )
    batches = iter([notes[:5], notes[5:]])
    chosen = options(level=level, pooling=pooling, limits=limits or ChunkLimits(), more=more or {})
    return [
        row for batch in infer_notes(batches, encoder=ENCODER, model=model, options=chosen) for row in batch.to_pylist()
    ]


@pytest.mark.parametrize("limits", [{}, {"notes": 5}, {"pieces": 1}, {"notes": 1}], ids=str)
@pytest.mark.parametrize(("level", "pooling"), [("token", "mean"), ("document", "mean_max"), ("window", "max")])
def test_every_note_comes_back_once_in_order_with_its_own_vectors(
    level: str, pooling: str, limits: dict[str, int]
) -> None:
    rows = inferred(Model(), level=level, pooling=pooling, limits=ChunkLimits(**limits))
    assert [row["note_id"] for row in rows] == list(range(len(TEXTS)))
    notes = tokenize(TEXTS, [()] * len(TEXTS), encoder=ENCODER, options=WINDOWS)
    for row, note in zip(rows, notes, strict=True):
        assert (row["n_pieces"], row["n_windows"], row["status"]) == (
            len(note.pieces),
            len(note.windows),
            note.status,
        )
        ids = [note.pieces.ids[begin:end] for begin, end in note.windows]
        vectors = np.concatenate([np.zeros(0, np.int32), *ids])[:, None].astype(np.float32)
        expected = pool_note(vectors, note, level=level, pooling=pooling, brings_cls=False)
        assert [(entry["begin"], entry["end"]) for entry in row["vectors"]] == [(s.begin, s.end) for s in expected]
        for entry, segment in zip(row["vectors"], expected, strict=True):
            if segment.vector is None:
                assert entry["vector"] is None
            else:
                np.testing.assert_allclose(entry["vector"], segment.vector, rtol=1e-6)


@pytest.mark.parametrize(("level", "parts"), [("token", 3), ("token", 1), ("window", 1), ("document", 1)])
def test_a_note_of_many_segments_comes_back_in_slices(level: str, parts: int) -> None:
    """The slices together have the same vectors and texts as the whole note, and each note is counted once."""
    whole = inferred(Model(), level=level, more={"with_text": True})
    rows = inferred(Model(), level=level, more={"with_text": True, "divisible": True}, limits=ChunkLimits(parts=parts))
    assert (len(rows) > len(whole)) == (level != "document")
    assert [row for row in rows if row["status"] is not None and row["n_pieces"] != 0 and not row["vectors"]] == []
    found: dict[int, list[dict[str, Any]]] = {row["note_id"]: [] for row in rows}
    for row in rows:
        found[row["note_id"]] += row["vectors"]
    assert found == {row["note_id"]: row["vectors"] for row in whole}
    counted = [row for row in rows if row["status"] is not None]
    known = ("note_id", "n_pieces", "n_windows", "status")
    assert [[row[name] for name in known] for row in counted] == [[row[name] for name in known] for row in whole]
    for row in whole:
        text = TEXTS[row["note_id"]] or ""
        assert [entry["text"] for entry in row["vectors"]] == [text[e["begin"] : e["end"]] for e in row["vectors"]]


def test_rows_of_two_graphs_are_never_in_one_batch() -> None:
    """Rows of 20 and 19 ids are in one batch where no graph ends between them. Padded, none would be shorter."""
    encoder = PieceEncoder(word_tokenizer(["well"]))
    texts = [" ".join(["well"] * n) for n in (18, 17, 18, 17)]
    notes = pa.RecordBatch.from_pydict({"note_id": pa.array(range(4), pa.int64()), "text": pa.array(texts)})
    asked = options(level="document", pooling="mean", limits=ChunkLimits(), more={})
    asked = replace(asked, notes=replace(asked.notes, windows=WindowOptions(max_pieces=30, stride=0)))
    shapes = {}
    for row_limits in ((30,), (19, 30), (20, 30), (18, 30)):
        model = Model()
        chosen = replace(asked, row_limits=row_limits)
        [batch] = infer_notes(iter([notes]), encoder=encoder, model=model, options=chosen)
        assert batch.column("note_id").to_pylist() == [0, 1, 2, 3]
        shapes[row_limits] = model.shapes
    assert shapes == {
        (30,): [(4, 20)],
        (19, 30): [(2, 20), (2, 19)],
        (20, 30): [(4, 20)],
        (18, 30): [(4, 20)],
    }


def test_outputs_that_do_not_come_back_are_an_error() -> None:
    with pytest.raises(IncompleteError, match=r"went into the model, and the outputs of \d+ came out"):
        inferred(Model(loses=1))
