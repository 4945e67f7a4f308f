"""Chunks of a partition's notes: what is in them, where they end, and the rows that come of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from sparkclin.errors import OptionError
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.pooling import PartOutput, SegmentVector, merge_note
from sparkclin.text.segments import SegmentPart, SegmentPlan, plan_segments
from sparkclin.text.windows import WindowOptions
from sparkclin.wire.batches import NoteColumns
from sparkclin.wire.chunks import Chunk, ChunkLimits, ChunkOptions, Held, chunks, held, vectors_column, with_vectors
from sparkclin.wire.tags import Vocabulary
from testkit.tokenizers import word_tokenizer

ENCODER = PieceEncoder(word_tokenizer(["fever", "and", "cough"]))
VOCABULARY = Vocabulary(size=10, cls_id=7, sep_id=8, pad_id=9)


def chunked(texts: Sequence[str | None], *, divisible: bool = False, limits: ChunkLimits | None = None) -> list[Chunk]:
    """Chunks of notes in windows of 2 pieces that share one. Notes keep the column `key`, and not the text."""
    options = ChunkOptions(
        carried=pa.schema({"key": pa.int64()}),
        columns=NoteColumns(text="text"),
        windows=WindowOptions(max_pieces=2, stride=1),
        plan=partial(plan_segments, level="token", pooling="mean"),
        vocabulary=VOCABULARY,
        divisible=divisible,
        limits=limits or ChunkLimits(),
    )
    columns = {"text": pa.array(texts, pa.string()), "key": pa.array(range(len(texts)), pa.int64())}
    batch = pa.RecordBatch.from_pydict(columns)
    return list(chunks(iter([batch[:2], batch[2:]]), encoder=ENCODER, options=options))


def keys(chunk: Chunk) -> list[int]:
    found: list[int] = chunk.columns(pa.schema({"key": pa.int64()}))["key"].to_pylist()
    return found


NOTES = ["fever", "fever and", None, "cough", "and and and", ""]
"""Of 1, 2, 0, 1, 3 and 0 pieces, and as many words."""


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [[0, 1, 2, 3, 4, 5]]),
        ({"notes": 2}, [[0, 1], [2, 3], [4, 5]]),
        ({"notes": 4}, [[0, 1, 2, 3], [4, 5]]),
        ({"notes": 6}, [[0, 1, 2, 3, 4, 5]]),
        ({"pieces": 3}, [[0, 1], [2, 3, 4], [5]]),
        ({"pieces": 4}, [[0, 1, 2, 3], [4, 5]]),
        ({"parts": 3}, [[0, 1], [2, 3, 4], [5]]),
        ({"parts": 4}, [[0, 1, 2, 3], [4, 5]]),
    ],
)
def test_a_chunk_ends_with_the_note_that_fills_it(limits: dict[str, int], expected: list[list[int]]) -> None:
    assert [keys(chunk) for chunk in chunked(NOTES, limits=ChunkLimits(**limits))] == expected


def test_chunks_are_large_if_nothing_is_said() -> None:
    assert ChunkLimits() == ChunkLimits(pieces=131_072, notes=8_192, parts=16_384)
    assert chunked([]) == []


def test_a_row_has_the_counts_of_its_note() -> None:
    [chunk] = chunked(NOTES)
    columns = chunk.columns(pa.schema({"key": pa.int64()}))
    assert list(columns) == ["key", "n_pieces", "n_windows", "status"]
    assert columns["n_pieces"].to_pylist() == [1, 2, 0, 1, 3, 0]
    assert columns["n_windows"].to_pylist() == [1, 1, 0, 1, 2, 0]
    assert columns["status"].to_pylist() == ["ok", "ok", "null", "ok", "ok", "empty"]
    assert [columns[name].type for name in ("n_pieces", "n_windows", "status")] == [pa.int32(), pa.int32(), pa.string()]
    assert (chunk.n_pieces, chunk.n_parts) == (7, 7)


def test_the_rows_of_a_note_in_slices_count_it_once() -> None:
    found = chunked(["fever and cough and", "and"], divisible=True, limits=ChunkLimits(parts=1))
    rows = [(key, *row) for chunk in found for key, row in zip(keys(chunk), counts(chunk), strict=True)]
    assert rows == [(0, 4, 3, "ok"), (0, None, None, None), (0, None, None, None), (1, 1, 1, "ok")]
    first = [plan.first for chunk in found for plan in chunk.plans]
    assert first == [0, 2, 3, 0]
    assert [len(chunk.notes) for chunk in chunked(["fever and cough and", "and"], limits=ChunkLimits(parts=1))] == [
        1,
        1,
    ]


def counts(chunk: Chunk) -> list[tuple[object, ...]]:
    columns = chunk.columns(pa.schema({"key": pa.int64()}))
    return list(zip(*(columns[name].to_pylist() for name in ("n_pieces", "n_windows", "status")), strict=True))


def test_only_windows_with_a_part_of_a_segment_go_into_the_model() -> None:
    """Of `and and and` the windows are 0…2 and 1…3; the first owns two words. A slice may need one of the two."""
    [chunk] = chunked([None, "fever and cough"])
    windows = chunk.windows(VOCABULARY)
    assert [window.note for window in windows] == [1, 1]
    assert [window.ids.tolist() for window in windows] == [[27, 11, 12, 28], [27, 22, 13, 28]]
    assert [[part.segment for part in window.parts] for window in windows] == [[0, 1], [2]]
    only = Chunk()
    only.add(chunk.notes[1], SegmentPlan([(0, 1)], [SegmentPart(1, 1, 2, 0)]), chunk.kept[1])
    assert [window.ids.tolist() for window in only.windows(VOCABULARY)] == [[27, 12, 23, 28]]


def test_a_row_holds_the_text_from_its_first_segment_to_its_last() -> None:
    [chunk] = chunked(["fever and cough"])
    [note], [plan] = chunk.notes, chunk.plans
    whole = held(note, plan, with_text=True)
    assert (whole.text, whole.first, whole.cut(6, 9)) == ("fever and cough", 0, "and")
    later = held(note, SegmentPlan(plan.segments[1:], (), 1), with_text=True)
    assert (later.text, later.first, later.cut(6, 9), later.cut(10, 15)) == ("and cough", 1, "and", "cough")
    assert held(note, SegmentPlan((), ()), with_text=True).text == ""
    assert [row.text for row in chunk.held(with_text=False)] == [None]
    assert [row.text for row in chunk.held(with_text=True)] == ["fever and cough"]


def test_entries_of_a_slice_are_numbered_on() -> None:
    """Each row has its own entries, and their texts."""
    rows = [Held([(0, 2), (3, 5)], 0, "ab cd"), Held([], 0, ""), Held([(6, 8)], 2, "ef")]
    merged = [
        [SegmentVector(0, 2, np.ones(2, np.float32)), SegmentVector(3, 5, None)],
        [],
        [SegmentVector(6, 8, np.zeros(2, np.float32))],
    ]
    assert vectors_column(merged, rows).to_pylist() == [
        [
            {"index": 0, "begin": 0, "end": 2, "vector": [1, 1], "text": "ab"},
            {"index": 1, "begin": 3, "end": 5, "vector": None, "text": "cd"},
        ],
        [],
        [{"index": 2, "begin": 6, "end": 8, "vector": [0, 0], "text": "ef"}],
    ]
    half = vectors_column(merged, [Held(row.segments, row.first) for row in rows], dtype="float16").to_pylist()
    assert half[0][0] == {"index": 0, "begin": 0, "end": 2, "vector": b"\x00\x3c\x00\x3c"}
    assert half[0][1]["vector"] is None
    with pytest.raises(OptionError, match="numbers beyond 65,504"):
        vectors_column([[SegmentVector(0, 2, np.array([1e6], np.float32))]], rows[:1], dtype="float16")


def test_rows_get_the_outputs_of_their_own_parts() -> None:
    rows = [Held([(0, 2)], 0), Held([(0, 3)], 0), Held([], 0)]
    parts = {1: [PartOutput(0, 1, np.array([5.0]))]}
    columns = {"key": pa.array([7, 8, 9])}
    batch = with_vectors(columns, rows, parts, partial(merge_note, pooling="mean"), dtype="float32")
    assert batch.to_pylist() == [
        {"key": 7, "vectors": [{"index": 0, "begin": 0, "end": 2, "vector": None}]},
        {"key": 8, "vectors": [{"index": 0, "begin": 0, "end": 3, "vector": [5]}]},
        {"key": 9, "vectors": []},
    ]
