"""Attention by itself: what is masked weighs nothing, whatever its score, on every path and with every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from export.engines import EXPORTERS
from export.graph.attention import Projections, SlidingWindow
from export.graph.model_input import ModelInput
from export.graph.ops import Ops, Tensor
from tests.export.graphs import open_graph

Array = npt.NDArray[Any]

WINDOW = SlidingWindow(4)
PADDING = 200
LENGTHS = {"all in the window": 5, "band": 12, "blocks": 3 * WINDOW.block_size}


def id_attention(ops: Ops, ids: Tensor) -> Tensor:
    """A layer whose score of a piece, and whose value of it, is its id."""
    numbers = ops.reshape(ops.to_float(ids), (-1, ops.size(ids, axis=1), 1))
    visible = ops.to_int(ops.not_equal(ids, PADDING))
    model_input = ModelInput(ids=ids, positions=ids, visible=visible, token_types=None, has_global_attention=None)
    projected = Projections(query=numbers * 0.0 + 1.0, key=numbers, value=numbers)
    return WINDOW.attend(ops, projected, WINDOW.plan(ops, model_input), heads=1, width=1)


def rows(length: int) -> Array:
    """Two rows of small ids with some of 100 among them; the second half of the second row is padding.

    The first block has an id of 100 near its end, the last one near its begin: a block without a neighbour reads its
    own pieces in its place.
    """
    ids = np.random.default_rng(length).integers(0, 4, (2, length)).astype(np.int32)
    near_edges = (WINDOW.block_size - 2, 2 * WINDOW.block_size + 1)
    ids[:, [place for place in (length // 2, *near_edges) if place < length]] = 100
    ids[1, length // 2 + 1 :] = PADDING
    return ids


def expected(ids: Array) -> Array:
    """softmax(scores) · values over what each piece sees, in NumPy."""
    position = np.arange(ids.shape[1])
    in_window = np.abs(position[:, None] - position[None, :]) <= WINDOW.one_sided
    seen = in_window[None] & (ids != PADDING)[:, None, :]
    scores = np.where(seen, ids[:, None, :].astype(np.float64), -10_000.0)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    return np.asarray((weights / weights.sum(axis=2, keepdims=True) * ids[:, None, :]).sum(axis=2))


def test_the_lengths_take_all_three_paths() -> None:
    plain, band, blocks = LENGTHS.values()
    assert plain == WINDOW.one_sided + 1 < band <= WINDOW.dense_limit < blocks


@pytest.mark.parametrize("engine", EXPORTERS)
def test_what_is_masked_weighs_nothing(engine: str, tmp_path: Path) -> None:
    """The score of padding and of a piece out of sight is 100 above that of what is seen."""
    EXPORTERS[engine].graphs().write(tmp_path, id_attention, precision="fp32")
    run = open_graph(tmp_path, engine=engine)
    for length in LENGTHS.values():
        ids = rows(length)
        real = ids != PADDING
        found = run(ids, real.astype(np.int32))[..., 0]
        np.testing.assert_allclose(found[real], expected(ids)[real], atol=1e-4, rtol=0)
