"""What a head is: what a model gives per segment part, which weights that takes, and how a graph computes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sparkclin.export.checkpoint import TensorShape
from sparkclin.export.graph.encoder import EncoderConfig, Linear
from sparkclin.export.graph.ops import Array, Ops, Tensor
from sparkclin.export.graph.packed import Outputting


class Head(Outputting, Protocol):
    """A head with its weights. `task` and `labels` go into the manifest."""

    @property
    def task(self) -> str: ...

    @property
    def labels(self) -> tuple[str, ...]: ...

    def expected(self, states: npt.NDArray[np.float64]) -> Mapping[str, npt.NDArray[np.float64]]:
        """What compute() is held to: the states of a segment part (positions, W) -> each output by name, (size,).

        In float64, and without the graph's operations.
        """


@dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """A kind of head. `task` is one word for what it is for.

    `architectures` are the endings of the names by which transformers' config.json says that a checkpoint has it, such
    as `ForTokenClassification`. `shapes` are the tensors that it takes, by their names in the checkpoint; `build` makes
    it of them, of the encoder's shape and of config.json. `auto_class` is transformers' class of models with this head,
    and `logits` takes those of a row's first positions, (positions, numbers), from what it gives for that row; the
    head's output is held to them. None for a head that transformers does not have. `reads_pairs`: a row is a question
    and a text. `label_weight` is the tensor with a row per label; None for a head without labels.
    """

    task: str
    architectures: tuple[str, ...]
    shapes: Callable[[EncoderConfig, Mapping[str, Any]], dict[str, TensorShape]]
    build: Callable[[Mapping[str, Array], EncoderConfig, Mapping[str, Any]], Head]
    auto_class: str | None = None
    logits: Callable[[Any], Any] = lambda output: output.logits[0]
    reads_pairs: bool = False
    label_weight: str | None = None


def per_position(ops: Ops, states: Tensor, of_states: Callable[[Tensor], Tensor]) -> Tensor:
    """(R, P, W) -> (R, P, numbers), by what makes (N, numbers) of (N, W)"""
    made = of_states(ops.reshape(states, (-1, ops.size(states, axis=2))))
    return ops.reshape(made, (-1, ops.size(states, axis=1), ops.size(made, axis=1)))


def scores(ops: Ops, x: Tensor, layer: Linear) -> Tensor:
    """(N, I) -> (N, O), in fp32 whatever the model's precision: a head's few weights are what its answers hang on."""
    return ops.matmul(x, ops.constant(layer.weight, "weight")) + ops.constant(layer.bias, "bias")


def gelu_tanh(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return found


ACTIVATION_OF: dict[str, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = {
    "gelu": lambda x: x / 2 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))),
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
}
"""In float64, for `Head.expected`, by the names in sparkclin.export.graph.encoder."""
