"""Packed batches in the graph: many windows in one row. `sparkclin.wire.packed` says what a packed batch is.

The host annotator puts its own first special piece before a packed batch and its own last one behind it. By the id of
the first, n_tagged, the graph knows a packed batch. The second id is the request, which outputs are wanted; the third
is the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from export.graph.ops import Ops, Tensor
from sparkclin.wire.outputs import Output
from sparkclin.wire.tags import BEGIN, OUTSIDE, Vocabulary


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """The rows to encode: `ids` int (R, P), with the tags of a packed batch or as codes. `is_packed` is a scalar."""

    ids: Tensor
    is_packed: Tensor


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
        arrived = unpack(ops, input_ids, vocabulary=vocabulary)
        brings_cls = has_own_cls(ops, arrived, vocabulary=vocabulary)
        rows = replace(arrived, ids=without_outer_cls(ops, arrived.ids, brings_cls, vocabulary=vocabulary))
    states = encode(rows)

    def of_segments() -> Tensor:
        segments = find_segments(ops, states, rows, vocabulary=vocabulary)
        return wanted_outputs(ops, segments, read_request(ops, input_ids, vocabulary=vocabulary), head)

    with ops.scope("head"):
        return ops.cond(arrived.is_packed, of_segments, lambda: as_arrived(ops, states, brings_cls))


def unpack(ops: Ops, input_ids: Tensor, *, vocabulary: Vocabulary) -> Arrived:
    """(1, 3 + R · P + 1) -> (R, P), without the request, the number of rows and the host's own first and last id. Other
    rows as they are."""
    is_packed = ops.equal(id_at(ops, input_ids, 0), vocabulary.n_tagged)
    begin, after = ops.where(is_packed, 3, 0), ops.where(is_packed, 1, 0)
    inner = ops.slice(input_ids, axis=1, begin=begin, end=ops.size(input_ids, axis=1) - after)
    rows = ops.where(is_packed, id_at(ops, input_ids, 2), ops.size(input_ids, axis=0))
    return Arrived(ids=ops.reshape(inner, (rows, -1)), is_packed=is_packed)


def has_own_cls(ops: Ops, arrived: Arrived, *, vocabulary: Vocabulary) -> Tensor:
    """Bool (R, 1). A row of codes whose second id is the code of the first special piece brings that piece itself,
    because Spark NLP gives no vector for the one that it puts in front."""
    second = ops.slice(arrived.ids, axis=1, begin=1, end=2)
    return ops.any(ops.equal(second, vocabulary.size + vocabulary.cls_id), axis=1)


def without_outer_cls(ops: Ops, ids: Tensor, brings_cls: Tensor, *, vocabulary: Vocabulary) -> Tensor:
    """(R, P): rows that bring their first special piece move one position to the left, so that they begin with it."""
    moved = ops.slice(ids, axis=1, begin=1, end=ops.size(ids, axis=1))
    return ops.where(brings_cls, ops.pad(moved, axis=1, before=0, after=1, value=vocabulary.pad_id), ids)


def as_arrived(ops: Ops, states: Tensor, brings_cls: Tensor) -> Tensor:
    """(R, P, W): the states of rows that were moved at the positions where their pieces arrived; at the first position,
    whose piece was left out, that of the piece that stands for it."""
    pieces = ops.size(states, axis=1)
    first, others = (ops.slice(states, axis=1, begin=0, end=end) for end in (1, pieces - 1))
    return ops.where(ops.reshape(brings_cls, (-1, 1, 1)), ops.concat([first, others], axis=1), states)


def read_request(ops: Ops, input_ids: Tensor, *, vocabulary: Vocabulary) -> Tensor:
    """Of a packed batch: a scalar."""
    return id_at(ops, input_ids, 1) - vocabulary.first_request


def id_at(ops: Ops, input_ids: Tensor, index: int) -> Tensor:
    """An id of the first row, a scalar; 0 where there are not so many."""
    return ops.reshape(
        ops.sum(ops.slice(ops.reshape(input_ids, (-1,)), axis=0, begin=index, end=index + 1), axis=0), ()
    )


def find_segments(ops: Ops, states: Tensor, arrived: Arrived, *, vocabulary: Vocabulary) -> Segments:
    """Reads the segment tags."""
    tags = ops.reshape(arrived.ids, (-1,)) // vocabulary.size
    begins = ops.to_int(ops.equal(tags, BEGIN))
    count = ops.reshape(ops.sum(begins, axis=0), ())
    return Segments(
        states=ops.reshape(states, (-1, ops.size(states, axis=2))),
        index=ops.where(ops.equal(tags, OUTSIDE), count, ops.cumsum(begins, axis=0) - 1),
        count=count,
    )


def wanted_outputs(ops: Ops, segments: Segments, request: Tensor, head: Outputting) -> Tensor:
    """-> (1, 1, numbers): of each segment part its wanted outputs, one after the other. What is not wanted is not
    computed."""
    nothing = ops.slice(ops.reshape(ops.to_float(ops.range(segments.count)), (-1, 1)), axis=1, begin=0, end=0)
    computed = [
        ops.cond(is_wanted(ops, request, number), compute, lambda: nothing)
        for number, compute in enumerate(head.compute(ops, segments))
    ]
    return ops.reshape(ops.concat(computed, axis=1), (1, 1, -1))


def is_wanted(ops: Ops, request: Tensor, number: int) -> Tensor:
    """A request of 0 is for all outputs; otherwise bit `number` says it."""
    bit = ops.mod(request // (1 << number), 2)
    return ops.equal(ops.where(ops.equal(request, 0), 1, bit), 1)
