"""Sliding-window attention, exact, and global attention (Beltagy et al., 2020, section 3.1).

Shapes: rows R, pieces P, width W, heads H, size D; blocks N of B pieces, keys K = (2 · sides + 1) · B; global positions
G of the row that has most, in F blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkclin.export.graph.attention import MASKED, Projections, attend_all, by_head, from_heads, hidden_padding
from sparkclin.export.graph.model_input import ModelInput
from sparkclin.export.graph.ops import Array, Ops, Size, Tensor


@dataclass(frozen=True)
class SlidingWindow:
    """Piece i sees the pieces j with |i − j| ≤ one_sided that are not padding.

    There are three paths to the same numbers, by the length of the row:

    - up to one_sided + 1 pieces every piece sees all others: plain attention;
    - up to `dense_limit` plain attention with a band mask costs less than the copies that blocks need;
    - beyond, queries go in blocks of B against the keys of their own block and of `sides` blocks to each side.

    A row's first positions may have global attention: they see all pieces, by projections of their own, and all pieces
    see them. Blocks of queries then read the first F blocks once more, in which only these positions are not masked,
    while they are masked in the window.
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
            of_global = GlobalPlan.of(ops, masked, model_input.n_global)
            is_short = ops.less_equal(ops.size(masked, axis=1), self.dense_limit)
            return WindowPlan(
                is_short=is_short,
                of_global=of_global,
                dense_mask=ops.cond(
                    is_short,
                    lambda: self.dense_mask(ops, masked, of_global),
                    lambda: ops.constant(np.zeros((1, 1, 1, 1), np.float32), "no_mask"),
                ),
                block_mask=ops.cond(
                    is_short,
                    lambda: ops.constant(np.zeros((1, 1, 1, 1), np.float32), "no_mask"),
                    lambda: self.block_mask(ops, masked, of_global),
                ),
                neighbours=ops.cond(
                    is_short,
                    lambda: ops.reshape(ops.range(1), (1, 1)),
                    lambda: self.blocks_read(ops, masked, of_global),
                ),
            )

    def dense_mask(self, ops: Ops, masked: Tensor, of_global: GlobalPlan | None) -> Tensor:
        """(R, P) -> (R, 1, 1, P) where the window holds the whole row, else (R, 1, P, P)"""
        pieces = ops.size(masked, axis=1)
        padding = ops.reshape(masked, (-1, 1, 1, pieces))

        def banded() -> Tensor:
            position = ops.range(pieces)
            distance = ops.abs(ops.reshape(position, (-1, 1)) - ops.reshape(position, (1, -1)))
            outside = ops.to_float(ops.less(self.one_sided, distance)) * MASKED
            if of_global is None:
                return padding + outside
            return padding + outside * ops.reshape(1.0 - of_global.is_global, (-1, 1, 1, pieces))

        return ops.cond(ops.less_equal(pieces, self.one_sided + 1), lambda: padding, banded)

    def block_mask(self, ops: Ops, masked: Tensor, of_global: GlobalPlan | None) -> Tensor:
        """(R, P) -> (R · N, 1, B, K), or (R · N, 1, B, K + F · B)"""
        if of_global is None:
            keys = self.near * self.block_size
            in_window = ops.reshape(self.window_mask(ops, masked), (-1, 1, 1, keys))
            return in_window + ops.constant(self.band(), "band")
        in_window = self.window_mask(ops, masked + of_global.is_global * MASKED)
        first = self.first_blocks(of_global) * self.block_size
        others = ops.slice(masked + (1.0 - of_global.is_global) * MASKED, axis=1, begin=0, end=first)
        every = 0.0 * ops.slice(in_window, axis=2, begin=0, end=1)  # (R, N, 1)
        of_keys = ops.concat([in_window, every + ops.reshape(others, (-1, 1, first))], axis=2)
        band = ops.pad(ops.constant(self.band(), "band"), axis=1, before=0, after=first, value=0.0)
        return ops.reshape(of_keys, (-1, 1, 1, ops.size(of_keys, axis=2))) + band

    def window_mask(self, ops: Ops, masked: Tensor) -> Tensor:
        """(R, P) -> (R, N, K)"""
        wanted = self.neighbours(ops, masked)
        there = self.clipped(ops, wanted, masked)
        blocks = self.n_blocks(ops, masked)
        padding = ops.gather(ops.reshape(masked, (-1, blocks, self.block_size)), there, axis=1)  # (R, N, near, B)
        outside = ops.to_float(ops.not_equal(wanted, there)) * MASKED
        # Masked offsets may add up: exp() of the sum is 0 all the same.
        keys = padding + ops.reshape(outside, (blocks, self.near, 1))
        return ops.reshape(keys, (-1, blocks, self.near * self.block_size))

    def blocks_read(self, ops: Ops, masked: Tensor, of_global: GlobalPlan | None) -> Tensor:
        """(N, near), or (N, near + F)"""
        near = self.clipped(ops, self.neighbours(ops, masked), masked)
        if of_global is None:
            return near
        every = 0 * ops.slice(near, axis=1, begin=0, end=1)
        first = ops.reshape(ops.range(self.first_blocks(of_global)), (1, -1))
        return ops.concat([near, every + first], axis=1)

    def first_blocks(self, of_global: GlobalPlan) -> Size:
        """F: the blocks that hold the global positions."""
        return (of_global.most + (self.block_size - 1)) // self.block_size

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
        context = self.in_window(ops, projected, plan, heads=heads, width=width)
        if plan.of_global is None:
            return context
        return with_global(ops, context, projected, plan.of_global, heads=heads, width=width)

    def in_window(self, ops: Ops, projected: Projections, plan: WindowPlan, *, heads: int, width: int) -> Tensor:
        """-> context (R, P, W)"""
        query, key, value = projected.query, projected.key, projected.value
        pieces, block = ops.size(query, axis=1), self.block_size

        def dense() -> Tensor:
            return attend_all(ops, query, key, value, plan.dense_mask, heads=heads, width=width)

        def in_blocks() -> Tensor:
            """A block of queries is a row by itself, with the keys that it reads. They are copied with all heads."""
            keys = ops.size(plan.neighbours, axis=1) * block

            def around(x: Tensor) -> Tensor:  # (R, P, W) -> (R · N, K, W)
                runs = ops.gather(ops.reshape(x, (-1, pieces // block, block * width)), plan.neighbours, axis=1)
                return ops.reshape(runs, (-1, keys, width))

            own = ops.reshape(query, (-1, block, width))
            context = attend_all(ops, own, around(key), around(value), plan.block_mask, heads=heads, width=width)
            return ops.reshape(context, (-1, pieces, width))

        return ops.cond(plan.is_short, dense, in_blocks)


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """`is_short` is a scalar: take the dense path. `dense_mask` (R, 1, 1 or P, P) and `block_mask` (R · N, 1, B, keys)
    are score offsets, 0 or MASKED; `neighbours` (N, blocks) the blocks whose keys a block reads. `of_global` is None
    where no position has global attention."""

    is_short: Tensor
    of_global: GlobalPlan | None
    dense_mask: Tensor
    block_mask: Tensor
    neighbours: Tensor


@dataclass(frozen=True, kw_only=True)
class GlobalPlan:
    """`most` is G, a scalar, at least 1. `is_global` (R, P) is 1.0 at the positions with global attention, else 0.0;
    `padding` (R, 1, P) are score offsets."""

    most: Tensor
    is_global: Tensor
    padding: Tensor

    @classmethod
    def of(cls, ops: Ops, masked: Tensor, n_global: Tensor | None) -> GlobalPlan | None:
        """`masked` (R, P) are score offsets of padding, `n_global` is as in ModelInput."""
        if n_global is None:
            return None
        pieces = ops.size(masked, axis=1)
        is_global = ops.less(ops.reshape(ops.range(pieces), (1, -1)), n_global)
        found = ops.reshape(ops.sum(ops.to_int(ops.any(is_global, axis=0)), axis=1), ())
        return cls(
            most=ops.clip(found, low=1, high=pieces),
            is_global=ops.to_float(is_global),
            padding=ops.reshape(masked, (-1, 1, pieces)),
        )


@dataclass(frozen=True, kw_only=True)
class GlobalWeights:
    """The projections of positions with global attention: queries, scaled by 1 / √D, weight (W, W) and bias; keys
    (H, D, W) and values (H, W, D), by head; `bias` (W,) of the values, less what the output's bias has of the others.

    A key's bias adds the same to all scores of a query, and softmax does not see that.
    """

    query_weight: Array
    query_bias: Array
    key: Array
    value: Array
    bias: Array


def with_global(
    ops: Ops, context: Tensor, projected: Projections, plan: GlobalPlan, *, heads: int, width: int
) -> Tensor:
    """The context (R, P, W) with that of global positions in its place.

    They are few, and the pieces that they see are many: so it is their queries that go through the keys' projection,
    qᵀ (K x) = (Kᵀ q)ᵀ x, and what they saw that goes through the values'. The cost is G · P · H · W, and not P · W².
    """
    weights: GlobalWeights = projected.of_global
    few, states = plan.most, projected.states
    first = ops.slice(states, axis=1, begin=0, end=few)
    query = by_head(ops, ops.linear(first, weights.query_weight, weights.query_bias), heads=heads, width=width)
    asked = ops.reshape(ops.matmul(query, ops.constant(weights.key, "global_key")), (-1, heads * few, width))
    weight = ops.softmax(ops.matmul(asked, states, transpose_b=True) + plan.padding)  # (R, H · G, P)
    seen = ops.reshape(ops.matmul(weight, states), (-1, heads, few, width))
    answer = from_heads(ops, ops.matmul(seen, ops.constant(weights.value, "global_value")), width=width)
    found = answer + ops.constant(weights.bias, "global_bias")
    is_global = ops.reshape(ops.slice(plan.is_global, axis=1, begin=0, end=few), (-1, few, 1))
    kept = ops.slice(context, axis=1, begin=0, end=few)
    rest = ops.slice(context, axis=1, begin=few, end=ops.size(context, axis=1))
    return ops.concat([ops.where(ops.less(0.5, is_global), found, kept), rest], axis=1)
