"""A label per piece, such as an entity's: `…ForTokenClassification` of both families."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkclin.export.checkpoint import TensorShape
from sparkclin.export.families import bert
from sparkclin.export.graph.encoder import EncoderConfig, Linear
from sparkclin.export.graph.ops import Array, Ops, Tensor
from sparkclin.export.graph.packed import Rows, Segments
from sparkclin.export.heads.head import HeadSpec, per_position, scores
from sparkclin.export.heads.labels import labels_of
from sparkclin.schema import ENTITIES
from sparkclin.text.labels import LOGITS
from sparkclin.wire.outputs import Output


@dataclass(frozen=True, kw_only=True)
class TokenClassificationHead:
    """One output: a logit per label. Of a part of several pieces it is the largest of each label; tasks ask for parts
    of one piece."""

    classifier: Linear
    labels: tuple[str, ...]
    task: str = ENTITIES

    @property
    def outputs(self) -> tuple[Output, ...]:
        return (Output(LOGITS, len(self.labels)),)

    def compute(self, ops: Ops, segments: Segments) -> Sequence[Callable[[], Tensor]]:
        def logits() -> Tensor:
            of_pieces = scores(ops, segments.states, self.classifier)
            return ops.segment_max(of_pieces, segments.index, n_segments=segments.count)

        return (logits,)

    def of_rows(self, ops: Ops, rows: Rows) -> Tensor:
        """The logits of every position, (R, P, labels)."""
        return per_position(ops, rows.states, lambda states: scores(ops, states, self.classifier))

    def expected(self, states: npt.NDArray[np.float64]) -> Mapping[str, npt.NDArray[np.float64]]:
        return {LOGITS: (states @ self.classifier.weight + self.classifier.bias).max(axis=0)}


def shapes(config: EncoderConfig, raw: Mapping[str, Any]) -> dict[str, TensorShape]:
    return bert.linear_shapes("classifier", config.width, len(labels_of(raw)))


def build(tensors: Mapping[str, Array], _config: EncoderConfig, raw: Mapping[str, Any]) -> TokenClassificationHead:
    return TokenClassificationHead(classifier=Linear.read(tensors, "classifier"), labels=labels_of(raw))


TOKEN_CLASSIFICATION = HeadSpec(
    task=ENTITIES,
    architectures=("ForTokenClassification",),
    shapes=shapes,
    build=build,
    auto_class="AutoModelForTokenClassification",
    label_weight="classifier.weight",
)
