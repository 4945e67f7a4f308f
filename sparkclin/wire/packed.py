"""Packs: windows of about equal length in one row, and which of their pieces are pooled into one vector.

Spark NLP puts a fixed number of rows into a batch, whatever their length. A pack is a whole batch in a single row: its
windows one after the other, each with its first and last special piece, padded to one length; the graph cuts it up
again (`export.graph.packed`). What is pooled is said by the ids: each piece of a pack has one of three marks, and is
sent as mark · V + piece id. The answer is the mean and the maximum of each span, side by side, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sparkclin.text.pieces import Ints
from sparkclin.text.segments import Part

CONTINUES_SPAN, BEGINS_SPAN, NOT_POOLED = range(3)
N_MARKS = 3
"""The marks of a piece: one more of the span of the piece before; first of a span; read, but in no span."""

PIECES_A_PACK = 512
"""What a forward pass is worth: enough to keep a core's matrix products busy, little enough for its caches, and for
rows of about equal length to be found in small partitions."""

MAX_PADDING = 0.1
"""The most that padding may be of a pack."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What of a model's vocabulary packs need: V, and the ids of its special pieces."""

    size: int
    cls_id: int
    sep_id: int
    pad_id: int

    @property
    def n_marked(self) -> int:
        """Ids 0…n_marked − 1 are those of marked pieces. A carrier's own special pieces follow; the first of them
        begins every row, and by that the graph knows a pack."""
        return N_MARKS * self.size


def marked(ids: Ints, parts: Sequence[Part], vocabulary: Vocabulary) -> Ints:
    """A window's piece ids -> its row, with special pieces and marks. `parts` are the window's, in order."""
    row = np.concatenate([[vocabulary.cls_id], ids, [vocabulary.sep_id]]).astype(np.int32)
    marks = np.full(len(row), NOT_POOLED, np.int32)
    for part in parts:
        marks[part.begin : part.end] = CONTINUES_SPAN
        marks[part.begin] = BEGINS_SPAN
    return row + marks * np.int32(vocabulary.size)


def plan_packs(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Which rows go into a pack together: the indices of `lengths`, every one once.

    Longest first; a pack is closed where one more row would pass PIECES_A_PACK or MAX_PADDING. A row that is longer
    than a pack is one by itself.
    """
    pack: list[int] = []
    longest = held = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        size = (len(pack) + 1) * longest
        if pack and (size > PIECES_A_PACK or held + lengths[index] < (1 - MAX_PADDING) * size):
            yield pack
            pack = []
        if not pack:
            longest, held = lengths[index], 0
        pack.append(index)
        held += lengths[index]
    if pack:
        yield pack


def joined(rows: Sequence[Ints], vocabulary: Vocabulary) -> Ints:
    """Rows, padded to the longest and put one after the other: the ids of a pack."""
    return padded(rows, padding=NOT_POOLED * vocabulary.size + vocabulary.pad_id).reshape(-1)


def padded(rows: Sequence[Ints], *, padding: int) -> Ints:
    """Rows of ids, each padded to the longest: (rows, pieces)"""
    ids = np.full((len(rows), max(map(len, rows))), padding, np.int32)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
    return ids


def as_text(pack: Ints, *, words: pa.StringArray) -> str:
    """A pack as the text that Spark NLP is given; `words` has the code of every marked id."""
    return "".join(f" {word}" for word in words.take(pa.array(pack)).to_pylist())
