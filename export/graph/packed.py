"""Packed batches in the graph: many windows in one row. `sparkclin.wire.packed` says what a packed batch is.

The host annotator puts its own first special piece before a packed batch and its own last one behind it. By the id of
the first, n_tagged, the graph knows a packed batch. The second id is the request, which outputs are wanted; the third
is the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sparkclin.export.graph.ops import Ops, Tensor
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


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows that are no packed batch, as a stock annotator sends them: `states` (R, P, W); `ids` int (R, P), ordinary
    ids or codes."""

    states: Tensor
    ids: Tensor


@dataclass(frozen=True, kw_only=True)
class Surplus:
    """Positions that a row has too many, next to each other: `onwards` int (R, P) is 0 before the first of them, and
    everywhere in a row without any, else more. `count` is their number."""

    onwards: Tensor
    count: int


class Outputting(Protocol):
    """What a head does in a graph: `outputs` says how many numbers each output has per segment part of a packed
    batch."""

    @property
    def outputs(self) -> tuple[Output, ...]: ...

    def compute(self, ops: Ops, segments: Segments) -> Sequence[Callable[[], Tensor]]:
        """Of each output, what makes it: (S, size). It is called only where the output is wanted."""

    def of_rows(self, ops: Ops, rows: Rows) -> Tensor:
        """What a stock annotator for the head's task reads: (R, positions, numbers), all positions or one."""


STATES = "states"
"""The name of the last layer's states in a graph."""


def packed_or_rows(
    ops: Ops,
    input_ids: Tensor,
    *,
    vocabulary: Vocabulary,
    encode: Callable[[Tensor], Tensor],
    head: Outputting,
) -> Tensor:
    """Arriving ids, int (R, P) -> what the head gives of rows; of a packed batch, the wanted outputs of its segment
    parts, one part after the other: (1, 1, numbers).

    `encode` makes the states (R, P, W) of rows of ids, int (R, P), with tags or as codes.
    """
    with ops.scope("packed"):
        arrived = unpack(ops, input_ids, vocabulary=vocabulary)
        surplus = find_surplus(ops, arrived, vocabulary=vocabulary)
        ids = without_surplus(ops, arrived.ids, surplus, vocabulary=vocabulary)
    states = ops.named(encode(ids), STATES)

    def of_segments() -> Tensor:
        segments = find_segments(ops, states, ids, vocabulary=vocabulary)
        return wanted_outputs(ops, segments, read_request(ops, input_ids, vocabulary=vocabulary), head)

    def of_rows() -> Tensor:
        return as_arrived(ops, head.of_rows(ops, Rows(states=states, ids=ids)), surplus)

    with ops.scope("head"):
        return ops.cond(arrived.is_packed, of_segments, of_rows)


def unpack(ops: Ops, input_ids: Tensor, *, vocabulary: Vocabulary) -> Arrived:
    """(1, 3 + R · P + 1) -> (R, P), without the request, the number of rows and the host's own first and last id. Other
    rows as they are."""
    packed = is_packed(ops, input_ids, vocabulary=vocabulary)
    begin, after = ops.where(packed, 3, 0), ops.where(packed, 1, 0)
    inner = ops.slice(input_ids, axis=1, begin=begin, end=ops.size(input_ids, axis=1) - after)
    rows = ops.where(packed, id_at(ops, input_ids, 2), ops.size(input_ids, axis=0))
    return Arrived(ids=ops.reshape(inner, (rows, -1)), is_packed=packed)


def is_packed(ops: Ops, input_ids: Tensor, *, vocabulary: Vocabulary) -> Tensor:
    """Whether arriving ids are a packed batch, a scalar."""
    return ops.equal(id_at(ops, input_ids, 0), vocabulary.n_tagged)


STOCK_SEPARATORS = 2
"""How many separators Spark NLP's annotators of questions put between a question and a text."""


