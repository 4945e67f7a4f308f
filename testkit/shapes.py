"""Rows of every shape that a worker's model can be given."""

from __future__ import annotations

import random

import numpy as np

from sparkclin.text.pieces import Ints
from sparkclin.wire.packed import PIECES_PER_BATCH
from sparkclin.wire.tags import BEGIN, INSIDE, OUTSIDE, Vocabulary

SHORTEST_ROW = 3
"""One piece between the special ones, in ids."""

PARTS_PER_PIECE = 0.1
"""Of random rows."""


def batch_shapes(longest: int) -> list[tuple[int, int]]:
    """Return the shapes (rows, ids) of all batches that plan_batches() can make of rows of up to `longest` ids, in a
    random order that is the same every time."""
    lengths = range(SHORTEST_ROW, longest + 1)
    shapes = [(rows, length) for length in lengths for rows in range(1, max(1, PIECES_PER_BATCH // length) + 1)]
    random.Random(0).shuffle(shapes)
    return shapes


def random_rows(generator: np.random.Generator, shape: tuple[int, int], vocabulary: Vocabulary) -> Ints:
    """Return tagged ids (rows, ids) of such a batch: full rows of random pieces, in segment parts of random lengths."""
    ids = generator.integers(0, vocabulary.size, shape)
    tags = np.where(generator.random(shape) < PARTS_PER_PIECE, BEGIN, INSIDE)
    ids[:, 0], ids[:, -1] = vocabulary.cls_id, vocabulary.sep_id
    tags[:, 0], tags[:, 1], tags[:, -1] = OUTSIDE, BEGIN, OUTSIDE
    rows: Ints = (ids + tags * vocabulary.size).astype(np.int32)
    return rows
