"""Attention, an object per layer: what every kind of it has in common, and full attention.

Shapes: rows R, pieces P, width W, heads H, size D = W / H; queries Q, keys K.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sparkclin.export.graph.model_input import ModelInput
from sparkclin.export.graph.ops import Ops, Tensor

MASKED = -1e9
"""Added to the score of what must not be seen. exp() of it is 0 in fp32, and unlike −inf it cannot make a NaN of a row
of padding, in which nothing may be seen at all."""


@dataclass(frozen=True, kw_only=True)
class Projections:
    """Queries, keys and values, (R, P, W) each; the queries are already scaled by 1 / √D.

    `states` (R, P, W) are what they were made of, and `of_global` the weights of another projection of them, for the
    positions of an attention that has such.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    states: Tensor
    of_global: Any = None


class Attention(Protocol):
    """How the pieces of a row see each other in a layer. A frozen value: layers with equal ones share a plan.

    Rows of more than `unpadded_limit` pieces are padded to a multiple of `multiple`, once for all layers.
    """

    @property
    def multiple(self) -> int: ...

    @property
    def unpadded_limit(self) -> int: ...

    def plan(self, ops: Ops, model_input: ModelInput) -> Any:
        """What all layers with this attention share, made once, such as masks."""

    def attend(self, ops: Ops, projected: Projections, plan: Any, *, heads: int, width: int) -> Tensor:
        """-> context (R, P, W)"""


def pad_rows(ops: Ops, ids: Tensor, *, attention: Sequence[Attention], padding: int) -> Tensor:
    """(R, P) -> (R, P'): rows that go in blocks are made of whole ones, once, and not again in every layer."""
    multiple = math.lcm(*(layer.multiple for layer in attention))
    if multiple == 1:
        return ids
    pieces = ops.size(ids, axis=1)
    is_short = ops.less_equal(pieces, min(layer.unpadded_limit for layer in attention))
    missing = ops.where(is_short, 0, ops.mod(0 - pieces, multiple))
    return ops.pad(ids, axis=1, before=0, after=missing, value=padding)


@dataclass(frozen=True)
class FullAttention:
    """Every piece sees every piece that is not padding (Vaswani et al., 2017). The cost of a row grows with P²."""

    multiple: int = 1
    unpadded_limit: int = 2**31 - 1

    def plan(self, ops: Ops, model_input: ModelInput) -> Tensor:
        """-> score offsets (R, 1, 1, P), 0 or MASKED"""
        masked = hidden_padding(ops, model_input)
        return ops.reshape(masked, (-1, 1, 1, ops.size(masked, axis=1)))

    def attend(self, ops: Ops, projected: Projections, plan: Tensor, *, heads: int, width: int) -> Tensor:
        query, key, value = projected.query, projected.key, projected.value
        return attend_all(ops, query, key, value, plan, heads=heads, width=width)


def hidden_padding(ops: Ops, model_input: ModelInput) -> Tensor:
    """Score offsets (R, P): 0 where a piece may be seen, MASKED elsewhere."""
    return (1.0 - ops.to_float(model_input.visible)) * MASKED


def attend_all(ops: Ops, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, *, heads: int, width: int) -> Tensor:
    """Every query of a row sees every key of it that the mask leaves: (R, Q, W), (R, K, W), (R, K, W), mask
    (R, 1, 1 or Q, K) -> (R, Q, W)"""
    queries, keys, values = (by_head(ops, x, heads=heads, width=width) for x in (query, key, value))
    return from_heads(ops, weigh(ops, queries, keys, values, mask), width=width)


def by_head(ops: Ops, x: Tensor, *, heads: int, width: int) -> Tensor:
    """(R, P, W) -> (R, H, P, D)"""
    in_heads = ops.reshape(x, (-1, ops.size(x, axis=1), heads, width // heads))
    return ops.transpose(in_heads, (0, 2, 1, 3))


def from_heads(ops: Ops, context: Tensor, *, width: int) -> Tensor:
    """(R, H, P, D) -> (R, P, W)"""
    return ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, ops.size(context, axis=2), width))


def weigh(ops: Ops, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """softmax(Q · Kᵀ + mask) · V (Vaswani et al., 2017); the queries are already scaled by 1 / √D.

    query (…, Q, D), key and value (…, K, D), mask broadcasts to (…, Q, K) -> (…, Q, D)
    """
    scores = ops.matmul(query, key, transpose_b=True) + mask
    return ops.matmul(ops.softmax(scores), value)
