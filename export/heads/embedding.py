"""The head of a model without a task of its own: a segment part's mean and maximum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkclin.schema import EMBED
from sparkclin.text.pooling import MAX, MEAN
from sparkclin.wire.outputs import Output

if TYPE_CHECKING:
    from sparkclin.export.graph.ops import Ops, Tensor
    from sparkclin.export.graph.packed import Rows, Segments


@dataclass(frozen=True, kw_only=True)
class EmbeddingHead:
    """Two outputs of `width` numbers each."""

    width: int
    task: str = EMBED
    labels: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[Output, ...]:
        return Output(MEAN, self.width), Output(MAX, self.width)

    def compute(self, ops: Ops, segments: Segments) -> Sequence[Callable[[], Tensor]]:
        return (lambda: mean(ops, segments), lambda: maximum(ops, segments))

    def of_rows(self, ops: Ops, rows: Rows) -> Tensor:  # noqa: ARG002
        """The states themselves, (R, P, W)."""
        return rows.states

    def expected(self, states: npt.NDArray[np.float64]) -> Mapping[str, npt.NDArray[np.float64]]:
        return {MEAN: states.mean(axis=0), MAX: states.max(axis=0)}


def mean(ops: Ops, segments: Segments) -> Tensor:
    """-> (S, W)"""
    number = ops.reshape(ops.range(segments.count), (-1, 1))
    member = ops.to_float(ops.equal(number, ops.reshape(segments.index, (1, -1))))
    return ops.matmul(member, segments.states) / ops.sum(member, axis=1)


def maximum(ops: Ops, segments: Segments) -> Tensor:
    """-> (S, W)"""
    return ops.segment_max(segments.states, segments.index, n_segments=segments.count)
