"""Sliding-window attention, exact (Beltagy et al., 2020, section 3.1).

Piece i sees the pieces j with |i − j| ≤ reach that are not padding. Three ways to the same numbers, by the length of
the row:

- up to reach + 1 pieces everybody sees everybody: plain attention;
- up to `dense_limit` plain attention with a band mask costs less than the blocks' copies;
- beyond, queries go in blocks of B against the keys of their own block and of `sides` blocks to each side.

Shapes: rows R, pieces P, heads H, size D; blocks N of B pieces, keys K = (2 · sides + 1) · B.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

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


@dataclass(frozen=True, kw_only=True)
class AttentionMasks:
    """Score offsets (0 or HIDDEN), made once and shared by all layers of a reach.

    `dense[reach]` is (R, 1, 1 or P, P); `blocks[reach]` is (N, R, 1, B, K); `is_short[reach]` is a scalar: take the
    dense way. A mask is built inside its branch's condition, so that a long row never builds a (P, P) band.
    """

    dense: dict[int, Tensor]
    blocks: dict[int, Tensor]
    is_short: dict[int, Tensor]

    @classmethod
    def build(cls, ops: Ops, visible: Tensor, *, reaches: tuple[int, ...]) -> AttentionMasks:
        """`visible` int (R, P): 1 where a piece may be seen."""
        with ops.scope("masks"):
            hidden = (1.0 - ops.to_float(visible)) * HIDDEN
            pieces = ops.size(visible, axis=1)
            is_short = {reach: ops.less_equal(pieces, dense_limit(reach)) for reach in set(reaches)}
            nothing = ops.constant(np.zeros((1, 1, 1, 1), np.float32), "nothing")
            no_blocks = ops.constant(np.zeros((1, 1, 1, 1, 1), np.float32), "no_blocks")
            dense = {
                reach: ops.cond(short, partial(dense_mask, ops, hidden, reach=reach), lambda: nothing)
                for reach, short in is_short.items()
            }
            blocks = {
                reach: ops.cond(short, lambda: no_blocks, partial(block_mask, ops, hidden, reach=reach))
                for reach, short in is_short.items()
            }
            return cls(dense=dense, blocks=blocks, is_short=is_short)


def dense_mask(ops: Ops, hidden: Tensor, *, reach: int) -> Tensor:
    """(R, P) -> (R, 1, 1, P) where the band holds the whole row, else (R, 1, P, P)"""
    pieces = ops.size(hidden, axis=1)
    padding = ops.reshape(hidden, (-1, 1, 1, pieces))

    def banded() -> Tensor:
        place = ops.range_like(hidden, axis=1)
        distance = ops.abs(ops.reshape(place, (-1, 1)) - ops.reshape(place, (1, -1)))
        return padding + ops.to_float(ops.less(reach, distance)) * HIDDEN

    return ops.cond(ops.less_equal(pieces, reach + 1), lambda: padding, banded)


def block_mask(ops: Ops, hidden: Tensor, *, reach: int) -> Tensor:
    """(R, P) -> (N, R, 1, B, K)"""
    size, sides = block_size(reach), block_sides(reach)
    pieces = ops.size(hidden, axis=1)
    blocks = (pieces + (size - 1)) // size
    padded = ops.pad(hidden, axis=1, before=sides * size, after=(blocks + sides) * size - pieces, value=HIDDEN)
    by_block = ops.transpose(ops.reshape(padded, (-1, blocks + 2 * sides, size)), (1, 0, 2))
    keys = ops.concat(neighbours(ops, by_block, blocks=blocks, sides=sides), axis=2)
    padding = ops.reshape(keys, (blocks, -1, 1, 1, (2 * sides + 1) * size))
    # Two hidden offsets may add up: exp() of the sum is 0 all the same.
    return padding + ops.constant(band(reach), "band")


def band(reach: int) -> npt.NDArray[np.float32]:
    """(B, K): which keys of its neighbourhood a query of a block reaches."""
    size, sides = block_size(reach), block_sides(reach)
    query = np.arange(size)[:, None]
    key = np.arange((2 * sides + 1) * size)[None, :] - sides * size
    return np.where(np.abs(query - key) <= reach, 0.0, HIDDEN).astype(np.float32)


def attend(ops: Ops, projected: Tensor, masks: AttentionMasks, *, reach: int, heads: int, width: int) -> Tensor:
    """queries, keys and values side by side (R, P, 3 W) -> context (R, P, W)"""
    short = masks.is_short[reach]
    return ops.cond(
        short,
        lambda: dense_attention(ops, projected, masks.dense[reach], heads=heads, width=width),
        lambda: block_attention(ops, projected, masks.blocks[reach], reach=reach, heads=heads, width=width),
    )


def dense_attention(ops: Ops, projected: Tensor, mask: Tensor, *, heads: int, width: int) -> Tensor:
    """(R, P, 3 W) -> (R, P, W)"""
    pieces = ops.size(projected, axis=1)
    split = ops.reshape(projected, (-1, pieces, 3, heads, width // heads))
    by_head = ops.transpose(split, (2, 0, 3, 1, 4))  # (3, R, H, P, D)
    query, key, value = (ops.squeeze_first(by_head, index) for index in range(3))
    context = weigh(ops, query, key, value, mask)  # (R, H, P, D)
    return ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, pieces, width))


def block_attention(ops: Ops, projected: Tensor, mask: Tensor, *, reach: int, heads: int, width: int) -> Tensor:
    """(R, P, 3 W) -> (R, P, W)"""
    size, sides = block_size(reach), block_sides(reach)
    pieces = ops.size(projected, axis=1)
    blocks = (pieces + (size - 1)) // size
    padded = ops.pad(projected, axis=1, before=sides * size, after=(blocks + sides) * size - pieces, value=0.0)
    split = ops.reshape(padded, (-1, blocks + 2 * sides, size, 3, heads, width // heads))
    # Blocks first: a run of blocks is then one piece of memory, and taking it copies nothing.
    by_block = ops.transpose(split, (3, 1, 0, 4, 2, 5))  # (3, N + 2 sides, R, H, B, D)
    query, key, value = (ops.squeeze_first(by_block, index) for index in range(3))
    query = ops.slice(query, axis=0, begin=sides, end=blocks + sides)
    key = ops.concat(neighbours(ops, key, blocks=blocks, sides=sides), axis=3)  # (N, R, H, K, D)
    value = ops.concat(neighbours(ops, value, blocks=blocks, sides=sides), axis=3)
    context = weigh(ops, query, key, value, mask)  # (N, R, H, B, D)
    joined = ops.reshape(ops.transpose(context, (1, 0, 3, 2, 4)), (-1, blocks * size, width))
    return ops.slice(joined, axis=1, begin=0, end=pieces)


def neighbours(ops: Ops, by_block: Tensor, *, blocks: Tensor, sides: int) -> list[Tensor]:
    """For each place in the neighbourhood, from left to right, that neighbour of every block: (N, …) each."""
    return [ops.slice(by_block, axis=0, begin=shift, end=blocks + shift) for shift in range(2 * sides + 1)]


def weigh(ops: Ops, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """softmax(Q · Kᵀ + mask) · V (Vaswani et al., 2017); the queries are already scaled by 1 / √D.

    query (…, Q, D), key and value (…, K, D), mask broadcasts to (…, Q, K) -> (…, Q, D)
    """
    scores = ops.matmul(query, key, transpose_b=True) + mask
    return ops.matmul(ops.softmax(scores), value)
