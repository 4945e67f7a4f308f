"""Sliding-window attention, exact (Beltagy et al., 2020, section 3.1).

Shapes: rows R, pieces P, width W, heads H, size D; blocks N of B pieces, keys K = (2 · sides + 1) · B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.graph.attention import MASKED, Projections, by_head, from_heads, hidden_padding, split_heads, weigh
from export.graph.model_input import ModelInput
from export.graph.ops import Ops, Tensor


@dataclass(frozen=True)
class SlidingWindow:
    """Piece i sees the pieces j with |i − j| ≤ one_sided that are not padding.

    There are three paths to the same numbers, by the length of the row:

    - up to one_sided + 1 pieces every piece sees all others: plain attention;
    - up to `dense_limit` plain attention with a band mask costs less than the copies that blocks need;
    - beyond, queries go in blocks of B against the keys of their own block and of `sides` blocks to each side.
    """

    one_sided: int

    @property
    def block_size(self) -> int:
        """Queries per block: enough for a good matrix product, few enough that not many keys are read in vain."""
        return 128 if self.one_sided >= 128 else 64

    @property
    def sides(self) -> int:
        """Blocks of keys to each side that hold all pieces of the window."""
        return -(-self.one_sided // self.block_size)

    @property
    def near(self) -> int:
        """Blocks whose keys a block of queries reads."""
        return 2 * self.sides + 1

    @property
    def dense_limit(self) -> int:
        """The longest row for which dense attention costs less than blocks: it was measured near 3 · one_sided."""
        return 3 * self.one_sided + 2

    @property
    def multiple(self) -> int:
        return self.block_size

    @property
    def unpadded_limit(self) -> int:
        return self.dense_limit

    def plan(self, ops: Ops, model_input: ModelInput) -> WindowPlan:
        """P is whole blocks where it is over dense_limit. Each mask is made inside its path's condition, so that a long
        row never builds a (P, P) band; the other path has zeros in its place."""
        with ops.scope(f"attention_{self.one_sided}"):
            masked = hidden_padding(ops, model_input)
            is_short = ops.less_equal(ops.size(masked, axis=1), self.dense_limit)
            return WindowPlan(
                is_short=is_short,
                dense_mask=ops.cond(
                    is_short,
                    lambda: self.dense_mask(ops, masked),
                    lambda: ops.constant(np.zeros((1, 1, 1, 1), np.float32), "no_mask"),
                ),
                block_mask=ops.cond(
                    is_short,
                    lambda: ops.constant(np.zeros((1, 1, 1, 1, 1), np.float32), "no_mask"),
                    lambda: self.block_mask(ops, masked),
                ),
                neighbours=ops.cond(
                    is_short,
                    lambda: ops.reshape(ops.range(1), (1, 1)),
                    lambda: self.clipped(ops, self.neighbours(ops, masked), masked),
                ),
            )

    def dense_mask(self, ops: Ops, masked: Tensor) -> Tensor:
        """(R, P) -> (R, 1, 1, P) where the window holds the whole row, else (R, 1, P, P)"""
        pieces = ops.size(masked, axis=1)
        padding = ops.reshape(masked, (-1, 1, 1, pieces))

        def banded() -> Tensor:
            position = ops.range(pieces)
            distance = ops.abs(ops.reshape(position, (-1, 1)) - ops.reshape(position, (1, -1)))
            return padding + ops.to_float(ops.less(self.one_sided, distance)) * MASKED

        return ops.cond(ops.less_equal(pieces, self.one_sided + 1), lambda: padding, banded)

    def block_mask(self, ops: Ops, masked: Tensor) -> Tensor:
        """(R, P) -> (R, 1, N, B, K)"""
        wanted = self.neighbours(ops, masked)
        there = self.clipped(ops, wanted, masked)
        blocks = self.n_blocks(ops, masked)
        padding = ops.gather(ops.reshape(masked, (-1, blocks, self.block_size)), there, axis=1)  # (R, N, near, B)
        outside = ops.to_float(ops.not_equal(wanted, there)) * MASKED
        # Masked offsets may add up: exp() of the sum is 0 all the same.
        keys = padding + ops.reshape(outside, (blocks, self.near, 1))
        of_keys = ops.reshape(keys, (-1, 1, blocks, 1, self.near * self.block_size))
        return of_keys + ops.constant(self.band(), "band")

    def n_blocks(self, ops: Ops, masked: Tensor) -> Tensor:
        return ops.size(masked, axis=1) // self.block_size

    def neighbours(self, ops: Ops, masked: Tensor) -> Tensor:
        """(N, near): the blocks around each block, those before the first and after the last included."""
        shifts = ops.reshape(ops.range(self.near), (1, -1)) - self.sides
        return ops.reshape(ops.range(self.n_blocks(ops, masked)), (-1, 1)) + shifts

    def clipped(self, ops: Ops, wanted: Tensor, masked: Tensor) -> Tensor:
        """In the place of a neighbour that does not exist, one that does: what is read there is masked."""
        return ops.clip(wanted, low=0, high=self.n_blocks(ops, masked) - 1)

    def band(self) -> npt.NDArray[np.float32]:
        """(B, K): which of the keys that a block of queries reads are in each query's window."""
        query = np.arange(self.block_size)[:, None]
        key = np.arange(self.near * self.block_size)[None, :] - self.sides * self.block_size
        return np.where(np.abs(query - key) <= self.one_sided, 0.0, MASKED).astype(np.float32)

    def attend(self, ops: Ops, projected: Projections, plan: WindowPlan, *, heads: int, width: int) -> Tensor:
        """-> context (R, P, W)"""
        pieces = ops.size(projected.query, axis=1)
        block, size = self.block_size, width // heads

        def dense() -> Tensor:
            return weigh(ops, *split_heads(ops, projected, heads=heads, width=width), plan.dense_mask)

        def in_blocks() -> Tensor:
            blocks = pieces // block

            def around(x: Tensor) -> Tensor:  # (R, P, W) -> (R, H, N, K, D), the only copy of keys or values
                in_heads = by_head(ops, x, heads=heads, width=width)
                runs = ops.gather(ops.reshape(in_heads, (-1, heads, blocks, block * size)), plan.neighbours, axis=2)
                return ops.reshape(runs, (-1, heads, blocks, self.near * block, size))

            query = by_head(ops, projected.query, heads=heads, width=width)
            in_rows = ops.reshape(query, (-1, heads, blocks, block, size))
            context = weigh(ops, in_rows, around(projected.key), around(projected.value), plan.block_mask)
            return ops.reshape(context, (-1, heads, pieces, size))

        return from_heads(ops, ops.cond(plan.is_short, dense, in_blocks), width=width)


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """`is_short` is a scalar: take the dense path. `dense_mask` (R, 1, 1 or P, P) and `block_mask` (R, 1, N, B, K) are
    score offsets, 0 or MASKED; `neighbours` (N, near) the blocks whose keys a block reads."""

    is_short: Tensor
    dense_mask: Tensor
    block_mask: Tensor
    neighbours: Tensor
