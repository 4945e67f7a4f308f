"""Longformer (Beltagy et al., 2020): a RoBERTa encoder with a sliding attention window per layer.

Reads `LongformerModel`, `LongformerForMaskedLM` and the heads of `sparkclin.export.heads`, with the prefix
of their class or RoBERTa's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sparkclin.export.assets import OrdinaryAssets, RowEnds, byte_level_bpe
from sparkclin.export.checkpoint import TensorShape
from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.errors import ParityError
from sparkclin.export.families import bert
from sparkclin.export.families.family import Family, Reference
from sparkclin.export.graph.encoder import EncoderConfig, EncoderWeights, Linear
from sparkclin.export.graph.model_input import GLOBAL_FIRST, GLOBAL_QUESTION, NO_GLOBAL
from sparkclin.export.graph.ops import Array
from sparkclin.export.graph.sliding_window import GlobalWeights, SlidingWindow
from sparkclin.schema import ANSWER, CLASSIFY, EMBED

REQUIRED = (*bert.REQUIRED, "attention_window")


GLOBAL_OF_TASK = {CLASSIFY: GLOBAL_FIRST, ANSWER: GLOBAL_QUESTION}
"""What transformers' classes give global attention to where they are not told; the others give it to nothing."""


def parse_config(
    config: Mapping[str, Any], ends: RowEnds, *, task: str = EMBED, global_attention: str | None = None
) -> EncoderConfig:
    """As in ParseConfig."""
    bert.refuse(config_problems(config))
    pad_id = config.get("pad_token_id", 1)
    return bert.encoder_config(
        config,
        ends,
        pad_id=pad_id,
        first_position=pad_id + 1,  # as RoBERTa numbers them
        padding_position=pad_id,
        default_activation="gelu",
        attention=tuple(SlidingWindow(window // 2) for window in windows(config)),
        global_attention=global_attention or GLOBAL_OF_TASK.get(task, NO_GLOBAL),
    )


def windows(config: Mapping[str, Any]) -> list[int]:
    """The attention window of each layer, both sides; a single number stands for all."""
    window = config["attention_window"]
    return [window] * config["num_hidden_layers"] if isinstance(window, int) else list(window)


def config_problems(config: Mapping[str, Any]) -> list[str]:
    """What keeps a configuration from being exported, each with what was found and what is expected."""
    if missing := bert.missing_settings(config, REQUIRED):
        return missing
    layers, per_layer = config["num_hidden_layers"], windows(config)
    checks = {
        f"attention_window has {len(per_layer)} entries for {layers} layers": len(per_layer) != layers,
        f"attention_window {per_layer} has odd or non-positive entries": any(w <= 0 or w % 2 for w in per_layer),
    }
    own = [message for message, wrong in checks.items() if wrong]
    return own + bert.config_problems(config, default_activation="gelu")


def shapes(config: EncoderConfig) -> dict[str, TensorShape]:
    """Every tensor that the encoder is made of; those of global attention only where there is such."""
    return {**bert.encoder_shapes(config), **(global_shapes(config) if has_global(config) else {})}


def has_global(config: EncoderConfig) -> bool:
    return config.global_attention != NO_GLOBAL


def global_shapes(config: EncoderConfig) -> dict[str, TensorShape]:
    found: dict[str, TensorShape] = {}
    for index in range(config.layers):
        for projection in ("query_global", "key_global", "value_global"):
            found |= bert.linear_shapes(f"{attention_of(index)}.{projection}", config.width, config.width)
    return found


def attention_of(layer: int) -> str:
    return f"encoder.layer.{layer}.attention.self"


def load(tensors: Mapping[str, Array], config: EncoderConfig) -> EncoderWeights:
    """The encoder's weights from its tensors, which shapes() names."""
    weights = bert.load(tensors, config)
    if not has_global(config):
        return weights
    layers = (
        replace(layer, attention=replace(layer.attention, of_global=global_weights(tensors, index, config)))
        for index, layer in enumerate(weights.layers)
    )
    return replace(weights, layers=tuple(layers))


def global_weights(tensors: Mapping[str, Array], layer: int, config: EncoderConfig) -> GlobalWeights:
    width, heads = config.width, config.heads
    query, key, value = (
        Linear.read(tensors, f"{attention_of(layer)}.{name}") for name in ("query_global", "key_global", "value_global")
    )
    scale = np.float32((width // heads) ** -0.5)
    return GlobalWeights(
        query_weight=query.weight * scale,
        query_bias=query.bias * scale,
        key=np.ascontiguousarray(key.weight.T.reshape(heads, width // heads, width)),
        value=np.ascontiguousarray(value.weight.reshape(width, heads, width // heads).transpose(1, 0, 2)),
        # Every context gets the bias of the others' values with the output's (AttentionWeights.fold).
        bias=value.bias - tensors[f"{attention_of(layer)}.value.bias"],
    )


def unused_shapes(config: EncoderConfig) -> dict[str, TensorShape]:
    """Tensors that a checkpoint may have and the encoder does not need: pooler, language model's head, and global
    attention where there is none."""
    width = config.width
    return {
        **bert.linear_shapes("pooler.dense", width, width),
        "embeddings.position_ids": (1, config.positions),
        **bert.linear_shapes("lm_head.dense", width, width),
        **bert.norm_shapes("lm_head.layer_norm", width),
        **bert.linear_shapes("lm_head.decoder", width, config.vocab_size),
        "lm_head.bias": (config.vocab_size,),
        **({} if has_global(config) else global_shapes(config)),
    }


def row_multiple(config: Mapping[str, Any]) -> int:
    """transformers pads to the widest window itself, and fails where another layer's window does not divide that."""
    return math.lcm(*windows(config))


def ordinary_assets(tokenizer_json: str, config: EncoderConfig) -> OrdinaryAssets:
    """RoBERTa's byte-level BPE, which Spark NLP's LongformerEmbeddings runs."""
    return byte_level_bpe(tokenizer_json, vocab_size=config.vocab_size)


def reference(raw: Mapping[str, Any], tensors: Mapping[str, Array], config: EncoderConfig) -> Reference:
    """transformers' LongformerModel in fp32."""
    import torch
    from transformers import LongformerConfig, LongformerModel

    model = LongformerModel(LongformerConfig.from_dict(dict(raw)), add_pooling_layer=False)
    model.train(False)
    result = model.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()}, strict=False)
    unfilled = [name for name in result.missing_keys if "_global" not in name]
    if unfilled or result.unexpected_keys:
        raise ParityError(f"transformers' model has other tensors: {unfilled + result.unexpected_keys}.")

    multiple = row_multiple(raw)

    def run(ids: Ids, mask: Ids) -> Vectors:
        padding = ((0, 0), (0, -ids.shape[1] % multiple))
        padded_ids = torch.from_numpy(np.pad(ids, padding, constant_values=config.pad_id)).long()
        padded_mask = torch.from_numpy(np.pad(mask, padding)).long()
        with torch.inference_mode():
            output = model(padded_ids, attention_mask=padded_mask, **global_inputs(padded_ids, config))
        vectors: Vectors = output.last_hidden_state.numpy()[:, : ids.shape[1]]
        return vectors

    return run


def global_inputs(ids: Any, config: EncoderConfig) -> dict[str, Any]:
    """Ids (R, P) -> the mask, as transformers' LongformerForSequenceClassification and …QuestionAnswering make it."""
    import torch

    if not has_global(config):
        return {}
    position = torch.arange(ids.shape[1])
    if config.global_attention == GLOBAL_FIRST:
        return {"global_attention_mask": (position == 0).long().expand_as(ids)}
    question_end = (ids == config.sep_id).long().argmax(dim=1, keepdim=True)
    return {"global_attention_mask": (position < question_end).long()}


LONGFORMER = Family(
    model_type="longformer",
    parse_config=parse_config,
    prefixes=("longformer.", "roberta.", ""),
    shapes=shapes,
    unused_shapes=unused_shapes,
    load=load,
    ordinary_assets=ordinary_assets,
    reference=reference,
    row_multiple=row_multiple,
    global_inputs=global_inputs,
    # For the window of 512 that Clinical-Longformer has: where a window holds the row, where dense attention ends, and
    # around whole blocks.
    lengths=(1, 2, 255, 256, 257, 258, 511, 512, 513, 769, 1025, 4096),
)
