"""The encoder: embeddings, then layers of self-attention and feed-forward, as in BERT and its descendants.

Written once, against `Ops`, so that every engine builds the same graph. Shapes use these names:
rows R (windows in a batch), pieces P (longest row), width W, heads H, size D = W / H.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparkclin.export.graph.attention import Attention, Projections, pad_rows
from sparkclin.export.graph.model_input import NO_GLOBAL, ModelInput, read_input
from sparkclin.export.graph.ops import Array, Ops, Tensor
from sparkclin.export.graph.packed import Outputting, find_segments, packed_or_rows
from sparkclin.export.graph.sliding_window import GlobalWeights
from sparkclin.wire.tags import Vocabulary


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The shape of an encoder.

    `attention` has an object per layer. `positions` and `types` are rows of the tables of positions and token types;
    the first piece of a row has the position `first_position`, padding `padding_position`. `cls_id` and `sep_id` are
    the ids of the special pieces that begin and end a row; the latter separates two texts, too, `separators` times.
    `has_token_types`: what stands behind a row's first separator is of token type 1. `global_attention` is one of
    GLOBAL_ATTENTIONS.
    """

    vocab_size: int
    width: int
    heads: int
    intermediate: int
    positions: int
    first_position: int
    padding_position: int
    types: int
    pad_id: int
    cls_id: int
    sep_id: int
    layer_norm_eps: float
    activation: str
    attention: tuple[Attention, ...]
    separators: int = 0
    has_token_types: bool = False
    global_attention: str = NO_GLOBAL

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(
            size=self.vocab_size,
            cls_id=self.cls_id,
            sep_id=self.sep_id,
            pad_id=self.pad_id,
            separators=self.separators,
        )

    @property
    def layers(self) -> int:
        return len(self.attention)

    @property
    def max_row(self) -> int:
        """The longest row in ids, special pieces included."""
        return self.positions - self.first_position

    @property
    def row_limits(self) -> tuple[int, ...]:
        """Up to which length of rows all layers take the same paths as for the next shorter one, ascending; the last is
        max_row."""
        limits = {layer.unpadded_limit for layer in self.attention}
        return (*sorted(limit for limit in limits if limit < self.max_row), self.max_row)

    @property
    def max_pieces(self) -> int:
        """The longest window in pieces: a row less its first and last special piece."""
        return self.max_row - 2


@dataclass(frozen=True, kw_only=True)
class Linear:
    """y = x · weight + bias, weight (inputs, outputs)."""

    weight: Array
    bias: Array

    @classmethod
    def read(cls, tensors: Mapping[str, Array], name: str) -> Linear:
        """From a layer's tensors as PyTorch keeps them, weight (outputs, inputs)."""
        return cls(weight=np.ascontiguousarray(tensors[f"{name}.weight"].T), bias=tensors[f"{name}.bias"])


@dataclass(frozen=True, kw_only=True)
class Norm:
    """Layer normalisation's scale and shift, both (width,)."""

    scale: Array
    shift: Array

    @classmethod
    def read(cls, tensors: Mapping[str, Array], name: str) -> Norm:
        """From a layer's tensors as PyTorch keeps them."""
        return cls(scale=tensors[f"{name}.weight"], shift=tensors[f"{name}.bias"])


