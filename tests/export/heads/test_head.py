"""What heads are held to, against torch's own functions, and what they share in a graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from sparkclin.export.graph.encoder import ACTIVATIONS, Linear, Norm, activate
from sparkclin.export.graph.ops import Ops, Tensor
from sparkclin.export.heads.embedding import EmbeddingHead
from sparkclin.export.heads.head import ACTIVATION_OF, per_position, scores
from sparkclin.export.heads.question_answering import FeedForward, QuestionAnsweringHead
from sparkclin.export.heads.sequence_classification import SequenceClassificationHead
from sparkclin.export.heads.token_classification import TokenClassificationHead
from sparkclin.wire.tags import Vocabulary
from tests.export.graphs import Array, computed

OF_TORCH: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "tanh": torch.tanh,
}
GENERATOR = np.random.default_rng(0)
STATES = GENERATOR.normal(size=(3, 4))
"""Of a segment part of three positions."""


def linear(inputs: int, outputs: int) -> Linear:
    weight, bias = GENERATOR.normal(size=(inputs, outputs)), GENERATOR.normal(size=outputs)
    return Linear(weight=weight.astype(np.float32), bias=bias.astype(np.float32))


def of_torch(x: Array, layer: Linear) -> torch.Tensor:
    weight, bias = (torch.from_numpy(array.astype(np.float64)) for array in (layer.weight.T, layer.bias))
    return functional.linear(torch.as_tensor(x), weight, bias)


@pytest.mark.parametrize("name", OF_TORCH)
def test_activations_are_those_of_torch(name: str) -> None:
    x = np.linspace(-6, 6, 49)
    expected = OF_TORCH[name](torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ACTIVATION_OF[name](x), expected, atol=1e-12)
    ids = np.arange(49)[None]
    found = computed(lambda ops, ids: activate(ops, (ops.to_float(ids) - 24.0) * 0.25, name), ids)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_every_activation_of_an_encoder_is_known_to_heads() -> None:
    assert set(ACTIVATIONS) <= set(ACTIVATION_OF) == set(OF_TORCH)


def test_a_layer_of_scores_is_a_product_and_a_bias() -> None:
    layer = linear(2, 3)
    found = computed(lambda ops, ids: scores(ops, ops.reshape(ops.to_float(ids), (-1, 2)), layer), [[1, 2, 3, 4]])
    expected = np.array([[1, 2], [3, 4]]) @ layer.weight + layer.bias
    np.testing.assert_allclose(found.reshape(2, 3), expected, rtol=1e-5)


def test_numbers_per_position_keep_their_places() -> None:
    """Of rows of two positions with three numbers: their sum and their double."""

    def of_states(ops: Ops, states: Tensor) -> Tensor:
        return ops.concat([ops.sum(states, axis=1), states * 2.0], axis=1)

    def body(ops: Ops, ids: Tensor) -> Tensor:
        made = per_position(ops, ops.reshape(ops.to_float(ids), (2, 2, 3)), lambda states: of_states(ops, states))
        return ops.slice(ops.slice(made, axis=1, begin=1, end=2), axis=0, begin=1, end=2)

    assert computed(body, np.arange(12)[None]).tolist() == [30, 18, 20, 22]


def test_the_embedding_head_gives_mean_and_maximum() -> None:
    head = EmbeddingHead(width=4)
    assert [(output.name, output.size) for output in head.outputs] == [("mean", 4), ("max", 4)]
    found = head.expected(STATES)
    assert found.keys() == {"mean", "max"}
    for index in range(4):
        numbers = [STATES[position, index] for position in range(3)]
        assert found["mean"][index] == pytest.approx(sum(numbers) / 3)
        assert found["max"][index] == max(numbers)


def test_token_logits_are_the_largest_of_a_parts_positions() -> None:
    head = TokenClassificationHead(classifier=linear(4, 2), labels=("O", "B-X"))
    assert [(output.name, output.size) for output in head.outputs] == [("logits", 2)]
    expected = of_torch(STATES, head.classifier).max(dim=0).values.numpy()
    np.testing.assert_allclose(head.expected(STATES)["logits"], expected)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_sequence_logits_are_those_of_the_mean_state(activation: str) -> None:
    head = SequenceClassificationHead(
        dense=linear(4, 4), out_proj=linear(4, 3), activation=activation, labels=("a", "b", "c")
    )
    assert [(output.name, output.size) for output in head.outputs] == [("logits", 3)]
    inner = OF_TORCH[activation](of_torch(STATES.mean(axis=0), head.dense)).numpy()
    np.testing.assert_allclose(head.expected(STATES)["logits"], of_torch(inner, head.out_proj).numpy())


@pytest.mark.parametrize("is_fed_forward", [False, True])
def test_logits_of_answers_are_those_of_torch(*, is_fed_forward: bool) -> None:
    """BigBird's head is a feed-forward with its normalisation, then the logits."""
    norm = Norm(scale=linear(1, 4).bias, shift=linear(1, 4).bias)
    feed_forward = FeedForward(intermediate=linear(4, 6), output=linear(6, 4), norm=norm, activation="gelu", eps=0.25)
    head = QuestionAnsweringHead(
        qa_outputs=linear(4, 2),
        vocabulary=Vocabulary(size=10, cls_id=0, sep_id=2, pad_id=1),
        feed_forward=feed_forward if is_fed_forward else None,
    )
    assert [(output.name, output.size) for output in head.outputs] == [("logits", 2)]
    states = torch.from_numpy(STATES)
    if is_fed_forward:
        inner = functional.gelu(of_torch(STATES, feed_forward.intermediate))
        total = of_torch(inner.numpy(), feed_forward.output) + states
        scale, shift = (torch.from_numpy(array.astype(np.float64)) for array in (norm.scale, norm.shift))
        states = functional.layer_norm(total, (4,), scale, shift, eps=0.25)
        numbers = STATES.astype(np.float32)

        def body(ops: Ops, ids: Tensor) -> Tensor:
            return feed_forward.build(ops, ops.constant(numbers, "states") + 0.0 * ops.to_float(ids))

        np.testing.assert_allclose(computed(body, [[0]]).reshape(3, 4), states.numpy(), atol=1e-5)
    expected = of_torch(states.numpy(), head.qa_outputs).max(dim=0).values.numpy()
    np.testing.assert_allclose(head.expected(STATES)["logits"], expected)
