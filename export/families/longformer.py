"""Longformer: its configuration and the names of its tensors, the only place that knows them.

Reads `LongformerModel`, `LongformerForMaskedLM` and the other heads of transformers, and checkpoints with RoBERTa's
prefix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.checkpoint import Array, Checkpoint
from export.errors import CheckpointError
from export.graph.encoder import (
    ACTIVATIONS,
    AttentionWeights,
    EncoderConfig,
    EncoderWeights,
    LayerWeights,
    Linear,
    Norm,
)

MODEL_TYPE = "longformer"
PREFIXES = ("longformer.", "roberta.", "")

Shape = tuple[int, ...]


def parse_config(config: Mapping[str, Any]) -> EncoderConfig:
    """Raises CheckpointError that lists everything in the configuration that cannot be exported."""
    problems = config_problems(config)
    if problems:
        raise CheckpointError("config.json cannot be exported: " + "; ".join(problems) + ".")
    layers = config["num_hidden_layers"]
    return EncoderConfig(
        vocab_size=config["vocab_size"],
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        intermediate=config["intermediate_size"],
        positions=config["max_position_embeddings"],
        types=config.get("type_vocab_size", 2),
        pad_id=config.get("pad_token_id", 1),
        cls_id=config.get("bos_token_id", 0),
        sep_id=config.get("eos_token_id", 2),
        layer_norm_eps=config.get("layer_norm_eps", 1e-12),
        activation=config.get("hidden_act", "gelu"),
        reach=tuple(window // 2 for window in windows(config, layers)),
    )


def windows(config: Mapping[str, Any], layers: int) -> list[int]:
    """The attention window of each layer; a single number stands for all."""
    window = config["attention_window"]
    return [window] * layers if isinstance(window, int) else list(window)


REQUIRED = (
    "vocab_size",
    "hidden_size",
    "num_attention_heads",
    "num_hidden_layers",
    "intermediate_size",
    "max_position_embeddings",
    "attention_window",
)


def config_problems(config: Mapping[str, Any]) -> list[str]:
    """What keeps a configuration from being exported, each with what was found and what is expected."""
    missing = [name for name in REQUIRED if name not in config]
    if missing:
        return [f"{', '.join(missing)} missing"]
    layers = config["num_hidden_layers"]
    per_layer = windows(config, layers)
    width, heads = config["hidden_size"], config["num_attention_heads"]
    activation = config.get("hidden_act", "gelu")
    position_type = config.get("position_embedding_type", "absolute")
    checks = {
        f"attention_window has {len(per_layer)} entries for {layers} layers": len(per_layer) != layers,
        f"attention_window {per_layer} has odd or non-positive entries": any(w <= 0 or w % 2 for w in per_layer),
        f"hidden_size {width} is not a multiple of num_attention_heads {heads}": width % heads != 0,
        f"hidden_act {activation!r} is not one of {', '.join(ACTIVATIONS)}": activation not in ACTIVATIONS,
        f"position_embedding_type {position_type!r} is not 'absolute'": position_type != "absolute",
    }
    return [message for message, wrong in checks.items() if wrong]


def encoder_shapes(config: EncoderConfig) -> dict[str, Shape]:
    """Every tensor that the encoder is made of: name without prefix -> shape."""
    width, inner = config.width, config.intermediate
    shapes: dict[str, Shape] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, width),
        "embeddings.position_embeddings.weight": (config.positions, width),
        "embeddings.token_type_embeddings.weight": (config.types, width),
        **norm_shapes("embeddings.LayerNorm", width),
    }
    for index in range(len(config.reach)):
        layer = f"encoder.layer.{index}"
        for projection in ("query", "key", "value"):
            shapes |= linear_shapes(f"{layer}.attention.self.{projection}", width, width)
        shapes |= linear_shapes(f"{layer}.attention.output.dense", width, width)
        shapes |= norm_shapes(f"{layer}.attention.output.LayerNorm", width)
        shapes |= linear_shapes(f"{layer}.intermediate.dense", width, inner)
        shapes |= linear_shapes(f"{layer}.output.dense", inner, width)
        shapes |= norm_shapes(f"{layer}.output.LayerNorm", width)
    return shapes


def unused_shapes(config: EncoderConfig) -> dict[str, Shape]:
    """Tensors that a checkpoint may have and vectors do not need: global attention, pooler, language model's head."""
    width = config.width
    shapes: dict[str, Shape] = {
        **linear_shapes("pooler.dense", width, width),
        "embeddings.position_ids": (1, config.positions),
        **linear_shapes("lm_head.dense", width, width),
        **norm_shapes("lm_head.layer_norm", width),
        **linear_shapes("lm_head.decoder", width, config.vocab_size),
        "lm_head.bias": (config.vocab_size,),
    }
    for index in range(len(config.reach)):
        for projection in ("query_global", "key_global", "value_global"):
            shapes |= linear_shapes(f"encoder.layer.{index}.attention.self.{projection}", width, width)
    return shapes


