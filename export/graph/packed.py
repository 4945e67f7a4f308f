"""Packed batches in the graph: many windows in one row. `sparkclin.wire.packed` says what a packed batch is."""

from __future__ import annotations

from collections.abc import Callable

from export.graph.ops import Ops, Tensor
from sparkclin.wire.packed import BEGINS_SPAN, NOT_POOLED, Vocabulary


def answer(ops: Ops, input_ids: Tensor, *, vocabulary: Vocabulary, encode: Callable[[Tensor], Tensor]) -> Tensor:
    """Arriving ids, int (R, P) -> the vectors of their places (R, P, W); of a pack, its spans': (1, 1, spans · 2 W).

    `encode` makes the vectors of places from arriving ids.
    """
    with ops.scope("pack"):
        is_pack = holds_pack(ops, input_ids, vocabulary=vocabulary)
        arrived = unpack(ops, input_ids, is_pack, vocabulary=vocabulary)
    states = encode(arrived)
    with ops.scope("spans"):
        return ops.cond(is_pack, lambda: pool_spans(ops, states, arrived, vocabulary=vocabulary), lambda: states)


def holds_pack(ops: Ops, input_ids: Tensor, *, vocabulary: Vocabulary) -> Tensor:
    """A scalar: the carrier's own first id, which follows those of all codes, is there in packs only."""
    first = ops.slice(ops.reshape(input_ids, (-1,)), axis=0, begin=0, end=1)
    return ops.equal(ops.reshape(first, ()), vocabulary.n_marked)


def unpack(ops: Ops, input_ids: Tensor, is_pack: Tensor, *, vocabulary: Vocabulary) -> Tensor:
    """(1, 1 + R · P + 1) -> (R, P), without the carrier's own first and last id; every row has one `<s>`. Other ids as
    they are."""
    outer = ops.where(is_pack, 1, 0)
    inner = ops.slice(input_ids, axis=1, begin=outer, end=ops.size(input_ids, axis=1) - outer)
    is_first = ops.to_int(ops.equal(ops.mod(inner, vocabulary.size), vocabulary.cls_id))
    in_pack = ops.reshape(ops.sum(ops.sum(is_first, axis=1), axis=0), ())
    return ops.reshape(inner, (ops.where(is_pack, in_pack, ops.size(input_ids, axis=0)), -1))


def pool_spans(ops: Ops, states: Tensor, arrived: Tensor, *, vocabulary: Vocabulary) -> Tensor:
    """States (R, P, W) by the marks of the ids (R, P) -> mean and maximum of each span, (1, 1, spans · 2 W)."""
    flat = ops.reshape(states, (-1, ops.size(states, axis=2)))
    mark = ops.reshape(arrived, (-1,)) // vocabulary.size
    begins = ops.to_int(ops.equal(mark, BEGINS_SPAN))
    n_spans = ops.reshape(ops.sum(begins, axis=0), ())
    span = ops.where(ops.equal(mark, NOT_POOLED), n_spans, ops.cumsum(begins, axis=0) - 1)
    member = ops.to_float(ops.equal(ops.reshape(ops.range(n_spans), (-1, 1)), ops.reshape(span, (1, -1))))
    mean = ops.matmul(member, flat) / ops.sum(member, axis=1)
    largest = ops.segment_max(flat, span, n_segments=n_spans)
    return ops.reshape(ops.concat((mean, largest), axis=1), (1, 1, -1))
