"""Longformer (Beltagy et al., 2020): a RoBERTa encoder with a sliding attention window per layer.

Reads `LongformerModel`, `LongformerForMaskedLM` and the heads of `export.heads`, with the prefix of their class or
RoBERTa's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from export.assets import OrdinaryAssets, RowEnds, byte_level_bpe
from export.checkpoint import TensorShape
from export.engines import Ids, Vectors
from export.errors import ParityError
from export.families import bert
from export.families.family import Family, Reference
from export.graph.encoder import EncoderConfig
from export.graph.ops import Array
from export.graph.sliding_window import SlidingWindow

REQUIRED = (*bert.REQUIRED, "attention_window")


def parse_config(config: Mapping[str, Any], ends: RowEnds) -> EncoderConfig:
    """Raises CheckpointError that lists everything in the configuration that cannot be exported."""
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


def unused_shapes(config: EncoderConfig) -> dict[str, TensorShape]:
    """Tensors that a checkpoint may have and vectors do not need: global attention, pooler, language model's head."""
    width = config.width
    shapes: dict[str, TensorShape] = {
        **bert.linear_shapes("pooler.dense", width, width),
        "embeddings.position_ids": (1, config.positions),
        **bert.linear_shapes("lm_head.dense", width, width),
        **bert.norm_shapes("lm_head.layer_norm", width),
        **bert.linear_shapes("lm_head.decoder", width, config.vocab_size),
        "lm_head.bias": (config.vocab_size,),
    }
    for index in range(config.layers):
        for projection in ("query_global", "key_global", "value_global"):
            shapes |= bert.linear_shapes(f"encoder.layer.{index}.attention.self.{projection}", width, width)
    return shapes


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
            output = model(padded_ids, attention_mask=padded_mask)
        vectors: Vectors = output.last_hidden_state.numpy()[:, : ids.shape[1]]
        return vectors

    return run


LONGFORMER = Family(
    model_type="longformer",
    parse_config=parse_config,
    prefixes=("longformer.", "roberta.", ""),
    shapes=bert.encoder_shapes,
    unused_shapes=unused_shapes,
    load=bert.load,
    ordinary_assets=ordinary_assets,
    reference=reference,
    row_multiple=row_multiple,
    # For the window of 512 that Clinical-Longformer has: where a window holds the row, where dense attention ends, and
    # around whole blocks.
    lengths=(1, 2, 255, 256, 257, 258, 511, 512, 513, 769, 1025, 4096),
)
