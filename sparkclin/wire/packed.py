"""A packed batch: windows of about equal length in one row, and which of their pieces belong to which segment.

Spark NLP puts a fixed number of rows into a batch, whatever their length. A packed batch is a whole batch in a single
row: its windows one after the other, each with its first and last special piece, padded to one length. The graph cuts
it up again (`sparkclin.export.graph.packed`) and gives the outputs of each segment part, in order.

For example, V = 100, `<s>` 0, `<pad>` 1, `</s>` 2, and the windows [7, 8, 9] and [5], each one segment:

    ids of the rows       0    7    8    9    2        0    5    2    1    1
    segment tags          OUT  BEG  INS  INS  OUT      OUT  BEG  OUT  OUT  OUT
    sent                  200  107  8    9    202      200  105  202  201  201

Before them stand the request, which outputs are wanted, and the number of rows, here 2. A request's ids follow those of
positions and of the host annotator's special pieces, so that request 1 is sent as 300 + 8 + 1 = 309.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from sparkclin.text.pieces import Ints
from sparkclin.text.segments import SegmentPart
from sparkclin.text.tokenization import NO_PAIR, PairIds
from sparkclin.wire.tags import BEGIN, INSIDE, OUTSIDE, Vocabulary

PIECES_PER_BATCH = 512
"""What a forward pass is worth: enough to keep a core's matrix products busy, little enough for its caches, and for
rows of about equal length to be found in small partitions."""

MAX_PADDING = 0.1
"""The most that padding may be of a packed batch."""


def tagged(ids: Ints, parts: Sequence[SegmentPart], vocabulary: Vocabulary, *, pair: PairIds = NO_PAIR) -> Ints:
    """A window's piece ids -> its row of a packed batch, with special pieces, tags, and what it is read with.

    `parts` are the window's, in order; their positions do not count what stands before the window.
    """
    row = np.concatenate([[vocabulary.cls_id], pair.before, ids, pair.behind, [vocabulary.sep_id]]).astype(np.int32)
    tags = np.full(len(row), OUTSIDE, np.int32)
    for part in parts:
        shift = len(pair.before) if part.begin else 0  # the first special piece stands first
        tags[part.begin + shift : part.end + shift] = INSIDE
        tags[part.begin + shift] = BEGIN
    return row + tags * np.int32(vocabulary.size)


def plan_batches(lengths: Sequence[int], *, limits: Sequence[int] = ()) -> Iterator[list[int]]:
    """Which rows go into a batch together: the indices of `lengths`, every one once.

    Longest first; a batch is closed where one more row would pass PIECES_PER_BATCH or MAX_PADDING. A row that is longer
    than a batch is one by itself. Rows on both sides of one of `limits`, ascending lengths, are never together.
    """
    batch: list[int] = []
    longest = held = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        size = (len(batch) + 1) * longest
        is_full = size > PIECES_PER_BATCH or held + lengths[index] < (1 - MAX_PADDING) * size
        if batch and (is_full or bisect_left(limits, lengths[index]) < bisect_left(limits, longest)):
            yield batch
            batch = []
        if not batch:
            longest, held = lengths[index], 0
        batch.append(index)
        held += lengths[index]
    if batch:
        yield batch


def concatenated(rows: Sequence[Ints], vocabulary: Vocabulary, *, request: int | None) -> Ints:
    """Rows, padded to the longest and put one after the other behind the request and their number: the ids of a packed
    batch.

    `request` is None for a graph that always gives all outputs, and is not told; it counts the rows by their first
    special piece.
    """
    told = [] if request is None else [vocabulary.first_request + request, len(rows)]
    return np.concatenate([told, padded_rows(rows, vocabulary).reshape(-1)]).astype(np.int32)


def padded_rows(rows: Sequence[Ints], vocabulary: Vocabulary) -> Ints:
    """Rows with tags, each padded to the longest by what is in no segment: (rows, pieces)"""
    return padded(rows, padding=OUTSIDE * vocabulary.size + vocabulary.pad_id)


def padded(rows: Sequence[Ints], *, padding: int) -> Ints:
    """Rows of ids, each padded to the longest: (rows, pieces)"""
    ids = np.full((len(rows), max(map(len, rows))), padding, np.int32)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
    return ids


def as_text(batch: Ints, *, words: pa.StringArray) -> str:
    """The ids of a packed batch as the text that Spark NLP is given; `words` has the code of every id."""
    return "".join(f" {word}" for word in words.take(pa.array(batch)).to_pylist())
