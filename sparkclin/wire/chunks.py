"""A partition's notes, a chunk at a time: what goes through the model together, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from sparkclin.schema import N_PIECES, N_WINDOWS, STATUS, VECTORS
from sparkclin.text.pieces import Ints, PieceEncoder
from sparkclin.text.pooling import PartOutput, SegmentVector
from sparkclin.text.segments import SegmentPart, SegmentPlan
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
    """How notes become chunks. `carried` are the columns that notes keep on the way, by name and type."""

    carried: pa.Schema
    columns: NoteColumns
    windows: WindowOptions
    plan: Planner
    vocabulary: Vocabulary
    limits: ChunkLimits = field(default_factory=ChunkLimits)


@dataclass(frozen=True, eq=False)
class TaggedWindow:
    """A window on its way into the model: its row, its note's index in the chunk, and its segment parts."""

    ids: Ints
    note: int
    parts: Sequence[SegmentPart]


@dataclass(eq=False)
class Chunk:
    """Notes, their plans, and the columns that they keep, one row each."""

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
        """A row per note: what it keeps, and what is known of it."""
        return {
            **{name: pa.concat_arrays([batch.column(name) for batch in self.kept]) for name in carried.names},
            N_PIECES: pa.array([len(note.pieces) for note in self.notes], pa.int32()),
            N_WINDOWS: pa.array([len(note.windows) for note in self.notes], pa.int32()),
            STATUS: pa.array([note.status for note in self.notes], pa.string()),
        }


def chunks(batches: Iterator[pa.RecordBatch], *, encoder: PieceEncoder, options: ChunkOptions) -> Iterator[Chunk]:
    """Arrow batches of a partition's notes -> chunks with every note once, in order."""
    chunk = Chunk()
    for batch, notes in tokenized_batches(batches, encoder=encoder, columns=options.columns, options=options.windows):
        kept = batch.select(options.carried.names)
        for index, note in enumerate(notes):
            chunk.add(note, options.plan(note), kept.slice(index, 1))
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
    segments: Sequence[Sequence[Range]],
    parts: Mapping[int, Sequence[PartOutput]],
    merge: Merger,
    *,
    dtype: str,
) -> pa.RecordBatch:
    """The rows of notes with the column `vectors`. `segments` are those of each note, `parts` the outputs by its
    index; `dtype` as in vectors_column()."""
    merged = [merge(of_note, parts.get(index, ())) for index, of_note in enumerate(segments)]
    return pa.RecordBatch.from_arrays(
        [*columns.values(), vectors_column(merged, dtype=dtype)], names=[*columns, VECTORS]
    )


def vectors_column(notes: Sequence[Sequence[SegmentVector]], *, dtype: str = FLOAT32) -> pa.ListArray:
    """The column `vectors`, a row per note: a list of structs of index, begin, end, vector. A vector is a list of
    floats, or bytes in float16; OptionError for numbers that float16 has not."""
    segments = [segment for note in notes for segment in note]
    vectors = [segment.vector for segment in segments]
    entries = struct(
        {
            "index": pa.array([index for note in notes for index in range(len(note))], pa.int32()),
            "begin": pa.array([segment.begin for segment in segments], pa.int32()),
            "end": pa.array([segment.end for segment in segments], pa.int32()),
            "vector": half_bytes(vectors) if dtype == FLOAT16 else float_lists(vectors),
        }
    )
    return lists([len(note) for note in notes], entries)
