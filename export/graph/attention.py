"""Sliding-window attention, exact (Beltagy et al., 2020, section 3.1).

Piece i sees the pieces j with |i − j| ≤ reach that are not padding. Three ways to the same numbers, by the length of
the row:

- up to reach + 1 pieces everybody sees everybody: plain attention;
- up to `dense_limit` plain attention with a band mask costs less than the blocks' copies;
- beyond, queries go in blocks of B against the keys of their own block and of `sides` blocks to each side.

Shapes: rows R, pieces P, heads H, size D; blocks N of B pieces, keys K = (2 · sides + 1) · B.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.graph.ops import Ops, Tensor

# Added to the score of what must not be seen. exp() of it is 0 in fp32, and unlike −inf it cannot make a NaN of a row
# of padding, in which nothing may be seen at all.
HIDDEN = -1e9


def block_size(reach: int) -> int:
    """Queries a block: large enough for a good matrix product, small enough that few keys out of reach are read."""
    return 128 if reach >= 128 else 64


def block_sides(reach: int) -> int:
    """Blocks of keys to each side that hold all pieces within reach."""
    return -(-reach // block_size(reach))


def dense_limit(reach: int) -> int:
    """The longest row for which dense attention is cheaper than blocks: it was measured near 3 · reach."""
    return 3 * reach + 2


def pad_to_blocks(ops: Ops, ids: Tensor, *, reaches: Iterable[int], pad_id: int) -> Tensor:
    """(R, P) -> (R, P'): a row that goes in blocks is made of whole ones, once, and not again in every layer."""
    size = max(map(block_size, reaches))
    pieces = ops.size(ids, axis=1)
    is_short = ops.less_equal(pieces, min(map(dense_limit, reaches)))
    missing = ops.where(is_short, 0, ops.mod(0 - pieces, size))
    return ops.pad(ids, axis=1, before=0, after=missing, value=pad_id)


@dataclass(frozen=True, kw_only=True)
class AttentionPlan:
    """What all layers of a reach share, made once.

    `is_short` is a scalar: take the dense way. `dense_mask` (R, 1, 1 or P, P) and `block_mask` (R, 1, N, B, K) are
    score offsets, 0 or HIDDEN; `neighbours` (N, 2 · sides + 1) the blocks whose keys a block reads. Each is made inside
    its way's condition, so that a long row never builds a (P, P) band; the other way has a placeholder of zeros.
    """

    reach: int
    is_short: Tensor
    dense_mask: Tensor
    block_mask: Tensor
    neighbours: Tensor

    @classmethod
    def build(cls, ops: Ops, visible: Tensor, *, reach: int) -> AttentionPlan:
        """`visible` int (R, P): 1 where a piece may be seen. P is whole blocks where it is over dense_limit."""
        with ops.scope(f"attention_{reach}"):
            hidden = (1.0 - ops.to_float(visible)) * HIDDEN
            is_short = ops.less_equal(ops.size(visible, axis=1), dense_limit(reach))

            return cls(
                reach=reach,
                is_short=is_short,
                dense_mask=ops.cond(
                    is_short,
                    lambda: dense_mask(ops, hidden, reach=reach),
                    lambda: ops.constant(np.zeros((1, 1, 1, 1), np.float32), "no_mask"),
                ),
                block_mask=ops.cond(
                    is_short,
                    lambda: ops.constant(np.zeros((1, 1, 1, 1, 1), np.float32), "no_mask"),
                    lambda: block_mask(ops, hidden, reach=reach),
                ),
                neighbours=ops.cond(
                    is_short,
                    lambda: ops.reshape(ops.range(1), (1, 1)),
                    lambda: clipped(ops, neighbours(ops, hidden, reach=reach), hidden, reach=reach),
                ),
            )


def dense_mask(ops: Ops, hidden: Tensor, *, reach: int) -> Tensor:
    """(R, P) -> (R, 1, 1, P) where the band holds the whole row, else (R, 1, P, P)"""
    pieces = ops.size(hidden, axis=1)
    padding = ops.reshape(hidden, (-1, 1, 1, pieces))

    def banded() -> Tensor:
        place = ops.range(pieces)
        distance = ops.abs(ops.reshape(place, (-1, 1)) - ops.reshape(place, (1, -1)))
        return padding + ops.to_float(ops.less(reach, distance)) * HIDDEN

    return ops.cond(ops.less_equal(pieces, reach + 1), lambda: padding, banded)


def block_mask(ops: Ops, hidden: Tensor, *, reach: int) -> Tensor:
    """(R, P) -> (R, 1, N, B, K)"""
    size, near = block_size(reach), 2 * block_sides(reach) + 1
    wanted = neighbours(ops, hidden, reach=reach)
    there = clipped(ops, wanted, hidden, reach=reach)
    blocks = n_blocks(ops, hidden, reach=reach)
    padding = ops.gather(ops.reshape(hidden, (-1, blocks, size)), there, axis=1)  # (R, N, near, B)
    outside = ops.to_float(ops.not_equal(wanted, there)) * HIDDEN
    # Hidden offsets may add up: exp() of the sum is 0 all the same.
    keys = padding + ops.reshape(outside, (blocks, near, 1))
    return ops.reshape(keys, (-1, 1, blocks, 1, near * size)) + ops.constant(band(reach), "band")


def n_blocks(ops: Ops, hidden: Tensor, *, reach: int) -> Tensor:
    return ops.size(hidden, axis=1) // block_size(reach)


def neighbours(ops: Ops, hidden: Tensor, *, reach: int) -> Tensor:
    """(N, 2 · sides + 1): the blocks around each block, those before the first and after the last included."""
    sides = block_sides(reach)
    shifts = ops.reshape(ops.range(2 * sides + 1), (1, -1)) - sides
    return ops.reshape(ops.range(n_blocks(ops, hidden, reach=reach)), (-1, 1)) + shifts


def clipped(ops: Ops, wanted: Tensor, hidden: Tensor, *, reach: int) -> Tensor:
    """A neighbour that does not exist is one that does: what is read there is masked."""
    return ops.clip(wanted, low=0, high=n_blocks(ops, hidden, reach=reach) - 1)


def band(reach: int) -> npt.NDArray[np.float32]:
    """(B, K): which keys of its neighbourhood a query of a block reaches."""
    size, sides = block_size(reach), block_sides(reach)
    query = np.arange(size)[:, None]
    key = np.arange((2 * sides + 1) * size)[None, :] - sides * size
    return np.where(np.abs(query - key) <= reach, 0.0, HIDDEN).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Projections:
    """Queries, keys and values, (R, P, W) each; the queries are already scaled by 1 / √D."""

    query: Tensor
    key: Tensor
    value: Tensor


def attend(ops: Ops, projected: Projections, plan: AttentionPlan, *, heads: int, width: int) -> Tensor:
    """-> context (R, P, W)"""
    pieces = ops.size(projected.query, axis=1)
    size = width // heads

    def by_head(x: Tensor) -> Tensor:  # (R, P, W) -> (R, H, P, D)
        return ops.transpose(ops.reshape(x, (-1, pieces, heads, size)), (0, 2, 1, 3))

    def dense() -> Tensor:
        query, key, value = (by_head(x) for x in (projected.query, projected.key, projected.value))
        return weigh(ops, query, key, value, plan.dense_mask)

    def in_blocks() -> Tensor:
        block, near = block_size(plan.reach), 2 * block_sides(plan.reach) + 1
        blocks = pieces // block

        def around(x: Tensor) -> Tensor:  # (R, P, W) -> (R, H, N, K, D), the only copy of keys or values
            runs = ops.gather(ops.reshape(by_head(x), (-1, heads, blocks, block * size)), plan.neighbours, axis=2)
            return ops.reshape(runs, (-1, heads, blocks, near * block, size))

        query = ops.reshape(by_head(projected.query), (-1, heads, blocks, block, size))
        context = weigh(ops, query, around(projected.key), around(projected.value), plan.block_mask)
        return ops.reshape(context, (-1, heads, pieces, size))

    context = ops.cond(plan.is_short, dense, in_blocks)  # (R, H, P, D)
    return ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, pieces, width))


def weigh(ops: Ops, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """softmax(Q · Kᵀ + mask) · V (Vaswani et al., 2017); the queries are already scaled by 1 / √D.

    query (…, Q, D), key and value (…, K, D), mask broadcasts to (…, Q, K) -> (…, Q, D)
    """
    scores = ops.matmul(query, key, transpose_b=True) + mask
    return ops.matmul(ops.softmax(scores), value)
