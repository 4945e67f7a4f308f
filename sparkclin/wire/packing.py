"""A partition's notes -> packed batches -> a row per note with the outputs of its segments.

Between the two is a Spark NLP stage, so each packed batch has beside it what its outputs are read by:

    batch      which one it is: partition, chunk, position in the chunk, and how many belong to the chunk
    parts      of each segment part, in order: its note in the chunk, its segment in the note, its number of positions
    notes      in the last batch of a chunk only: the chunk's notes, with their ranges of segments and numbers of parts

Notes are packed a chunk at a time. When the last batch of a chunk has come back, so have all its outputs. Behind the
last chunk comes one more row without windows, which closes the partition. Everything is checked on the way back: a
batch that is missing, doubled, displaced, cut short or from elsewhere raises IncompleteError, so that an output can
never land on another note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pyarrow as pa

from sparkclin.errors import IncompleteError
from sparkclin.schema import N_PIECES, N_WINDOWS, STATUS, VECTORS
from sparkclin.text.pieces import Floats, Ints, PieceEncoder
from sparkclin.text.pooling import PartOutput
from sparkclin.text.vectors import FLOAT32
from sparkclin.wire.annotations import DOCUMENT, code_words, document, no_document
from sparkclin.wire.arrow import int_columns, lists, only_row, range_lists, struct, to_range_lists
from sparkclin.wire.chunks import Chunk, ChunkOptions, Held, Merger, TaggedWindow, chunks, with_vectors
from sparkclin.wire.outputs import Outputs
from sparkclin.wire.packed import as_text, concatenated, plan_batches
from sparkclin.wire.pieces_column import RANGES

BATCH, PARTS, NOTES, BEGINS = "batch", "parts", "notes", "begins"
SEGMENTS, FIRST, HELD_TEXT, N_PARTS = "segments", "first", "held_text", "n_parts"
BATCH_FIELDS = ("partition", "chunk", "position", "count")
PART_FIELDS = ("note", "segment", "size")


@dataclass(frozen=True, kw_only=True)
class PackingOptions:
    """How notes become packed batches. `request` says which outputs the graph is to give (`Outputs.request`)."""

    notes: ChunkOptions
    request: int | None


@dataclass(frozen=True, kw_only=True)
class UnpackingOptions:
    """How outputs are read. `wanted` are the names of those that `merge` takes, in its order; `dtype` is of what it
    makes of them."""

    outputs: Outputs
    wanted: tuple[str, ...]
    merge: Merger
    dtype: str = FLOAT32


@dataclass(frozen=True)
class BatchId:
    """Which packed batch it is: the number of its partition and of its chunk there, its position in the chunk and the
    number of batches of the chunk. The row that closes a partition has the number of chunks, and a count of 0."""

    partition: int
    chunk: int
    position: int
    count: int

    @property
    def closes_partition(self) -> bool:
        return self.count == 0

    @property
    def closes_chunk(self) -> bool:
        return self.position == self.count - 1

    def __str__(self) -> str:
        if self.closes_partition:
            return f"the end of partition {self.partition} after {self.chunk} chunks"
        return f"packed batch {self.position + 1} of {self.count} of chunk {self.chunk} of partition {self.partition}"


def pack_batches(
    batches: Iterator[pa.RecordBatch], *, encoder: PieceEncoder, options: PackingOptions, partition: int
) -> Iterator[pa.RecordBatch]:
    """Arrow batches of a partition's notes -> a row per packed batch, each a batch of its own, and one that closes the
    partition."""
    words = code_words(options.notes.vocabulary.n_codes)
    n_chunks = 0
    for chunk in chunks(batches, encoder=encoder, options=options.notes):
        yield from _packed(chunk, options, words, partition=partition, number=n_chunks)
        n_chunks += 1
    yield _row(BatchId(partition, n_chunks, 0, 0), None, [], pa.nulls(1, notes_type(options.notes.carried)))


def _packed(
    chunk: Chunk, options: PackingOptions, words: pa.StringArray, *, partition: int, number: int
) -> Iterator[pa.RecordBatch]:
    windows = chunk.windows(options.notes.vocabulary)
    planned = list(plan_batches([len(window.ids) for window in windows])) or [[]]
    notes = _notes_column(chunk, options.notes)
    for position, indices in enumerate(planned):
        held = [windows[index] for index in indices]
        batch_id = BatchId(partition, number, position, len(planned))
        text = _text([window.ids for window in held], options, words) if held else None
        yield _row(batch_id, text, held, notes if batch_id.closes_chunk else pa.nulls(1, notes.type))


def _text(rows: Sequence[Ints], options: PackingOptions, words: pa.StringArray) -> str:
    return as_text(concatenated(rows, options.notes.vocabulary, request=options.request), words=words)


def _row(batch_id: BatchId, text: str | None, windows: Sequence[TaggedWindow], notes: pa.ListArray) -> pa.RecordBatch:
    parts = [(window.note, part.segment, len(part)) for window in windows for part in window.parts]
    columns = {
        DOCUMENT: no_document() if text is None else document(text, begin=batch_id.position),
        BATCH: int_columns([[getattr(batch_id, name) for name in BATCH_FIELDS]], BATCH_FIELDS),
        PARTS: lists([len(parts)], int_columns(parts, PART_FIELDS)),
        NOTES: notes,
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def notes_type(carried: pa.Schema) -> pa.DataType:
    """Of the column `notes`."""
    known = {N_PIECES: pa.int32(), N_WINDOWS: pa.int32(), STATUS: pa.string()}
    to_merge = {SEGMENTS: RANGES, FIRST: pa.int32(), HELD_TEXT: pa.string(), N_PARTS: pa.int32()}
    return pa.list_(pa.struct([*carried, *(pa.field(name, kind) for name, kind in (known | to_merge).items())]))


def _notes_column(chunk: Chunk, options: ChunkOptions) -> pa.ListArray:
    """Return one row: the chunk's notes."""
    rows = chunk.held(with_text=options.with_text)
    columns = {
        **chunk.columns(options.carried),
        SEGMENTS: range_lists([row.segments for row in rows]),
        FIRST: pa.array([row.first for row in rows], pa.int32()),
        HELD_TEXT: pa.array([row.text for row in rows], pa.string()),
        N_PARTS: pa.array([len(plan.parts) for plan in chunk.plans], pa.int32()),
    }
    return lists([len(chunk.notes)], struct(columns)).cast(notes_type(options.carried))


