"""Packed batches in the graph: many windows in one row. `sparkclin.wire.packed` says what a packed batch is.

Spark NLP puts its own first special piece before a packed batch and its own last one behind it. The id of the first
says that the row is a packed batch, and which outputs are wanted: it is n_tagged + request
(`sparkclin.wire.outputs.Outputs.request`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from export.graph.ops import Ops, Tensor
from sparkclin.wire.outputs import Output
from sparkclin.wire.tags import BEGIN, OUTSIDE, SEGMENT_TAGS, Vocabulary


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """The rows to encode: `ids` int (R, P), with the fields of a packed batch or as codes. `is_packed` and `request`
    are scalars."""

    ids: Tensor
    is_packed: Tensor
    request: Tensor


@dataclass(frozen=True, kw_only=True)
class Segments:
    """A packed batch's positions, flat: `states` (R · P, W), and `index` int (R · P,), the segment part that each
    belongs to; `count` for positions in none. `count` S is a scalar."""

    states: Tensor
    index: Tensor
    count: Tensor


class Outputting(Protocol):
    """What a head does in a graph: `outputs` says how many numbers each output has per segment part."""

    @property
    def outputs(self) -> tuple[Output, ...]: ...

    def compute(self, ops: Ops, segments: Segments) -> Sequence[Callable[[], Tensor]]:
        """Of each output, what makes it: (S, size). It is called only where the output is wanted."""


def outputs_or_states(
    ops: Ops,
    input_ids: Tensor,
    *,
    vocabulary: Vocabulary,
    encode: Callable[[Arrived], Tensor],
    head: Outputting,
) -> Tensor:
    """Arriving ids, int (R, P) -> the states of their positions (R, P, W); of a packed batch, the wanted outputs of its
    segment parts, one part after the other: (1, 1, numbers).

    `encode` makes the states of rows.
    """
    with ops.scope("packed"):
        arrived = unpack(ops, input_ids, vocabulary=vocabulary, n_outputs=len(head.outputs))
    states = encode(arrived)
    with ops.scope("head"):
        return ops.cond(
            arrived.is_packed,
            lambda: wanted_outputs(ops, find_segments(ops, states, arrived, vocabulary=vocabulary), arrived, head),
            lambda: states,
        )


def unpack(ops: Ops, input_ids: Tensor, *, vocabulary: Vocabulary, n_outputs: int) -> Arrived:
    """(1, 1 + R · P + 1) -> (R, P), without the host's own first and last id; every row has one first special piece.
    Other rows as they are."""
    first = ops.slice(ops.reshape(input_ids, (-1,)), axis=0, begin=0, end=1)
    request = ops.reshape(first, ()) - vocabulary.n_tagged
    is_packed = ops.logical_and(ops.less_equal(0, request), ops.less(request, 1 << n_outputs))
    outer = ops.where(is_packed, 1, 0)
    inner = ops.slice(input_ids, axis=1, begin=outer, end=ops.size(input_ids, axis=1) - outer)
    is_cls = ops.to_int(ops.equal(ops.mod(inner, vocabulary.size), vocabulary.cls_id))
    packed_rows = ops.reshape(ops.sum(ops.sum(is_cls, axis=1), axis=0), ())
    rows = ops.where(is_packed, packed_rows, ops.size(input_ids, axis=0))
    return Arrived(ids=ops.reshape(inner, (rows, -1)), is_packed=is_packed, request=request)


def find_segments(ops: Ops, states: Tensor, arrived: Arrived, *, vocabulary: Vocabulary) -> Segments:
    """Reads the segment tags."""
    fields = ops.reshape(arrived.ids, (-1,)) // vocabulary.size
    tags = ops.mod(fields, SEGMENT_TAGS)
    begins = ops.to_int(ops.equal(tags, BEGIN))
    count = ops.reshape(ops.sum(begins, axis=0), ())
    return Segments(
        states=ops.reshape(states, (-1, ops.size(states, axis=2))),
        index=ops.where(ops.equal(tags, OUTSIDE), count, ops.cumsum(begins, axis=0) - 1),
        count=count,
    )


def wanted_outputs(ops: Ops, segments: Segments, arrived: Arrived, head: Outputting) -> Tensor:
    """-> (1, 1, numbers): of each segment part its wanted outputs, one after the other. What is not wanted is not
    computed."""
    nothing = ops.slice(ops.reshape(ops.to_float(ops.range(segments.count)), (-1, 1)), axis=1, begin=0, end=0)
    computed = [
        ops.cond(is_wanted(ops, arrived.request, number), compute, lambda: nothing)
        for number, compute in enumerate(head.compute(ops, segments))
    ]
    return ops.reshape(ops.concat(computed, axis=1), (1, 1, -1))


def is_wanted(ops: Ops, request: Tensor, number: int) -> Tensor:
    """A request of 0 is for all outputs; otherwise bit `number` says it."""
    bit = ops.mod(request // (1 << number), 2)
    return ops.equal(ops.where(ops.equal(request, 0), 1, bit), 1)
