"""BigBird's block-sparse attention (Zaheer et al., 2020, figure 1), as transformers runs it in evaluation mode.

Shapes: rows R, pieces P, width W, heads H, size D; blocks N of B pieces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sparkclin.export.graph.attention import MASKED, Projections, by_head, from_heads, hidden_padding, weigh
from sparkclin.export.graph.model_input import ModelInput
from sparkclin.export.graph.ops import Ops, Size, Tensor

FIRST, SLIDING, LAST = 1, 3, 1
"""The blocks that a block of queries sees: the row's first, itself with its two neighbours, and the row's last."""
SEEN = FIRST + SLIDING + LAST


@dataclass(frozen=True, kw_only=True)
class BlockSparse:
    """Of a row of n blocks, block by block (`x` is seen; n = 7):

                 keys 0 1 2 3 4 5 6
        queries 0     x x x x x x x    global: the first block sees all and is seen by all,
                1     x x x . . . x
                2     x x x x . . x    sliding: a block sees its two neighbours,
                3     x . x x x . x
                4     x . . x x x x
                5     x . . . x x x
                6     x x x x x x x    global: so is the last block.

    The paper adds `random_blocks` random ones to each block from 1 to n − 2. In evaluation mode transformers takes
    block 0 for each of them, so that block 0 counts 1 + `random_blocks` times in the softmax: its scores rise by
    ln(1 + random_blocks).

    Blocks begin at a row's first piece, and its last block is the one that holds its last piece, whatever padding
    follows it. A row of up to `dense_limit` pieces has full attention. A row alone has the same blocks and the same
    attention, so the other rows of a batch change a vector by rounding only.
    """

    block_size: int
    random_blocks: int

    @property
    def dense_limit(self) -> int:
        """transformers takes full attention up to this length: two global blocks, three sliding ones, and twice the
        random ones."""
        return (SEEN + 2 * self.random_blocks) * self.block_size

    @property
    def multiple(self) -> int:
        return self.block_size

    @property
    def unpadded_limit(self) -> int:
        return self.dense_limit

    def plan(self, ops: Ops, model_input: ModelInput) -> BlockPlan:
        """P is whole blocks where it is over dense_limit. What only blocks need is made inside their condition."""
        with ops.scope("block_sparse"):
            padding = hidden_padding(ops, model_input)
            pieces = ops.size(padding, axis=1)
            length = ops.reshape(ops.sum(model_input.visible, axis=1), (-1, 1, 1))
            last = ops.clip((length + (self.block_size - 1)) // self.block_size - 1, low=0, high=pieces)
            is_short = ops.less_equal(length, self.dense_limit)
            all_short = ops.less_equal(pieces, self.dense_limit)
            return BlockPlan(
                all_short=all_short,
                any_short=ops.reshape(ops.any(is_short, axis=0), ()),
                is_short=ops.reshape(is_short, (-1, 1, 1, 1)),
                last=last,
                padding=ops.reshape(padding, (-1, 1, 1, pieces)),
                seen=ops.cond(all_short, lambda: 0 * last, lambda: self.seen(ops, last, pieces // self.block_size)),
                mask=ops.cond(
                    all_short,
                    lambda: ops.constant(np.zeros((1, 1, 1, 1, 1), np.float32), "no_mask"),
                    lambda: self.mask(ops, last, length, pieces // self.block_size),
                ),
            )

    def sliding(self, ops: Ops, n_blocks: Size) -> Tensor:
        """(N, 3): each block with its neighbours, those before the first and after the last included."""
        shifts = ops.reshape(ops.range(SLIDING), (1, -1)) - SLIDING // 2
        return ops.reshape(ops.range(n_blocks), (-1, 1)) + shifts

    def seen(self, ops: Ops, last: Tensor, n_blocks: Size) -> Tensor:
        """(R, N, 5): the blocks whose keys a block reads. In the place of a neighbour that does not exist stands one
        that does: what is read there is masked."""
        sliding = ops.clip(self.sliding(ops, n_blocks), low=0, high=n_blocks - 1) + 0 * last
        every = 0 * ops.slice(sliding, axis=2, begin=0, end=1)
        return ops.concat([every, sliding, every + last], axis=2)

    def mask(self, ops: Ops, last: Tensor, length: Tensor, n_blocks: Size) -> Tensor:
        """(R, 1, N, 1, 5 · B)"""
        sliding = self.sliding(ops, n_blocks)
        is_between = ops.logical_and(ops.less(0, sliding), ops.less(sliding, last))
        # A global block counts as such, not once more as a neighbour.
        repeated = (1.0 - ops.to_float(is_between)) * MASKED
        every = 0.0 * ops.slice(repeated, axis=2, begin=0, end=1)
        of_blocks = ops.concat([every + math.log(1 + self.random_blocks), repeated, every], axis=2)
        begins = ops.reshape(self.seen(ops, last, n_blocks) * self.block_size, (-1, n_blocks, SEEN, 1))
        is_padding = ops.less_equal(ops.reshape(length, (-1, 1, 1, 1)), begins + ops.range(self.block_size))
        offsets = ops.to_float(is_padding) * MASKED + ops.reshape(of_blocks, (-1, n_blocks, SEEN, 1))
        return ops.reshape(offsets, (-1, 1, n_blocks, 1, SEEN * self.block_size))

    def attend(self, ops: Ops, projected: Projections, plan: BlockPlan, *, heads: int, width: int) -> Tensor:
        """-> context (R, P, W)"""
        query, key, value = (
            by_head(ops, x, heads=heads, width=width) for x in (projected.query, projected.key, projected.value)
        )

        def dense() -> Tensor:
            return weigh(ops, query, key, value, plan.padding)

        def dense_if_short() -> Tensor:
            first, keys, values = (ops.slice(x, axis=2, begin=0, end=self.dense_limit) for x in (query, key, value))
            mask = ops.slice(plan.padding, axis=3, begin=0, end=self.dense_limit)
            beyond = ops.size(query, axis=2) - self.dense_limit
            context = ops.pad(weigh(ops, first, keys, values, mask), axis=2, before=0, after=beyond, value=0.0)
            return ops.where(plan.is_short, context, in_blocks())

        def in_blocks() -> Tensor:
            return self.by_blocks(ops, query, key, value, plan, heads=heads, size=width // heads)

        return from_heads(
            ops,
            ops.cond(plan.all_short, dense, lambda: ops.cond(plan.any_short, dense_if_short, in_blocks)),
            width=width,
        )

    def by_blocks(
        self, ops: Ops, query: Tensor, key: Tensor, value: Tensor, plan: BlockPlan, *, heads: int, size: int
    ) -> Tensor:
        """Queries, keys and values (R, H, P, D) -> context (R, H, P, D)"""
        rows, n_blocks = ops.size(query, axis=0), ops.size(query, axis=2) // self.block_size
        block_shape = (self.block_size, size)
        row_heads = ops.reshape(ops.range(rows * heads), (-1, heads, 1, 1))

        def take(x: Tensor, blocks: Tensor) -> Tensor:
            """(R, H, P, D), blocks of each row (R, n, k) -> (R, H, n, k · B, D), the only copy of keys or values"""
            n, k = ops.size(blocks, axis=1), ops.size(blocks, axis=2)
            of_all_rows = row_heads * n_blocks + ops.reshape(blocks, (-1, 1, n, k))
            taken = ops.gather(ops.reshape(x, (-1, math.prod(block_shape))), of_all_rows, axis=0)
            return ops.reshape(taken, (-1, heads, n, k * self.block_size, size))

        of_each = weigh(
            ops,
            ops.reshape(query, (-1, heads, n_blocks, *block_shape)),
            take(key, plan.seen),
            take(value, plan.seen),
            plan.mask,
        )
        edges = ops.concat([0 * plan.last, plan.last], axis=2)  # the first and the last block of each row, (R, 1, 2)
        global_queries = ops.reshape(take(query, edges), (-1, heads, 2 * self.block_size, size))
        of_edges = weigh(ops, global_queries, key, value, plan.padding)

        computed = [ops.reshape(context, (-1, math.prod(block_shape))) for context in (of_each, of_edges)]
        number = ops.reshape(ops.range(n_blocks), (1, 1, 1, -1))
        of_edge = rows * heads * n_blocks + row_heads * 2
        is_first, is_last = ops.equal(number, 0), ops.equal(number, ops.reshape(plan.last, (-1, 1, 1, 1)))
        others = ops.where(is_last, of_edge + 1, row_heads * n_blocks + number)
        source = ops.where(is_first, of_edge, others)  # (R, H, 1, N)
        context = ops.gather(ops.concat(computed, axis=0), source, axis=0)
        return ops.reshape(context, (-1, heads, n_blocks * self.block_size, size))


@dataclass(frozen=True, kw_only=True)
class BlockPlan:
    """`all_short` and `any_short` are scalars: all rows, or some, have full attention; `is_short` (R, 1, 1, 1) says
    which. `last` (R, 1, 1) is the last block of each row, `seen` (R, N, 5) the blocks whose keys a block reads.
    `padding` (R, 1, 1, P) and `mask` (R, 1, N, 1, 5 · B) are score offsets."""

    all_short: Tensor
    any_short: Tensor
    is_short: Tensor
    last: Tensor
    padding: Tensor
    seen: Tensor
    mask: Tensor