@dataclass(frozen=True, kw_only=True)
class AttentionWeights:
    """Attention's four projections, weights (W, W); `query` carries attention's 1 / √D. `of_global` are those of the
    positions with global attention, where there are such."""

    query: Linear
    key: Array
    value: Array
    output: Linear
    of_global: GlobalWeights | None = None

    @classmethod
    def fold(cls, *, query: Linear, key: Linear, value: Linear, output: Linear, heads: int) -> AttentionWeights:
        """From a model's own projections, without the passes over all pieces that need not be made.

        A key's bias adds the same to all scores of a query, and softmax does not see that. What softmax weighs values
        by adds up to 1, so that the values' bias comes through unchanged, as a part of the output's.
        """
        scale = np.float32((len(query.weight) // heads) ** -0.5)
        return cls(
            query=Linear(weight=query.weight * scale, bias=query.bias * scale),
            key=key.weight,
            value=value.weight,
            output=Linear(weight=output.weight, bias=output.bias + value.bias @ output.weight),
        )


@dataclass(frozen=True, kw_only=True)
class LayerWeights:
    """One layer."""

    attention: AttentionWeights
    attention_norm: Norm
    intermediate: Linear
    output: Linear
    output_norm: Norm


@dataclass(frozen=True, kw_only=True)
class EncoderWeights:
    """`pieces` (V, W), `positions` (positions, W), `types` (types, W)."""

    pieces: Array
    positions: Array
    types: Array
    embeddings_norm: Norm
    layers: tuple[LayerWeights, ...]


def model(ops: Ops, input_ids: Tensor, *, config: EncoderConfig, weights: EncoderWeights, head: Outputting) -> Tensor:
    """The whole graph: arriving ids, int (R, P) -> what the head gives of rows, (R, positions, numbers), or of a packed
    batch its outputs (1, 1, numbers)."""
    return packed_or_rows(
        ops,
        input_ids,
        vocabulary=config.vocabulary,
        encode=lambda ids: encode(ops, ids, config=config, weights=weights),
        head=head,
    )


def outputs_of_segments(
    ops: Ops, ids: Tensor, states: Tensor, *, config: EncoderConfig, head: Outputting
) -> dict[str, Tensor]:
    """Rows of tagged ids, int (R, P), and their states (R, P, W) -> each output of the head by name, (S, size) of the S
    segment parts. What packed_or_rows() makes of a packed batch, where what is wanted is chosen otherwise."""
    with ops.scope("head"):
        segments = find_segments(ops, states, ids, vocabulary=config.vocabulary)
        made = head.compute(ops, segments)
        return {output.name: compute() for output, compute in zip(head.outputs, made, strict=True)}


def encode(ops: Ops, ids: Tensor, *, config: EncoderConfig, weights: EncoderWeights) -> Tensor:
    """Arriving ids, int (R, P) -> the last layer's states, float (R, P, W)."""
    pieces = ops.size(ids, axis=1)
    with ops.scope("input"):
        padded = pad_rows(ops, ids, attention=config.attention, padding=config.pad_id)
        model_input = read_input(ops, padded, config=config)
    states = embed_input(ops, model_input, config=config, weights=weights)
    # In order of first use: a set's order is not the same in every process, and a graph should be.
    plans = {attention: attention.plan(ops, model_input) for attention in dict.fromkeys(config.attention)}
    for index, (attention, layer) in enumerate(zip(config.attention, weights.layers, strict=True)):
        with ops.scope(LAYER.format(index)):
            states = encode_layer(ops, states, attention, plans[attention], config=config, layer=layer)
    return ops.slice(states, axis=1, begin=0, end=pieces)


def embed_input(ops: Ops, model_input: ModelInput, *, config: EncoderConfig, weights: EncoderWeights) -> Tensor:
    """(R, P) -> (R, P, W)"""
    with ops.scope("embeddings"):
        pieces = ops.embedding(weights.pieces, model_input.ids, name="pieces")
        if model_input.token_types is None:  # all are of type 0
            positions = ops.embedding(weights.positions + weights.types[0], model_input.positions, name="positions")
        else:
            positions = ops.embedding(weights.positions, model_input.positions, name="positions")
            positions = positions + ops.embedding(weights.types, model_input.token_types, name="types")
        return add_and_norm(ops, pieces, positions, weights.embeddings_norm, eps=config.layer_norm_eps)


def encode_layer(
    ops: Ops, states: Tensor, attention: Attention, plan: Any, *, config: EncoderConfig, layer: LayerWeights
) -> Tensor:
    """(R, P, W) -> (R, P, W)"""
    with ops.scope("attention"):
        projected = Projections(
            query=linear(ops, states, layer.attention.query, name="query"),
            key=project(ops, states, layer.attention.key, name="key"),
            value=project(ops, states, layer.attention.value, name="value"),
            states=states,
            of_global=layer.attention.of_global,
        )
        context = attention.attend(ops, projected, plan, heads=config.heads, width=config.width)
        attended = linear(ops, context, layer.attention.output, name="output")
        states = add_and_norm(ops, attended, states, layer.attention_norm, eps=config.layer_norm_eps)
    with ops.scope("feed_forward"):
        inner = activate(ops, linear(ops, states, layer.intermediate, name="intermediate"), config.activation)
        outer = linear(ops, inner, layer.output, name="output")
        return add_and_norm(ops, outer, states, layer.output_norm, eps=config.layer_norm_eps)


def linear(ops: Ops, x: Tensor, layer: Linear, *, name: str) -> Tensor:
    """(…, inputs) -> (…, outputs)"""
    with ops.scope(name):
        return ops.linear(x, layer.weight, layer.bias)


def project(ops: Ops, x: Tensor, weight: Array, *, name: str) -> Tensor:
    """(…, inputs) -> (…, outputs)"""
    with ops.scope(name):
        return ops.linear(x, weight)


def add_and_norm(ops: Ops, x: Tensor, residual: Tensor, norm: Norm, *, eps: float) -> Tensor:
    """Layer normalisation (Ba et al., 2016) of a sum, over the last axis."""
    return ops.add_and_norm(x, residual, norm.scale, norm.shift, eps=eps)


def activate(ops: Ops, x: Tensor, name: str) -> Tensor:
    """The activations that transformers knows by these names."""
    if name == "gelu":
        return ops.gelu(x)
    if name in ("gelu_new", "gelu_pytorch_tanh"):
        return x * 0.5 * (ops.tanh((x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)) + 1.0)
    if name == "tanh":
        return ops.tanh(x)
    return ops.relu(x)


LAYER = "layer_{}"
VALUE_PROJECTION = "attention/value"
TABLES = "embeddings"
"""The name of a linear layer or a table is that of its scopes, such as `layer_3/attention/value`."""

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
