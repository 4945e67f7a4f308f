"""The encoder: embeddings, then layers of self-attention and feed-forward, as in RoBERTa and Longformer.

Written once, against `Ops`, so that every engine builds the same graph. Shapes use these names:
rows R (windows in a batch), pieces P (longest row), width W, heads H, size D = W / H.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from export.graph.attention import AttentionPlan, Projections, attend, pad_to_blocks
from export.graph.ops import Array, Ops, Tensor
from export.graph.packed import answer
from sparkclin.wire.packed import Vocabulary


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The shape of an encoder.

    `reach` is, for each layer, how many pieces a piece sees to each side; `cls_id` and `sep_id` are the ids of the
    special pieces that begin and end a row.
    """

    vocab_size: int
    width: int
    heads: int
    intermediate: int
    positions: int
    types: int
    pad_id: int
    cls_id: int
    sep_id: int
    layer_norm_eps: float
    activation: str
    reach: tuple[int, ...]

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(size=self.vocab_size, cls_id=self.cls_id, sep_id=self.sep_id, pad_id=self.pad_id)

    @property
    def first_position(self) -> int:
        """RoBERTa numbers positions from pad_id + 1; pad_id itself is the position of padding."""
        return self.pad_id + 1

    @property
    def max_row(self) -> int:
        """The longest row in ids, special pieces included."""
        return self.positions - self.first_position

    @property
    def max_pieces(self) -> int:
        """The longest window in pieces: a row less its first and last special piece."""
        return self.max_row - 2


@dataclass(frozen=True, kw_only=True)
class Linear:
    """y = x · weight + bias, weight (inputs, outputs)."""

    weight: Array
    bias: Array


@dataclass(frozen=True, kw_only=True)
class Norm:
    """Layer normalisation's scale and shift, both (width,)."""

    scale: Array
    shift: Array


@dataclass(frozen=True, kw_only=True)
class AttentionWeights:
    """Attention's four projections, weights (W, W); `query` carries attention's 1 / √D."""

    query: Linear
    key: Array
    value: Array
    output: Linear

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
    """`pieces` (V, W), `positions` (positions, W): the type embedding of type 0 is already added to it."""

    pieces: Array
    positions: Array
    embeddings_norm: Norm
    layers: tuple[LayerWeights, ...]


def embed_pieces_or_spans(ops: Ops, input_ids: Tensor, *, config: EncoderConfig, weights: EncoderWeights) -> Tensor:
    """The whole graph: arriving ids, int (R, P) -> (R, P, W), or of a pack (1, 1, spans · 2 W)."""
    return answer(
        ops,
        input_ids,
        vocabulary=config.vocabulary,
        encode=lambda arrived: encode(ops, arrived, config=config, weights=weights),
    )


def encode(ops: Ops, input_ids: Tensor, *, config: EncoderConfig, weights: EncoderWeights) -> Tensor:
    """Arriving ids, int (R, P) -> the last layer's vectors, float (R, P, W)."""
    pieces = ops.size(input_ids, axis=1)
    with ops.scope("feed"):
        whole = pad_to_blocks(ops, input_ids, reaches=config.reach, pad_id=config.pad_id)
        feed = read_feed(ops, whole, config=config)
    states = embed(ops, feed, config=config, weights=weights)
    plans = {reach: AttentionPlan.build(ops, feed.visible, reach=reach) for reach in sorted(set(config.reach))}
    for index, (reach, layer) in enumerate(zip(config.reach, weights.layers, strict=True)):
        with ops.scope(f"layer_{index}"):
            states = encode_layer(ops, states, plans[reach], config=config, layer=layer)
    return ops.slice(states, axis=1, begin=0, end=pieces)


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What a row really says: ordinary piece ids, position numbers, and which places are seen; all int (R, P)."""

    ids: Tensor
    positions: Tensor
    visible: Tensor


def read_feed(ops: Ops, input_ids: Tensor, *, config: EncoderConfig) -> Feed:
    """Reads all feeds: ordinary ids 0…V−1, and transport codes from V on, which stand for the remainder by V.

    Padding is seen from the ids: Spark NLP's ONNX carriers of RoBERTa's kind send an attention mask that hides id 0,
    which is `<s>`, and shows padding.

    A row whose second id is the code of the first special piece brings that piece itself, because Spark NLP hands
    back no vector for the one it puts in front. The outer one is then hidden: not attended to, and not counted as a
    position, so the row is exactly the row without it.
    """
    size = config.vocab_size
    # The remainder, too, since Spark NLP warms a model up with ids of RoBERTa's vocabulary, whatever its own is.
    ids = ops.mod(input_ids, size)
    second = ops.slice(input_ids, axis=1, begin=1, end=2)
    brings_cls = ops.any(ops.equal(second, size + config.cls_id), axis=1)
    is_first = ops.equal(ops.range(ops.size(input_ids, axis=1)), 0)
    hidden = ops.logical_and(brings_cls, is_first)
    visible = ops.where(hidden, 0, ops.to_int(ops.not_equal(ids, config.pad_id)))
    positions = ops.cumsum(visible, axis=1) * visible + config.pad_id
    return Feed(ids=ids, positions=positions, visible=visible)


def embed(ops: Ops, feed: Feed, *, config: EncoderConfig, weights: EncoderWeights) -> Tensor:
    """(R, P) -> (R, P, W)"""
    with ops.scope("embeddings"):
        pieces = ops.embedding(weights.pieces, feed.ids, name="pieces")
        positions = ops.embedding(weights.positions, feed.positions, name="positions")
        return add_and_norm(ops, pieces, positions, weights.embeddings_norm, eps=config.layer_norm_eps)


def encode_layer(
    ops: Ops, states: Tensor, plan: AttentionPlan, *, config: EncoderConfig, layer: LayerWeights
) -> Tensor:
    """(R, P, W) -> (R, P, W)"""
    with ops.scope("attention"):
        projected = Projections(
            query=linear(ops, states, layer.attention.query),
            key=ops.linear(states, layer.attention.key),
            value=ops.linear(states, layer.attention.value),
        )
        context = attend(ops, projected, plan, heads=config.heads, width=config.width)
        attended = linear(ops, context, layer.attention.output)
        states = add_and_norm(ops, attended, states, layer.attention_norm, eps=config.layer_norm_eps)
    with ops.scope("feed_forward"):
        inner = activate(ops, linear(ops, states, layer.intermediate), config.activation)
        fed = linear(ops, inner, layer.output)
        return add_and_norm(ops, fed, states, layer.output_norm, eps=config.layer_norm_eps)


def linear(ops: Ops, x: Tensor, layer: Linear) -> Tensor:
    """(…, inputs) -> (…, outputs)"""
    return ops.linear(x, layer.weight, layer.bias)


def add_and_norm(ops: Ops, x: Tensor, residual: Tensor, norm: Norm, *, eps: float) -> Tensor:
    """Layer normalisation (Ba et al., 2016) of a sum, over the last axis."""
    return ops.add_and_norm(x, residual, norm.scale, norm.shift, eps=eps)


def activate(ops: Ops, x: Tensor, name: str) -> Tensor:
    """The activations that transformers knows by these names."""
    if name == "gelu":
        return ops.gelu(x)
    if name in ("gelu_new", "gelu_pytorch_tanh"):
        return x * 0.5 * (ops.tanh((x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)) + 1.0)
    return ops.relu(x)


ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
