"""A partition's notes -> packs for a model that pools inside its graph -> a row a note with its vectors.

Between the two is a Spark NLP stage, so a pack must bring along what its answer is read by: the column `spans` says for
each of its spans which result of which note it is a part of. Notes are packed a chunk at a time; the last pack of a
chunk has the chunk's notes in the column `notes`, and with it all their vectors have come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from pyspark.sql import types as T

from sparkclin.errors import IncompleteError
from sparkclin.schema import N_PIECES, N_WINDOWS, STATUS, VECTORS
from sparkclin.stages.tokenization import (
    SharedTokenizer,
    Tokenization,
    TokenizedNote,
    encoder_of,
    range_lists,
    tokenized_batches,
)
from sparkclin.stages.vector_pooler import VECTORS_TYPE, Floats, Pooled, Span, merge_results, only_row, vectors_column
from sparkclin.text.pieces import Ints
from sparkclin.text.segments import NotePieces, Part, SpanPlan, plan_spans
from sparkclin.text.windows import Range
from sparkclin.wire.annotations import ANNOTATIONS, DOCUMENT, annotator_type, code_words, documents
from sparkclin.wire.packed import Vocabulary, as_text, joined, marked, plan_packs

SPANS, NOTES, RESULTS = "spans", "notes", "results"

PIECES_A_CHUNK = 131_072
NOTES_A_CHUNK = 8_192
SPANS_A_CHUNK = 16_384
"""Where a chunk ends: with enough rows that those of a pack are of about equal length, and little to hold in memory.
Means and maxima of spans are held until the chunk's last pack has come: 100 MB at width 768."""

_INT = T.IntegerType()
_SPANS_TYPE = T.ArrayType(T.StructType([T.StructField(name, _INT) for name in ("note", "result", "size")]))
_COUNTS = [
    T.StructField(N_PIECES, _INT),
    T.StructField(N_WINDOWS, _INT),
    T.StructField(STATUS, T.StringType()),
]
_RESULTS_TYPE = T.ArrayType(T.StructType([T.StructField(name, _INT) for name in ("begin", "end")]))


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How notes become packs and packs results: what the tasks get.

    `carried` are the columns that notes keep on the way.
    """

    carried: tuple[str, ...]
    tokenization: Tokenization
    level: str
    pooling: str
    vocabulary: Vocabulary


def packed_schema(carried: Sequence[T.StructField]) -> T.StructType:
    """A row a pack."""
    note = T.StructType([*carried, *_COUNTS, T.StructField(RESULTS, _RESULTS_TYPE)])
    return T.StructType(
        [
            T.StructField(DOCUMENT, ANNOTATIONS, metadata=annotator_type(DOCUMENT)),
            T.StructField(SPANS, _SPANS_TYPE),
            T.StructField(NOTES, T.ArrayType(note)),
        ]
    )


def pooled_schema(carried: Sequence[T.StructField]) -> T.StructType:
    """A row a note."""
    return T.StructType([*carried, *_COUNTS, T.StructField(VECTORS, VECTORS_TYPE)])


@dataclass(eq=False)
class _Chunk:
    """Notes that are packed together: their pieces, their plans, and the columns that they keep, a row each."""

    notes: list[TokenizedNote] = field(default_factory=list)
    plans: list[SpanPlan] = field(default_factory=list)
    carried: list[pa.RecordBatch] = field(default_factory=list)
    n_pieces: int = 0
    n_spans: int = 0

    def add(self, note: TokenizedNote, plan: SpanPlan, carried: pa.RecordBatch) -> None:
        self.notes.append(note)
        self.plans.append(plan)
        self.carried.append(carried)
        self.n_pieces += len(note.pieces)
        self.n_spans += len(plan.parts)

    @property
    def is_full(self) -> bool:
        return self.n_pieces >= PIECES_A_CHUNK or len(self.notes) >= NOTES_A_CHUNK or self.n_spans >= SPANS_A_CHUNK


def pack_batches(
    batches: Iterator[pa.RecordBatch], *, tokenizer: SharedTokenizer, how: Packing
) -> Iterator[pa.RecordBatch]:
    """Arrow batches of notes -> a batch a pack, with the columns of packed_schema()."""
    encoder = encoder_of(tokenizer)
    words = code_words(how.vocabulary.n_marked)
    chunk = _Chunk()
    for batch, notes in tokenized_batches(batches, encoder=encoder, how=how.tokenization):
        carried = batch.select(how.carried)
        for index, note in enumerate(notes):
            plan = plan_spans(_pieces(note), level=how.level, pooling=how.pooling)
            chunk.add(note, plan, carried.slice(index, 1))
            if chunk.is_full:
                yield from _packed(chunk, how, words)
                chunk = _Chunk()
    if chunk.notes:
        yield from _packed(chunk, how, words)


@dataclass(frozen=True, eq=False)
class _Row:
    """A window on its way into a pack: its marked ids, its note's place in the chunk, and what is pooled of it."""

    ids: Ints
    note: int
    parts: Sequence[Part]


