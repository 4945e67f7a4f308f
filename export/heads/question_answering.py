"""Where an answer begins and where it ends: `…ForQuestionAnswering` of both families."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from export.checkpoint import TensorShape
from export.families import bert
from export.graph.encoder import EncoderConfig, Linear, Norm, activate, add_and_norm
from export.graph.ops import Array, Ops, Tensor
from export.graph.packed import Segments
from export.heads.head import ACTIVATION_OF, HeadSpec, scores
from sparkclin.models.bundle import ANSWER
from sparkclin.text.labels import LOGITS
from sparkclin.wire.outputs import Output


@dataclass(frozen=True, kw_only=True)
class FeedForward:
    """What BigBird's head does before it scores: a layer's feed-forward once more."""

    intermediate: Linear
    output: Linear
    norm: Norm
    activation: str
    eps: float

    def build(self, ops: Ops, states: Tensor) -> Tensor:
        """(N, W) -> (N, W)"""
        inner = activate(ops, scores(ops, states, self.intermediate), self.activation)
        return add_and_norm(ops, scores(ops, inner, self.output), states, self.norm, eps=self.eps)

    def expected(self, states: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        inner = ACTIVATION_OF[self.activation](states @ self.intermediate.weight + self.intermediate.bias)
        total = inner @ self.output.weight + self.output.bias + states
        centred = total - total.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.eps)
        found: npt.NDArray[np.float64] = scaled * self.norm.scale + self.norm.shift
        return found


@dataclass(frozen=True, kw_only=True)
class QuestionAnsweringHead:
    """One output of two numbers: the logits of an answer's begin and of its end. Of a part of several pieces they are
    the largest; tasks ask for parts of one piece."""

    qa_outputs: Linear
    feed_forward: FeedForward | None = None
    task: str = ANSWER
    labels: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[Output, ...]:
        return (Output(LOGITS, 2),)

    def compute(self, ops: Ops, segments: Segments) -> Sequence[Callable[[], Tensor]]:
        def logits() -> Tensor:
            states = self.feed_forward.build(ops, segments.states) if self.feed_forward else segments.states
            return ops.segment_max(scores(ops, states, self.qa_outputs), segments.index, n_segments=segments.count)

        return (logits,)

    def expected(self, states: npt.NDArray[np.float64]) -> Mapping[str, npt.NDArray[np.float64]]:
        fed = self.feed_forward.expected(states) if self.feed_forward else states
        return {LOGITS: (fed @ self.qa_outputs.weight + self.qa_outputs.bias).max(axis=0)}


def shapes(config: EncoderConfig, _raw: Mapping[str, Any]) -> dict[str, TensorShape]:
    return bert.linear_shapes("qa_outputs", config.width, 2)


def build(tensors: Mapping[str, Array], _config: EncoderConfig, _raw: Mapping[str, Any]) -> QuestionAnsweringHead:
    return QuestionAnsweringHead(qa_outputs=Linear.read(tensors, "qa_outputs"))


def bigbird_shapes(config: EncoderConfig, _raw: Mapping[str, Any]) -> dict[str, TensorShape]:
    return {
        **bert.linear_shapes("qa_classifier.intermediate.dense", config.width, config.intermediate),
        **bert.linear_shapes("qa_classifier.output.dense", config.intermediate, config.width),
        **bert.norm_shapes("qa_classifier.output.LayerNorm", config.width),
        **bert.linear_shapes("qa_classifier.qa_outputs", config.width, 2),
    }


def build_bigbird(
    tensors: Mapping[str, Array], config: EncoderConfig, _raw: Mapping[str, Any]
) -> QuestionAnsweringHead:
    feed_forward = FeedForward(
        intermediate=Linear.read(tensors, "qa_classifier.intermediate.dense"),
        output=Linear.read(tensors, "qa_classifier.output.dense"),
        norm=Norm.read(tensors, "qa_classifier.output.LayerNorm"),
        activation=config.activation,
        eps=config.layer_norm_eps,
    )
    return QuestionAnsweringHead(qa_outputs=Linear.read(tensors, "qa_classifier.qa_outputs"), feed_forward=feed_forward)


def begin_and_end(output: Any) -> Any:
    """(positions, 2)"""
    import torch

    return torch.stack([output.start_logits[0], output.end_logits[0]], dim=-1)


QUESTION_ANSWERING = HeadSpec(
    task=ANSWER,
    architectures=("ForQuestionAnswering",),
    shapes=shapes,
    build=build,
    auto_class="AutoModelForQuestionAnswering",
    logits=begin_and_end,
    reads_pairs=True,
)

BIGBIRD_QUESTION_ANSWERING = HeadSpec(
    task=ANSWER,
    architectures=("BigBirdForQuestionAnswering",),
    shapes=bigbird_shapes,
    build=build_bigbird,
    auto_class="AutoModelForQuestionAnswering",
    logits=begin_and_end,
    reads_pairs=True,
)
