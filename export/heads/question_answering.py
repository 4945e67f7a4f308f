"""Where an answer begins and where it ends: `…ForQuestionAnswering` of both families."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkclin.export.checkpoint import TensorShape
from sparkclin.export.families import bert
from sparkclin.export.graph.encoder import EncoderConfig, Linear, Norm, activate, add_and_norm
from sparkclin.export.graph.ops import Array, Ops, Tensor
from sparkclin.export.graph.packed import Rows, Segments, later
from sparkclin.export.heads.head import ACTIVATION_OF, HeadSpec, per_position, scores
from sparkclin.schema import ANSWER
from sparkclin.text.labels import LOGITS
from sparkclin.wire.outputs import Output
from sparkclin.wire.tags import Vocabulary

CHOSEN, IMPOSSIBLE = 50.0, -1e9
"""Of positions in a row: the logit of the one that is chosen, and one that is below every other."""

LONGEST_ROW = 1 << 16
"""In positions: what a row may have at most."""


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
    the largest; tasks ask for parts of one piece. `vocabulary` is that of the rows."""

    qa_outputs: Linear
    vocabulary: Vocabulary
    feed_forward: FeedForward | None = None
    task: str = ANSWER
    labels: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[Output, ...]:
        return (Output(LOGITS, 2),)

    def compute(self, ops: Ops, segments: Segments) -> Sequence[Callable[[], Tensor]]:
        def logits() -> Tensor:
            of_pieces = self.logits(ops, segments.states)
            return ops.segment_max(of_pieces, segments.index, n_segments=segments.count)

        return (logits,)

    def of_rows(self, ops: Ops, rows: Rows) -> Tensor:
        """Where the likeliest span of the second text begins and ends, (R, P, 2): CHOSEN at one position each, else 0.

        Spark NLP chooses begin and end each by itself, and fails where the end stands before the begin.
        """
        logits = per_position(ops, rows.states, lambda states: self.logits(ops, states))
        return likeliest_span(ops, logits, is_second=in_second_text(ops, rows.ids, vocabulary=self.vocabulary))

    def logits(self, ops: Ops, states: Tensor) -> Tensor:
        """(N, W) -> (N, 2)"""
        fed = self.feed_forward.build(ops, states) if self.feed_forward else states
        return scores(ops, fed, self.qa_outputs)

    def expected(self, states: npt.NDArray[np.float64]) -> Mapping[str, npt.NDArray[np.float64]]:
        fed = self.feed_forward.expected(states) if self.feed_forward else states
        return {LOGITS: (fed @ self.qa_outputs.weight + self.qa_outputs.bias).max(axis=0)}


def shapes(config: EncoderConfig, _raw: Mapping[str, Any]) -> dict[str, TensorShape]:
    return bert.linear_shapes("qa_outputs", config.width, 2)


def build(tensors: Mapping[str, Array], config: EncoderConfig, _raw: Mapping[str, Any]) -> QuestionAnsweringHead:
    return QuestionAnsweringHead(qa_outputs=Linear.read(tensors, "qa_outputs"), vocabulary=config.vocabulary)


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
    return QuestionAnsweringHead(
        qa_outputs=Linear.read(tensors, "qa_classifier.qa_outputs"),
        vocabulary=config.vocabulary,
        feed_forward=feed_forward,
    )


def in_second_text(ops: Ops, ids: Tensor, *, vocabulary: Vocabulary) -> Tensor:
    """Bool (R, P): pieces behind a row's first separators and before its last piece, whatever id they have."""
    own = ops.mod(ids, vocabulary.size)
    is_separator = ops.to_int(ops.equal(own, vocabulary.sep_id))
    before = ops.cumsum(is_separator, axis=1) - is_separator
    is_piece = ops.to_int(ops.not_equal(own, vocabulary.pad_id))
    behind = ops.sum(is_piece, axis=1) - ops.cumsum(is_piece, axis=1)
    return ops.logical_and(ops.less(max(vocabulary.separators, 1) - 1, before), ops.less(0, behind))


def likeliest_span(ops: Ops, logits: Tensor, *, is_second: Tensor) -> Tensor:
    """Logits of begin and end, (R, P, 2) -> (R, P, 2): CHOSEN where the span of largest sum begins and ends, else 0."""
    pieces = ops.size(logits, axis=1)
    begin, end = (
        ops.where(is_second, ops.reshape(ops.slice(logits, axis=2, begin=n, end=n + 1), (-1, pieces)), IMPOSSIBLE)
        for n in (0, 1)
    )
    best_end = first_largest(ops, end + running_max(ops, begin))
    until_end = ops.less(ops.cumsum(best_end, axis=1) - best_end, 1)
    best_begin = first_largest(ops, ops.where(until_end, begin, 2 * IMPOSSIBLE))
    chosen = (ops.reshape(ops.to_float(best) * CHOSEN, (-1, pieces, 1)) for best in (best_begin, best_end))
    return ops.concat(list(chosen), axis=2)


def first_largest(ops: Ops, x: Tensor) -> Tensor:
    """1 at the first of a row's largest numbers, else 0: int (R, P)"""
    row = ops.range(ops.size(x, axis=0))
    pieces = ops.size(x, axis=1)
    index = ops.reshape(ops.reshape(row, (-1, 1)) + 0 * ops.reshape(ops.range(pieces), (1, -1)), (-1,))
    largest = ops.segment_max(ops.reshape(x, (-1, 1)), index, n_segments=ops.size(x, axis=0))
    is_largest = ops.to_int(ops.equal(x, largest))
    return ops.to_int(ops.equal(is_largest * ops.cumsum(is_largest, axis=1), 1))


def running_max(ops: Ops, x: Tensor) -> Tensor:
    """The largest number up to each position of a row, (R, P), for rows of up to LONGEST_ROW positions."""
    reach = 1
    while reach < LONGEST_ROW:
        earlier = later(ops, x, reach, value=IMPOSSIBLE)
        x = ops.where(ops.less(x, earlier), earlier, x)
        reach *= 2
    return x


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
