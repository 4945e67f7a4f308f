"""What a head is: what a model gives per segment part, which weights that takes, and how a graph computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from export.checkpoint import TensorShape
from export.graph.encoder import EncoderConfig
from export.graph.ops import Array
from export.graph.packed import Outputting


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
    it of them, of the encoder's shape and of config.json.
    """

    task: str
    architectures: tuple[str, ...]
    shapes: Callable[[EncoderConfig, Mapping[str, Any]], dict[str, TensorShape]]
    build: Callable[[Mapping[str, Array], EncoderConfig, Mapping[str, Any]], Head]
