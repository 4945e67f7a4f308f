"""The encoder: embeddings, then layers of self-attention and feed-forward, as in RoBERTa and Longformer.

Written once, against `Ops`, so that every engine builds the same graph. Shapes use these names:
rows R (windows in a batch), pieces P (longest row), width W, heads H, size D = W / H.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.graph.attention import AttentionMasks, attend
from export.graph.ops import Ops, Tensor

Array = npt.NDArray[np.float32]


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
class LayerWeights:
    """One layer. `query_key_value` is the three projections side by side, (W, 3 W)."""

    query_key_value: Linear
    attention_output: Linear
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


def encode(
    ops: Ops, input_ids: Tensor, attention_mask: Tensor, *, config: EncoderConfig, weights: EncoderWeights
) -> Tensor:
    """ids and mask, int (R, P) -> the last layer's vectors, float (R, P, W)."""
    feed = read_feed(ops, input_ids, attention_mask, config=config)
    states = embed(ops, feed, config=config, weights=weights)
    masks = AttentionMasks.build(ops, feed.visible, reaches=config.reach)
    for index, layer in enumerate(weights.layers):
        with ops.scope(f"layer_{index}"):
            states = encode_layer(ops, states, masks, reach=config.reach[index], config=config, layer=layer)
    return states


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What a row really says: ordinary piece ids, position numbers, and which places are seen; all int (R, P)."""

    ids: Tensor
    positions: Tensor
    visible: Tensor


def read_feed(ops: Ops, input_ids: Tensor, attention_mask: Tensor, *, config: EncoderConfig) -> Feed:
    """Reads both feeds: ordinary ids 0…V−1, and transport codes V…2V−1, which stand for id − V.

    A row whose second id is the code of the first special piece brings that piece itself, because Spark NLP hands
    back no vector for the one it puts in front. The outer one is then hidden: not attended to, and not counted as a
    position, so the row is exactly the row without it.
    """
    with ops.scope("feed"):
        size = config.vocab_size
        # The remainder, since Spark NLP warms a model up with ids of RoBERTa's vocabulary, whatever the model's own is.
        ids = ops.mod(input_ids, size)
        second = ops.slice(input_ids, axis=1, begin=1, end=2)
        brings_cls = ops.any(ops.equal(second, size + config.cls_id), axis=1)
        is_first = ops.equal(ops.range_like(input_ids, axis=1), 0)
        hidden = ops.logical_and(brings_cls, is_first)
        shown = ops.where(hidden, ops.zeros_like(ids), ops.ones_like(ids))
        counted = ops.to_int(ops.not_equal(ids, config.pad_id)) * shown
        positions = ops.cumsum(counted, axis=1) * counted + config.pad_id
        return Feed(ids=ids, positions=positions, visible=attention_mask * shown)


def embed(ops: Ops, feed: Feed, *, config: EncoderConfig, weights: EncoderWeights) -> Tensor:
    """(R, P) -> (R, P, W)"""
    with ops.scope("embeddings"):
        pieces = ops.gather(ops.constant(weights.pieces, "pieces"), feed.ids)
        positions = ops.gather(ops.constant(weights.positions, "positions"), feed.positions)
        return normalise(ops, pieces + positions, weights.embeddings_norm, eps=config.layer_norm_eps)


def encode_layer(
    ops: Ops, states: Tensor, masks: AttentionMasks, *, reach: int, config: EncoderConfig, layer: LayerWeights
) -> Tensor:
    """(R, P, W) -> (R, P, W)"""
    with ops.scope("attention"):
        projected = linear(ops, states, layer.query_key_value)
        context = attend(ops, projected, masks, reach=reach, heads=config.heads, width=config.width)
        attended = linear(ops, context, layer.attention_output)
        states = normalise(ops, attended + states, layer.attention_norm, eps=config.layer_norm_eps)
    with ops.scope("feed_forward"):
        inner = activate(ops, linear(ops, states, layer.intermediate), config.activation)
        return normalise(ops, linear(ops, inner, layer.output) + states, layer.output_norm, eps=config.layer_norm_eps)


def linear(ops: Ops, x: Tensor, layer: Linear) -> Tensor:
    """(…, inputs) -> (…, outputs)"""
    return ops.linear(x, ops.constant(layer.weight, "weight"), ops.constant(layer.bias, "bias"))


def normalise(ops: Ops, x: Tensor, norm: Norm, *, eps: float) -> Tensor:
    """Layer normalisation over the last axis (Ba et al., 2016)."""
    return ops.layer_norm(x, ops.constant(norm.scale, "scale"), ops.constant(norm.shift, "shift"), eps=eps)


def activate(ops: Ops, x: Tensor, name: str) -> Tensor:
    """The activations that transformers knows by these names."""
    if name == "gelu":
        return x * 0.5 * (ops.erf(x * math.sqrt(0.5)) + 1.0)
    if name in ("gelu_new", "gelu_pytorch_tanh"):
        return x * 0.5 * (ops.tanh((x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)) + 1.0)
    return ops.relu(x)


ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
