"""A partition's notes, a chunk at a time: what goes through the model together, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from sparkclin.schema import N_PIECES, N_WINDOWS, STATUS, TEXT, VECTORS
from sparkclin.text.pieces import Ints, PieceEncoder
from sparkclin.text.pooling import PartOutput, SegmentVector
from sparkclin.text.segments import SegmentPart, SegmentPlan, sliced
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.text.vectors import FLOAT16, FLOAT32
from sparkclin.text.windows import Range, WindowOptions
from sparkclin.wire.arrow import float_lists, half_bytes, lists, struct
from sparkclin.wire.batches import NoteColumns, tokenized_batches
from sparkclin.wire.packed import tagged
from sparkclin.wire.tags import Vocabulary

Planner = Callable[[TokenizedNote], SegmentPlan]
"""Which segments a note has; must be picklable."""

Merger = Callable[[Sequence[Range], Sequence[PartOutput]], list[SegmentVector]]
"""A note's segments and the outputs of all its parts -> what each segment gets; must be picklable."""


@dataclass(frozen=True, kw_only=True)
class ChunkLimits:
    """Where a chunk ends: with enough rows that those of a batch are of about equal length, and little to hold in
    memory. The outputs of parts are held until the chunk's last batch has come: 100 MB at width 768."""

    pieces: int = 131_072
    notes: int = 8_192
    parts: int = 16_384


@dataclass(frozen=True, kw_only=True)
class ChunkOptions:
    """The options by which notes become chunks.

    `carried` are the columns that notes keep on the way, by name and type. With `with_text` each entry of `vectors` has
    the text of its range. With `divisible` each segment is merged alone, so that a note of very many segments may go on
    in the next chunk.
    """

    carried: pa.Schema
    columns: NoteColumns
    windows: WindowOptions
    plan: Planner
    vocabulary: Vocabulary
    with_text: bool = False
    divisible: bool = False
    limits: ChunkLimits = field(default_factory=ChunkLimits)


@dataclass(frozen=True, eq=False)
class TaggedWindow:
    """A window on its way into the model: its row, its note's index in the chunk, and its segment parts."""

    ids: Ints
    note: int
    parts: Sequence[SegmentPart]


@dataclass(frozen=True, eq=False)
class Held:
    """A row that waits for its outputs: the ranges of its segments, the index of the first of them in the note, and the
    text from the begin of the first to the end of the last, if entries are to have their text."""

    segments: Sequence[Range]
    first: int
    text: str | None = None

    def cut(self, begin: int, end: int) -> str:
        """Return the text of a range of the note."""
        assert self.text is not None  # asked only with `with_text`
        before = self.segments[0][0]
        return self.text[begin - before : end - before]


def held(note: TokenizedNote, plan: SegmentPlan, *, with_text: bool) -> Held:
    """Return what merging the outputs of a plan needs to know."""
    ends = (plan.segments[0][0], plan.segments[-1][1]) if plan.segments else (0, 0)
    return Held(plan.segments, plan.first, note.text[slice(*ends)] if with_text else None)


@dataclass(eq=False)
class Chunk:
    """Notes, or slices of a long one, with their plans and the columns that they keep, one row each."""

    notes: list[TokenizedNote] = field(default_factory=list)
    plans: list[SegmentPlan] = field(default_factory=list)
    kept: list[pa.RecordBatch] = field(default_factory=list)
    n_pieces: int = 0
    n_parts: int = 0

    def add(self, note: TokenizedNote, plan: SegmentPlan, kept: pa.RecordBatch) -> None:
        self.notes.append(note)
        self.plans.append(plan)
        self.kept.append(kept)
        self.n_pieces += len(note.pieces)
        self.n_parts += len(plan.parts)

    def is_full(self, limits: ChunkLimits) -> bool:
        return self.n_pieces >= limits.pieces or len(self.notes) >= limits.notes or self.n_parts >= limits.parts

    def windows(self, vocabulary: Vocabulary) -> list[TaggedWindow]:
        """Those that hold a part of a segment, note by note."""
        return [
            window
            for index, (note, plan) in enumerate(zip(self.notes, self.plans, strict=True))
            for window in tagged_windows(index, note, plan, vocabulary)
        ]

    def columns(self, carried: pa.Schema) -> dict[str, pa.Array]:
        """Return a row per note: the columns that it keeps, and its counts and status. A row that goes on with a note
        repeats the former; the latter are null there, so that every note is counted once."""
        begins = [None if plan.first else note for note, plan in zip(self.notes, self.plans, strict=True)]
        return {
            **{name: pa.concat_arrays([batch.column(name) for batch in self.kept]) for name in carried.names},
            N_PIECES: pa.array([note and len(note.pieces) for note in begins], pa.int32()),
            N_WINDOWS: pa.array([note and len(note.windows) for note in begins], pa.int32()),
            STATUS: pa.array([note and note.status for note in begins], pa.string()),
        }

    def held(self, *, with_text: bool) -> list[Held]:
        """Return what merging needs to know of each row."""
        return [held(note, plan, with_text=with_text) for note, plan in zip(self.notes, self.plans, strict=True)]


