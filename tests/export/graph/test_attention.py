"""Attention by itself: what is masked weighs nothing, whatever its score, on every path and with every engine."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sparkclin.export.engines import SPARK_NLP_EXPORTERS
from sparkclin.export.graph.attention import Attention, FullAttention, Projections, pad_rows
from sparkclin.export.graph.block_sparse import BlockSparse
from sparkclin.export.graph.model_input import ModelInput
from sparkclin.export.graph.ops import Ops, Tensor
from sparkclin.export.graph.sliding_window import SlidingWindow
from tests.export.graphs import open_graph

Array = npt.NDArray[Any]

WINDOW = SlidingWindow(4)
BLOCKS = BlockSparse(block_size=4, random_blocks=2)
PADDING = 200
NEAR_EDGES = (WINDOW.block_size - 2, 2 * WINDOW.block_size + 1)
"""A block without a neighbour reads its own pieces in its place."""

LENGTHS: dict[Attention, tuple[int, ...]] = {
    FullAttention(): (1, 30),
    WINDOW: (WINDOW.one_sided + 1, WINDOW.dense_limit, 3 * WINDOW.block_size),
    # Full attention, both in a batch (the second row has half the length), blocks alone.
    BLOCKS: (BLOCKS.dense_limit, BLOCKS.dense_limit + 1, BLOCKS.dense_limit + 8, 2 * BLOCKS.dense_limit + 4),
}
"""Rows for every path of each attention, of whole blocks where they go in blocks."""


def id_attention(ops: Ops, ids: Tensor, *, attention: Attention) -> Tensor:
    """A layer whose score of a piece, and whose value of it, is its id."""
    padded = pad_rows(ops, ids, attention=[attention], padding=PADDING)
    numbers = ops.reshape(ops.to_float(padded), (-1, ops.size(padded, axis=1), 1))
    visible = ops.to_int(ops.not_equal(padded, PADDING))
    model_input = ModelInput(ids=padded, positions=padded, visible=visible, token_types=None, n_global=None)
    projected = Projections(query=numbers * 0.0 + 1.0, key=numbers, value=numbers, states=numbers)
    context = attention.attend(ops, projected, attention.plan(ops, model_input), heads=1, width=1)
    return ops.slice(context, axis=1, begin=0, end=ops.size(ids, axis=1))


def rows(length: int) -> Array:
    """Two rows of small ids with some of 100 among them, near the edges of blocks too; the second half of the second
    row is padding."""
    ids = np.random.default_rng(length).integers(0, 4, (2, length)).astype(np.int32)
    ids[:, [place for place in (length // 2, *NEAR_EDGES, 30) if place < length]] = 100
    ids[1, length // 2 + 1 :] = PADDING
    return ids


def expected(row: Array, attention: Attention) -> Array:
    """softmax(scores) · values over what each piece of a row sees, in NumPy."""
    row = row[row != PADDING].astype(np.float64)
    times = seen(len(row), attention)
    weights = times * np.exp(row - row.max())
    return np.asarray((weights / weights.sum(axis=1, keepdims=True)) @ row)


def seen(length: int, attention: Attention) -> Array:
    """How many times each piece of a row sees each other one, (length, length)."""
    position = np.arange(length)
    if isinstance(attention, SlidingWindow):
        return np.asarray(np.abs(position[:, None] - position[None, :]) <= attention.one_sided)
    if isinstance(attention, BlockSparse) and length > attention.dense_limit:
        return seen_by_blocks(position // attention.block_size, random_blocks=attention.random_blocks)
    return np.ones((length, length))


def seen_by_blocks(block: Array, *, random_blocks: int) -> Array:
    """BigBird's figure: `block` is the block of each piece."""
    query, key, last = block[:, None], block[None, :], block[-1]
    is_global = (query == 0) | (query == last)
    sees = is_global | (key == 0) | (key == last) | (np.abs(query - key) <= 1)
    return np.where(~is_global & (key == 0), 1 + random_blocks, sees)


@pytest.mark.parametrize("attention", LENGTHS, ids=lambda attention: type(attention).__name__)
@pytest.mark.parametrize("engine", SPARK_NLP_EXPORTERS)
def test_what_is_masked_weighs_nothing(attention: Attention, engine: str, tmp_path: Path) -> None:
    """The score of padding and of a piece out of sight is 100 above that of what is seen."""
    SPARK_NLP_EXPORTERS[engine].graphs().write(tmp_path, partial(id_attention, attention=attention), precision="fp32")
    run = open_graph(tmp_path, engine=engine)
    for length in LENGTHS[attention]:
        ids = rows(length)
        real = ids != PADDING
        found = run(ids, real.astype(np.int32))[..., 0]
        for row, values, is_real in zip(ids, found, real, strict=True):
            np.testing.assert_allclose(values[is_real], expected(row, attention), atol=1e-4, rtol=0)
