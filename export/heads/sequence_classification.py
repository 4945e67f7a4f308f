"""Labels of a row, by its first piece: `…ForSequenceClassification` of both families."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkclin.export.checkpoint import TensorShape
from sparkclin.export.families import bert
from sparkclin.export.graph.encoder import EncoderConfig, Linear, activate
from sparkclin.export.graph.ops import Array, Ops, Tensor
from sparkclin.export.graph.packed import Rows, Segments
from sparkclin.export.heads.embedding import mean
from sparkclin.export.heads.head import ACTIVATION_OF, HeadSpec, per_position, scores
from sparkclin.export.heads.labels import labels_of
from sparkclin.schema import CLASSIFY
from sparkclin.text.labels import LOGITS
from sparkclin.wire.outputs import Output

LABEL_WEIGHT = "classifier.out_proj.weight"


@dataclass(frozen=True, kw_only=True)
class SequenceClassificationHead:
    """One output: a logit per label. Tasks ask for parts of one piece, a row's first; of others it is what their mean
    state gives."""

    dense: Linear
    out_proj: Linear
    activation: str
    labels: tuple[str, ...]
    task: str = CLASSIFY

    @property
    def outputs(self) -> tuple[Output, ...]:
        return (Output(LOGITS, len(self.labels)),)

    def compute(self, ops: Ops, segments: Segments) -> Sequence[Callable[[], Tensor]]:
        return (lambda: self.logits(ops, mean(ops, segments)),)

    def of_rows(self, ops: Ops, rows: Rows) -> Tensor:
        """The logits of every row, (R, 1, labels)."""
        first = ops.slice(rows.states, axis=1, begin=0, end=1)
        return per_position(ops, first, lambda states: self.logits(ops, states))

    def logits(self, ops: Ops, states: Tensor) -> Tensor:
        """(N, W) -> (N, labels)"""
        return scores(ops, activate(ops, scores(ops, states, self.dense), self.activation), self.out_proj)

    def expected(self, states: npt.NDArray[np.float64]) -> Mapping[str, npt.NDArray[np.float64]]:
        inner = ACTIVATION_OF[self.activation](states.mean(axis=0) @ self.dense.weight + self.dense.bias)
        return {LOGITS: inner @ self.out_proj.weight + self.out_proj.bias}


def shapes(config: EncoderConfig, raw: Mapping[str, Any]) -> dict[str, TensorShape]:
    return {
        **bert.linear_shapes("classifier.dense", config.width, config.width),
        **bert.linear_shapes("classifier.out_proj", config.width, len(labels_of(raw))),
    }


def with_activation(
    name_of: Callable[[EncoderConfig], str],
) -> Callable[[Mapping[str, Array], EncoderConfig, Mapping[str, Any]], SequenceClassificationHead]:
    """Return the function that builds a family's head; `name_of` gives its activation."""

    def build(
        tensors: Mapping[str, Array], config: EncoderConfig, raw: Mapping[str, Any]
    ) -> SequenceClassificationHead:
        return SequenceClassificationHead(
            dense=Linear.read(tensors, "classifier.dense"),
            out_proj=Linear.read(tensors, "classifier.out_proj"),
            activation=name_of(config),
            labels=labels_of(raw),
        )

    return build


SEQUENCE_CLASSIFICATION = HeadSpec(
    task=CLASSIFY,
    architectures=("ForSequenceClassification",),
    shapes=shapes,
    build=with_activation(lambda _config: "tanh"),
    auto_class="AutoModelForSequenceClassification",
    logits=lambda output: output.logits,  # of the first position
    label_weight=LABEL_WEIGHT,
)

BIGBIRD_SEQUENCE_CLASSIFICATION = HeadSpec(
    task=CLASSIFY,
    architectures=("BigBirdForSequenceClassification",),
    shapes=shapes,
    build=with_activation(lambda config: config.activation),
    auto_class="AutoModelForSequenceClassification",
    logits=lambda output: output.logits,
    label_weight=LABEL_WEIGHT,
)