def _packed(chunk: _Chunk, how: Packing, words: pa.StringArray) -> Iterator[pa.RecordBatch]:
    rows = [
        row
        for index, (note, plan) in enumerate(zip(chunk.notes, chunk.plans, strict=True))
        for row in _rows(index, note, plan, how.vocabulary)
    ]
    packs = [[rows[index] for index in pack] for pack in plan_packs([len(row.ids) for row in rows])] or [[]]
    notes = _notes_column(chunk, how.carried)
    no_notes = pa.nulls(1, notes.type)
    for number, pack in enumerate(packs, start=1):
        texts = [as_text(joined([row.ids for row in pack], how.vocabulary), words=words)] if pack else []
        columns = [documents(texts), _spans_column(pack), notes if number == len(packs) else no_notes]
        yield pa.RecordBatch.from_arrays(columns, names=[DOCUMENT, SPANS, NOTES])


def _pieces(note: TokenizedNote) -> NotePieces:
    pieces = note.pieces
    return NotePieces(
        begins=pieces.begins, ends=pieces.ends, words=pieces.words, windows=note.windows, sentences=note.sentences
    )


def _rows(index: int, note: TokenizedNote, plan: SpanPlan, vocabulary: Vocabulary) -> Iterator[_Row]:
    """The windows that anything is pooled of."""
    of_window: list[list[Part]] = [[] for _ in note.windows]
    for part in plan.parts:
        of_window[part.window].append(part)
    for (begin, end), parts in zip(note.windows, of_window, strict=True):
        if parts:
            yield _Row(marked(note.pieces.ids[begin:end], parts, vocabulary), index, parts)


def _spans_column(pack: Sequence[_Row]) -> pa.ListArray:
    values = np.array(
        [(row.note, part.result, len(part)) for row in pack for part in row.parts], dtype=np.int32
    ).reshape(-1, 3)
    fields = [pa.array(np.ascontiguousarray(values[:, index])) for index in range(3)]
    structs = pa.StructArray.from_arrays(fields, names=["note", "result", "size"])
    return pa.ListArray.from_arrays(pa.array([0, len(structs)], pa.int32()), structs)


def _notes_column(chunk: _Chunk, carried: Sequence[str]) -> pa.ListArray:
    """One row: the chunk's notes."""
    columns = {
        **{name: pa.concat_arrays([batch.column(name) for batch in chunk.carried]) for name in carried},
        N_PIECES: pa.array([len(note.pieces) for note in chunk.notes], pa.int32()),
        N_WINDOWS: pa.array([len(note.windows) for note in chunk.notes], pa.int32()),
        STATUS: pa.array([note.status for note in chunk.notes], pa.string()),
        RESULTS: range_lists([plan.results for plan in chunk.plans]),
    }
    notes = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    return pa.ListArray.from_arrays(pa.array([0, len(notes)], pa.int32()), notes)


def unpack_batches(batches: Iterator[pa.RecordBatch], *, pooling: str) -> Iterator[pa.RecordBatch]:
    """Arrow batches of packs with their vectors (columns spans, notes, vectors) -> a batch a chunk, of pooled_schema().

    Raises IncompleteError, with the counts, where a pack has not a vector for each of its spans.
    """
    arrived: dict[int, list[tuple[int, Pooled]]] = {}
    for batch in batches:
        for index in range(batch.num_rows):
            row = batch.slice(index, 1)
            for note, result, pooled in _answers(row):
                arrived.setdefault(note, []).append((result, pooled))
            if row.column(NOTES).null_count == 0:
                yield _pooled(row.column(NOTES).flatten(), arrived, pooling)
                arrived = {}


def _answers(row: pa.RecordBatch) -> Iterator[tuple[int, int, Pooled]]:
    spans = row.column(SPANS).flatten()
    vectors: Floats = only_row(row.column(VECTORS))
    if len(spans) and (vectors.size == 0 or vectors.size % (2 * len(spans))):
        raise IncompleteError(
            f"{len(spans)} spans went into the model in a pack, {vectors.size} numbers came out: not a mean and a "
            "maximum of each. Check that the model is one that this version's `python -m export` made."
        )
    answers = vectors.reshape(len(spans), 2, -1) if len(spans) else np.empty((0, 2, 0), np.float32)
    fields = (spans.field(name).to_pylist() for name in ("note", "result", "size"))
    for note, result, size, (mean, largest) in zip(*fields, answers, strict=True):
        yield note, result, Pooled(size, mean, largest)


def _pooled(notes: pa.StructArray, arrived: dict[int, list[tuple[int, Pooled]]], pooling: str) -> pa.RecordBatch:
    ranges = _ranges(notes.field(RESULTS))
    spans: list[list[Span]] = [
        merge_results(results, arrived.get(index, []), pooling) for index, results in enumerate(ranges)
    ]
    names = [kept.name for kept in notes.type if kept.name != RESULTS]
    columns = [*(notes.field(name) for name in names), vectors_column(spans)]
    return pa.RecordBatch.from_arrays(columns, names=[*names, VECTORS])


def _ranges(column: pa.ListArray) -> list[list[Range]]:
    flat = column.flatten()
    ranges = zip(flat.field("begin").to_pylist(), flat.field("end").to_pylist(), strict=True)
    return [[next(ranges) for _ in range(size)] for size in column.value_lengths().to_pylist()]