def linear_shapes(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm_shapes(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def load(checkpoint: Checkpoint, config: EncoderConfig) -> EncoderWeights:
    """Fills the encoder from the checkpoint; raises CheckpointError that names every tensor that does not fit."""
    return Loader(account_for(checkpoint, config), config).encoder()


def account_for(checkpoint: Checkpoint, config: EncoderConfig) -> dict[str, Array]:
    """The encoder's tensors by their names without prefix, after every tensor of the checkpoint was accounted for."""
    needed, unused = encoder_shapes(config), unused_shapes(config)
    prefix = max(PREFIXES, key=lambda p: sum(p + name in checkpoint.tensors for name in needed))
    named = {name.removeprefix(prefix): array for name, array in checkpoint.tensors.items()}
    expected = needed | unused
    problems = [f"missing {prefix}{name} {needed[name]}" for name in needed.keys() - named.keys()]
    problems += [f"unexpected {name} {named[name].shape}" for name in named.keys() - expected.keys()]
    problems += [
        f"{name} has shape {named[name].shape}, expected {expected[name]}"
        for name in named.keys() & expected.keys()
        if tuple(named[name].shape) != expected[name]
    ]
    if problems:
        raise CheckpointError(
            f"{checkpoint.source} does not hold the tensors that its config.json describes:\n  "
            + "\n  ".join(sorted(problems))
            + "\nCheck that config.json belongs to these weights."
        )
    return {name: named[name] for name in needed}


@dataclass(frozen=True)
class Loader:
    """Tensors by name -> the encoder's weights, transposed and joined as the graph wants them."""

    tensors: dict[str, Array]
    config: EncoderConfig

    def encoder(self) -> EncoderWeights:
        kind = self.tensors["embeddings.token_type_embeddings.weight"][0]
        return EncoderWeights(
            pieces=self.tensors["embeddings.word_embeddings.weight"],
            positions=self.tensors["embeddings.position_embeddings.weight"] + kind,
            embeddings_norm=self.norm("embeddings.LayerNorm"),
            layers=tuple(self.layer(index) for index in range(len(self.config.reach))),
        )

    def layer(self, index: int) -> LayerWeights:
        name = f"encoder.layer.{index}"
        return LayerWeights(
            attention=AttentionWeights.fold(
                query=self.linear(f"{name}.attention.self.query"),
                key=self.linear(f"{name}.attention.self.key"),
                value=self.linear(f"{name}.attention.self.value"),
                output=self.linear(f"{name}.attention.output.dense"),
                heads=self.config.heads,
            ),
            attention_norm=self.norm(f"{name}.attention.output.LayerNorm"),
            intermediate=self.linear(f"{name}.intermediate.dense"),
            output=self.linear(f"{name}.output.dense"),
            output_norm=self.norm(f"{name}.output.LayerNorm"),
        )

    def linear(self, name: str) -> Linear:
        return Linear(weight=np.ascontiguousarray(self.tensors[f"{name}.weight"].T), bias=self.tensors[f"{name}.bias"])

    def norm(self, name: str) -> Norm:
        return Norm(scale=self.tensors[f"{name}.weight"], shift=self.tensors[f"{name}.bias"])
