"""A head that the package does not know: scores of three labels per segment part, from the mean of its states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkclin.export.checkpoint import TensorShape
from sparkclin.export.graph.encoder import EncoderConfig, Linear, linear
from sparkclin.export.graph.ops import Array, Ops, Tensor
from sparkclin.export.graph.packed import Rows, Segments
from sparkclin.export.heads.embedding import mean
from sparkclin.export.heads.head import HeadSpec
from sparkclin.wire.outputs import Output

LOGITS = "logits"


@dataclass(frozen=True, kw_only=True)
class ToyHead:
    scores: Linear
    labels: tuple[str, ...]
    task: str = "score"

    @property
    def outputs(self) -> tuple[Output, ...]:
        return (Output(LOGITS, len(self.labels)),)

    def compute(self, ops: Ops, segments: Segments) -> Sequence[Callable[[], Tensor]]:
        return (lambda: linear(ops, mean(ops, segments), self.scores, name="scorer"),)

    def of_rows(self, ops: Ops, rows: Rows) -> Tensor:  # noqa: ARG002
        return rows.states

    def expected(self, states: npt.NDArray[np.float64]) -> Mapping[str, npt.NDArray[np.float64]]:
        return {LOGITS: states.mean(axis=0) @ self.scores.weight + self.scores.bias}


def shapes(config: EncoderConfig, raw: Mapping[str, Any]) -> dict[str, TensorShape]:
    labels = len(raw["id2label"])
    return {"scorer.weight": (labels, config.width), "scorer.bias": (labels,)}


def build(tensors: Mapping[str, Array], _config: EncoderConfig, raw: Mapping[str, Any]) -> ToyHead:
    weight = np.ascontiguousarray(tensors["scorer.weight"].T)
    labels = tuple(raw["id2label"][str(index)] for index in range(weight.shape[1]))
    return ToyHead(scores=Linear(weight=weight, bias=tensors["scorer.bias"]), labels=labels)


TOY_HEAD = HeadSpec(
    task="score", architectures=("ForToyScores",), shapes=shapes, build=build, label_weight="scorer.weight"
)
