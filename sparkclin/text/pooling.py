"""The arithmetic of pooling: vectors of pieces, or what the graph made of a segment's parts -> a vector per segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparkclin.errors import IncompleteError
from sparkclin.text.pieces import Floats, Ints
from sparkclin.text.segments import SegmentPart, plan_segments
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.text.windows import Range

MEAN, MAX = "mean", "max"
"""What the graph can make of a part's vectors: the names of the embedding head's outputs."""

OUTPUTS_OF_POOLING = {"mean": (MEAN,), "cls": (MEAN,), "first": (MEAN,), "max": (MAX,), "mean_max": (MEAN, MAX)}
"""What a pooling needs of each part. The parts of cls and first are single positions, which the plan has chosen."""


@dataclass(frozen=True, eq=False)
class SegmentVector:
    """A segment's range in code points, and its vector, None where there is nothing to make one of."""

    begin: int
    end: int
    vector: Floats | None


@dataclass(frozen=True, eq=False)
class PartOutput:
    """What was made of a part of `size` pieces: its numbers, (numbers,), those of each output after the other.

    `segment` is the index of the segment in its note.
    """

    segment: int
    size: int
    numbers: NDArray[np.floating[Any]]


def pool_part(segment: int, vectors: Floats, outputs: Sequence[str]) -> PartOutput:
    """The outputs of a part from its vectors, (pieces, width), at least one. The mean is in float64."""
    made = {MEAN: lambda: vectors.mean(axis=0, dtype=np.float64), MAX: lambda: vectors.max(axis=0)}
    return PartOutput(segment, len(vectors), np.concatenate([made[output]() for output in outputs]))


def merge_parts(parts: Sequence[PartOutput], pooling: str) -> Floats:
    """The vector of a segment from its parts, at least one: (width,), or (2 width,) for mean_max.

    Each part has the outputs that OUTPUTS_OF_POOLING names.
    """
    numbers = np.stack([part.numbers for part in parts])
    outputs = OUTPUTS_OF_POOLING[pooling]
    width = numbers.shape[1] // len(outputs)
    by_output = {name: numbers[:, index * width : (index + 1) * width] for index, name in enumerate(outputs)}
    merged = []
    if MEAN in by_output:
        sizes = np.array([part.size for part in parts])
        merged.append((sizes @ by_output[MEAN] / sizes.sum()).astype(np.float32))
    if MAX in by_output:
        merged.append(by_output[MAX].max(axis=0).astype(np.float32))
    return np.concatenate(merged)


def merge_note(segments: Sequence[Range], parts: Sequence[PartOutput], pooling: str) -> list[SegmentVector]:
    """A note's segments, in order, from all its parts."""
    of_segment: list[list[PartOutput]] = [[] for _ in segments]
    for part in parts:
        of_segment[part.segment].append(part)
    return [
        SegmentVector(begin, end, merge_parts(found, pooling) if found else None)
        for (begin, end), found in zip(segments, of_segment, strict=True)
    ]


def pool_note(
    vectors: Floats, note: TokenizedNote, *, level: str, pooling: str, brings_cls: bool
) -> list[SegmentVector]:
    """A note's segments at a level, in order, from the vectors that the model gave, (pieces sent, width).

    `brings_cls`: each window has the vector of its first special piece in front.
    Raises IncompleteError, with the counts, where there is not a vector for every piece.
    """
    starts = window_starts(vectors, note.windows, brings_cls=brings_cls)
    plan = plan_segments(note, level=level, pooling=pooling)
    outputs = OUTPUTS_OF_POOLING[pooling]
    parts = [pool_part(part.segment, vectors[_rows_of(part, starts)], outputs) for part in plan.parts]
    return merge_note(plan.segments, parts, pooling)


def window_starts(vectors: Floats, windows: Sequence[Range], *, brings_cls: bool) -> Ints:
    """The row of each window's position 0, which is no row at all where the first special piece was not asked for."""
    sizes = np.array([end - begin for begin, end in windows], dtype=np.int32) + int(brings_cls)
    if len(vectors) != sizes.sum():
        raise IncompleteError(
            f"{sizes.sum()} pieces went into the model, {len(vectors)} vectors came out. Give the embeddings "
            "stage a maxSentenceLength of at least NoteTokenizer's maxPieces + 2, and VectorPooler the same cls as "
            "NoteTokenizer."
        )
    starts: Ints = (np.cumsum(sizes) - sizes - int(not brings_cls)).astype(np.int32)
    return starts


def _rows_of(part: SegmentPart, starts: Ints) -> slice:
    start = int(starts[part.window])
    return slice(start + part.begin, start + part.end)