def unpack_batches(
    batches: Iterator[pa.RecordBatch], *, options: UnpackingOptions, partition: int
) -> Iterator[pa.RecordBatch]:
    """Arrow batches of a partition's packed batches with their outputs -> a batch per chunk, a row per note.

    They have the columns batch, parts, notes, begins (`begin` of each annotation that came back) and vectors.
    Raises IncompleteError, with the counts, where anything is not as it was sent.
    """
    expected = BatchId(partition, 0, 0, 0)
    parts: dict[int, list[PartOutput]] = {}
    closed = False
    for batch in batches:
        for index in range(batch.num_rows):
            row = batch.slice(index, 1)
            found = _batch_id(row)
            _check_order(found, expected, closed=closed)
            if found.closes_partition:
                closed = True
                continue
            for note, part in _part_outputs(row, found, options):
                parts.setdefault(note, []).append(part)
            expected = BatchId(partition, found.chunk, found.position + 1, found.count)
            if found.closes_chunk:
                yield _merged(row.column(NOTES).flatten(), parts, found, options)
                parts = {}
                expected = BatchId(partition, found.chunk + 1, 0, 0)
    if not closed:
        _incomplete(f"the partition ended before {_wanted(expected)}")


def _batch_id(row: pa.RecordBatch) -> BatchId:
    batch = row.column(BATCH)
    return BatchId(*(batch.field(name)[0].as_py() for name in BATCH_FIELDS))


def _check_order(found: BatchId, expected: BatchId, *, closed: bool) -> None:
    """`expected` has a count of 0 where a chunk begins, since only its first batch says how many belong to it."""
    begins_chunk = expected.count == 0
    same = found.partition == expected.partition and found.chunk == expected.chunk
    in_turn = found.position == expected.position and (begins_chunk or found.count == expected.count)
    if closed or not (same and in_turn):
        _incomplete(f"{found} came, where {'nothing more' if closed else _wanted(expected)} was expected")


def _wanted(expected: BatchId) -> str:
    if expected.count:
        return str(expected)
    return f"chunk {expected.chunk} or the end of partition {expected.partition}"


def _part_outputs(
    row: pa.RecordBatch, batch_id: BatchId, options: UnpackingOptions
) -> Iterator[tuple[int, PartOutput]]:
    """The outputs of each segment part, with the index of its note in the chunk."""
    parts = row.column(PARTS).flatten()
    vectors: Floats = only_row(row.column(VECTORS))
    begins = row.column(BEGINS).flatten().to_pylist()
    if begins != [batch_id.position] * bool(len(parts)):
        _incomplete(f"{batch_id} came back with {len(begins)} annotations, which are not its own")
    per_part = options.outputs.n_received(options.wanted)
    if vectors.size != len(parts) * per_part:
        _incomplete(
            f"{batch_id} has {len(parts)} segment parts, and {per_part} numbers were expected of each; "
            f"{vectors.size} came out"
        )
    numbers = vectors.reshape(len(parts), per_part)
    chosen = np.concatenate([numbers[:, columns] for columns in options.outputs.columns(options.wanted)], axis=1)
    fields = (parts.field(name).to_pylist() for name in PART_FIELDS)
    for note, segment, size, of_part in zip(*fields, chosen, strict=True):
        yield note, PartOutput(segment, size, of_part)


def _merged(
    notes: pa.StructArray, parts: dict[int, list[PartOutput]], batch_id: BatchId, options: UnpackingOptions
) -> pa.RecordBatch:
    fields = (notes.field(FIRST).to_pylist(), notes.field(HELD_TEXT).to_pylist())
    rows = [Held(*held) for held in zip(to_range_lists(notes.field(SEGMENTS)), *fields, strict=True)]
    planned = notes.field(N_PARTS).to_pylist()
    arrived = [len(parts.get(index, ())) for index in range(len(notes))]
    if arrived != planned or sum(map(len, parts.values())) != sum(planned):
        _incomplete(
            f"chunk {batch_id.chunk} of partition {batch_id.partition} has {len(notes)} notes with {sum(planned)} "
            f"segment parts; {sum(map(len, parts.values()))} came back"
        )
    to_merge = (SEGMENTS, FIRST, HELD_TEXT, N_PARTS)
    columns = {kept.name: notes.field(kept.name) for kept in notes.type if kept.name not in to_merge}
    return with_vectors(columns, rows, parts, options.merge, dtype=options.dtype)


def _incomplete(what: str) -> NoReturn:
    raise IncompleteError(
        f"{what}: outputs cannot be told apart any more. They were discarded. Run again. If that "
        "fails too, check the model with `sparkclin models check`, and export it again with this version of sparkclin."
    )