def chunks(batches: Iterator[pa.RecordBatch], *, encoder: PieceEncoder, options: ChunkOptions) -> Iterator[Chunk]:
    """Arrow batches of a partition's notes -> chunks with every note once, in order, or in slices of its segments."""
    chunk = Chunk()
    for batch, notes in tokenized_batches(batches, encoder=encoder, columns=options.columns, options=options.windows):
        kept = batch.select(options.carried.names)
        for index, note in enumerate(notes):
            plan = options.plan(note)
            for part in sliced(plan, most_parts=options.limits.parts) if options.divisible else (plan,):
                chunk.add(note, part, kept.slice(index, 1))
                if chunk.is_full(options.limits):
                    yield chunk
                    chunk = Chunk()
    if chunk.notes:
        yield chunk


def tagged_windows(
    index: int, note: TokenizedNote, plan: SegmentPlan, vocabulary: Vocabulary
) -> Iterator[TaggedWindow]:
    """Those of a note, the chunk's `index`th, that hold a part of a segment."""
    of_window: list[list[SegmentPart]] = [[] for _ in note.windows]
    for part in plan.parts:
        of_window[part.window].append(part)
    for (begin, end), parts in zip(note.windows, of_window, strict=True):
        if parts:
            yield TaggedWindow(tagged(note.pieces.ids[begin:end], parts, vocabulary, pair=note.pair), index, parts)


def with_vectors(
    columns: Mapping[str, pa.Array],
    rows: Sequence[Held],
    parts: Mapping[int, Sequence[PartOutput]],
    merge: Merger,
    *,
    dtype: str,
) -> pa.RecordBatch:
    """Return rows with the column `vectors`. `parts` are the outputs by the index of their row; `dtype` as in
    vectors_column()."""
    merged = [merge(row.segments, parts.get(index, ())) for index, row in enumerate(rows)]
    return pa.RecordBatch.from_arrays(
        [*columns.values(), vectors_column(merged, rows, dtype=dtype)], names=[*columns, VECTORS]
    )


def vectors_column(
    merged: Sequence[Sequence[SegmentVector]], rows: Sequence[Held], *, dtype: str = FLOAT32
) -> pa.ListArray:
    """Return the column `vectors`, a list for each row: structs of index, begin, end and vector, and text if the rows
    have it. A vector is a list of floats, or bytes in float16; OptionError for numbers that float16 does not have."""
    segments = [segment for of_row in merged for segment in of_row]
    vectors = [segment.vector for segment in segments]
    numbers = [row.first + index for row, of_row in zip(rows, merged, strict=True) for index in range(len(of_row))]
    columns = {
        "index": pa.array(numbers, pa.int32()),
        "begin": pa.array([segment.begin for segment in segments], pa.int32()),
        "end": pa.array([segment.end for segment in segments], pa.int32()),
        "vector": half_bytes(vectors) if dtype == FLOAT16 else float_lists(vectors),
    }
    if any(row.text is not None for row in rows):
        texts = [row.cut(each.begin, each.end) for row, of_row in zip(rows, merged, strict=True) for each in of_row]
        columns[TEXT] = pa.array(texts, pa.string())
    return lists([len(of_row) for of_row in merged], struct(columns))
