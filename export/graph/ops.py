"""What an engine must be able to do so that a model's graph can be written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

# A tensor of the engine's graph. It supports + − * // with tensors and Python numbers.
Tensor = Any
# A size that is known when the graph is built (int) or only when it runs (a scalar tensor).
Size = Any
# Weights, which an engine stores as its precision asks.
Array = npt.NDArray[np.float32]


class Ops(Protocol):
    """The operations of one engine's graph builder; shapes and meanings are NumPy's unless said otherwise.

    Those that take weights as arrays are the ones that an engine may store in another precision or run fused.
    """

    def scope(self, name: str) -> AbstractContextManager[None]:
        """Names of the operations inside begin with `name`, so that a profile reads like the code."""

    def named(self, x: Tensor, name: str) -> Tensor:
        """`x`, under a name by which a finished graph can be asked for it."""

    def constant(self, value: npt.NDArray[Any], name: str) -> Tensor:
        """The same array twice is stored once."""

    def embedding(self, table: Array, ids: Tensor, *, name: str) -> Tensor:
        """Rows of a table of weights: (V, W), (…) -> (…, W)"""

    def linear(self, x: Tensor, weight: Array, bias: Array | None = None) -> Tensor:
        """x · weight + bias over the last axis: (…, I), (I, O), (O,) -> (…, O)"""

    def add_and_norm(self, x: Tensor, residual: Tensor, scale: Array, shift: Array, *, eps: float) -> Tensor:
        """Layer normalisation of x + residual over the last axis."""

    def size(self, x: Tensor, *, axis: int) -> Size:
        """The length of an axis, as a scalar integer tensor."""

    def reshape(self, x: Tensor, shape: Sequence[Size]) -> Tensor: ...
    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor: ...
    def slice(self, x: Tensor, *, axis: int, begin: Size, end: Size) -> Tensor: ...
    def concat(self, parts: Sequence[Tensor], *, axis: int) -> Tensor: ...
    def pad(self, x: Tensor, *, axis: int, before: Size, after: Size, value: float) -> Tensor: ...
    def gather(self, x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
        """The axis is replaced by those of `indices`."""

    def matmul(self, a: Tensor, b: Tensor, *, transpose_b: bool = False) -> Tensor: ...
    def softmax(self, x: Tensor) -> Tensor:
        """Over the last axis."""

    def gelu(self, x: Tensor) -> Tensor:
        """x · Φ(x), exact (Hendrycks and Gimpel, 2016)."""

    def tanh(self, x: Tensor) -> Tensor: ...
    def relu(self, x: Tensor) -> Tensor: ...
    def abs(self, x: Tensor) -> Tensor: ...
    def clip(self, x: Tensor, *, low: Size, high: Size) -> Tensor: ...
    def cumsum(self, x: Tensor, *, axis: int) -> Tensor: ...
    def sum(self, x: Tensor, *, axis: int) -> Tensor:
        """Keeps the axis, with length 1."""

    def any(self, x: Tensor, *, axis: int) -> Tensor:
        """Keeps the axis, with length 1."""

    def segment_max(self, x: Tensor, segments: Tensor, *, n_segments: Size) -> Tensor:
        """Largest of each segment's rows: (P, W), int (P,) -> (n_segments, W); segment n_segments is left out."""

    def equal(self, a: Tensor, b: Tensor | int) -> Tensor: ...
    def not_equal(self, a: Tensor, b: Tensor | int) -> Tensor: ...
    def mod(self, a: Tensor, b: int) -> Tensor:
        """Never negative for positive b."""

    def less(self, a: Tensor | int, b: Tensor | int) -> Tensor: ...
    def less_equal(self, a: Tensor | int, b: Tensor | int) -> Tensor: ...
    def logical_and(self, a: Tensor, b: Tensor) -> Tensor: ...
    def where(self, condition: Tensor, a: Tensor | int, b: Tensor | int) -> Tensor: ...
    def cond(self, predicate: Tensor, if_true: Callable[[], Tensor], if_false: Callable[[], Tensor]) -> Tensor:
        """Runs one of two branches; `predicate` is a scalar."""

    def range(self, size: Size) -> Tensor:
        """0, 1, … as integers: (size,)"""

    def to_int(self, x: Tensor) -> Tensor: ...
    def to_float(self, x: Tensor) -> Tensor: ...


Body = Callable[[Ops, Tensor], Tensor]
"""A graph to build: arriving ids, int (R, P) -> float32 (R, P, width), or of a packed batch (1, 1, numbers)."""


@dataclass(frozen=True, kw_only=True)
class RowBodies:
    """Graphs to build of a model that reads rows of tagged ids, int (R, P), and no packed batches.

    `encode` makes the states (R, P, W) of ids; `outputs` makes of ids and states each of the head's outputs by name,
    (S, size) of the S segment parts. `row_limits` are as in EncoderConfig.
    """

    encode: Callable[[Ops, Tensor], Tensor]
    outputs: Callable[[Ops, Tensor, Tensor], Mapping[str, Tensor]]
    row_limits: Sequence[int]