def find_surplus(ops: Ops, arrived: Arrived, *, vocabulary: Vocabulary) -> Sequence[Surplus]:
    """What rows may have that the model must not see.

    The first position, where the second brings the code of the first special piece, because Spark NLP gives no vector
    for the piece that it puts in front. And the code of a separator behind Spark NLP's own ones, with as many of these
    as the model does not know: that code begins the second text, because Spark NLP finds no answer at its first piece.
    """
    ids = arrived.ids
    second = ops.slice(ids, axis=1, begin=1, end=2)
    brings_cls = ops.any(ops.equal(second, vocabulary.size + vocabulary.cls_id), axis=1)
    first = Surplus(onwards=ops.to_int(brings_cls) + 0 * ids, count=1)
    if not vocabulary.separators:
        return [first]
    count = STOCK_SEPARATORS + 1 - vocabulary.separators
    is_own = ops.to_int(ops.equal(ids, vocabulary.sep_id))
    is_code = ops.to_int(ops.equal(ids, vocabulary.size + vocabulary.sep_id))
    behind_own = later(ops, is_own, 1, value=0) * is_code
    begins = sooner(ops, behind_own, count - 1, value=0)
    return [first, Surplus(onwards=ops.where(arrived.is_packed, 0, ops.cumsum(begins, axis=1)), count=count)]


def without_surplus(ops: Ops, ids: Tensor, surplus: Sequence[Surplus], *, vocabulary: Vocabulary) -> Tensor:
    """(R, P): what stands behind the surplus positions of a row moves to the left."""
    for of_kind in surplus:
        moved = sooner(ops, ids, of_kind.count, value=vocabulary.pad_id)
        ids = ops.where(ops.equal(of_kind.onwards, 0), ids, moved)
    return ids


def as_arrived(ops: Ops, of_rows: Tensor, surplus: Sequence[Surplus]) -> Tensor:
    """(R, positions, numbers): what was made of rows that were moved at the positions where their pieces arrived; at a
    surplus position, that of one before it, or at the first one that of the piece that stands for it."""
    positions = ops.size(of_rows, axis=1)
    for of_kind in surplus:
        ends = (of_kind.count, positions - of_kind.count)
        moved = ops.concat([ops.slice(of_rows, axis=1, begin=0, end=end) for end in ends], axis=1)
        onwards = ops.slice(of_kind.onwards, axis=1, begin=0, end=positions)
        of_rows = ops.where(ops.reshape(ops.equal(onwards, 0), (-1, positions, 1)), of_rows, moved)
    return of_rows


def sooner(ops: Ops, x: Tensor, count: int, *, value: float) -> Tensor:
    """(R, P): `count` positions to the left, with `value` behind."""
    padded = ops.pad(x, axis=1, before=0, after=count, value=value)
    return ops.slice(padded, axis=1, begin=count, end=ops.size(padded, axis=1))


def later(ops: Ops, x: Tensor, count: int, *, value: float) -> Tensor:
    """(R, P): `count` positions to the right, with `value` before."""
    return ops.slice(ops.pad(x, axis=1, before=count, after=0, value=value), axis=1, begin=0, end=ops.size(x, axis=1))


def read_request(ops: Ops, input_ids: Tensor, *, vocabulary: Vocabulary) -> Tensor:
    """Of a packed batch: a scalar."""
    return id_at(ops, input_ids, 1) - vocabulary.first_request


def id_at(ops: Ops, input_ids: Tensor, index: int) -> Tensor:
    """An id of the first row, a scalar; 0 where there are not so many."""
    return ops.reshape(
        ops.sum(ops.slice(ops.reshape(input_ids, (-1,)), axis=0, begin=index, end=index + 1), axis=0), ()
    )


def find_segments(ops: Ops, states: Tensor, ids: Tensor, *, vocabulary: Vocabulary) -> Segments:
    """Reads the segment tags of rows of ids, int (R, P), with states (R, P, W)."""
    tags = ops.reshape(ids, (-1,)) // vocabulary.size
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
