"""The tensors of the encoders that descend from BERT: their names in a checkpoint, and the weights made of them.

RoBERTa, Longformer and BigBird share these names; a family's further tensors are in its own file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparkclin.export.assets import RowEnds
from sparkclin.export.checkpoint import TensorShape
from sparkclin.export.errors import CheckpointError
from sparkclin.export.graph.attention import Attention
from sparkclin.export.graph.encoder import (
    ACTIVATIONS,
    AttentionWeights,
    EncoderConfig,
    EncoderWeights,
    LayerWeights,
    Linear,
    Norm,
)
from sparkclin.export.graph.model_input import NO_GLOBAL
from sparkclin.export.graph.ops import Array

REQUIRED = (
    "vocab_size",
    "hidden_size",
    "num_attention_heads",
    "num_hidden_layers",
    "intermediate_size",
    "max_position_embeddings",
)


def encoder_config(
    config: Mapping[str, Any],
    ends: RowEnds,
    *,
    pad_id: int,
    first_position: int,
    padding_position: int,
    default_activation: str,
    attention: tuple[Attention, ...],
    has_token_types: bool = False,
    global_attention: str = NO_GLOBAL,
) -> EncoderConfig:
    """Return the encoder's shape by the settings that all of them have; a family gives what differs. Raise
    CheckpointError if there are too few positions for a row."""
    made = EncoderConfig(
        vocab_size=config["vocab_size"],
        width=config["hidden_size"],
        heads=config["num_attention_heads"],
        intermediate=config["intermediate_size"],
        positions=config["max_position_embeddings"],
        first_position=first_position,
        padding_position=padding_position,
        types=config.get("type_vocab_size", 2),
        pad_id=pad_id,
        cls_id=ends.cls_id,
        sep_id=ends.sep_id,
        layer_norm_eps=config.get("layer_norm_eps", 1e-12),
        activation=config.get("hidden_act", default_activation),
        attention=attention,
        separators=len(ends.separators),
        has_token_types=has_token_types,
        global_attention=global_attention,
    )
    no_room = f"max_position_embeddings {made.positions} leaves no room for a piece between the special ones"
    refuse([no_room] if made.max_pieces < 1 else [])
    return made


def refuse(problems: Sequence[str]) -> None:
    """Raises CheckpointError that lists the problems of config.json, if there are any."""
    if problems:
        raise CheckpointError("config.json cannot be exported: " + "; ".join(problems) + ".")


def missing_settings(config: Mapping[str, Any], required: tuple[str, ...]) -> list[str]:
    """A problem that names the settings that config.json lacks; none where it has them all."""
    missing = [name for name in required if name not in config]
    return [f"{', '.join(missing)} missing"] if missing else []


def config_problems(config: Mapping[str, Any], *, default_activation: str, n_types: int = 1) -> list[str]:
    """Return the reasons why a configuration with all REQUIRED settings cannot be exported, each with the value found
    and the one expected. `n_types` is how many token types the task needs."""
    types = config.get("type_vocab_size", 2)
    width, heads = config["hidden_size"], config["num_attention_heads"]
    vocab_size, pad_id = config["vocab_size"], config.get("pad_token_id", 0)
    activation = config.get("hidden_act", default_activation)
    position_type = config.get("position_embedding_type", "absolute")
    checks = {
        f"hidden_size {width} is not a multiple of num_attention_heads {heads}": width % heads != 0,
        f"pad_token_id {pad_id!r} is not one of the {vocab_size} ids (vocab_size)": pad_id not in range(vocab_size),
        f"type_vocab_size {types} is less than {n_types}": types < n_types,
        f"hidden_act {activation!r} is not one of {', '.join(ACTIVATIONS)}": activation not in ACTIVATIONS,
        f"position_embedding_type {position_type!r} is not 'absolute'": position_type != "absolute",
    }
    return [message for message, wrong in checks.items() if wrong]


def encoder_shapes(config: EncoderConfig) -> dict[str, TensorShape]:
    """Every tensor that the encoder is made of: name without prefix -> shape."""
    width, inner = config.width, config.intermediate
    shapes: dict[str, TensorShape] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, width),
        "embeddings.position_embeddings.weight": (config.positions, width),
        "embeddings.token_type_embeddings.weight": (config.types, width),
        **norm_shapes("embeddings.LayerNorm", width),
    }
    for index in range(config.layers):
        layer = f"encoder.layer.{index}"
        for projection in ("query", "key", "value"):
            shapes |= linear_shapes(f"{layer}.attention.self.{projection}", width, width)
        shapes |= linear_shapes(f"{layer}.attention.output.dense", width, width)
        shapes |= norm_shapes(f"{layer}.attention.output.LayerNorm", width)
        shapes |= linear_shapes(f"{layer}.intermediate.dense", width, inner)
        shapes |= linear_shapes(f"{layer}.output.dense", inner, width)
        shapes |= norm_shapes(f"{layer}.output.LayerNorm", width)
    return shapes


def linear_shapes(name: str, inputs: int, outputs: int) -> dict[str, TensorShape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm_shapes(name: str, width: int) -> dict[str, TensorShape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def load(tensors: Mapping[str, Array], config: EncoderConfig) -> EncoderWeights:
    """The encoder's weights from its tensors, which encoder_shapes() names."""
    return Loader(tensors, config).encoder()


@dataclass(frozen=True)
class Loader:
    """Tensors by name -> weights, transposed and joined as the graph wants them."""

    tensors: Mapping[str, Array]
    config: EncoderConfig

    def encoder(self) -> EncoderWeights:
        return EncoderWeights(
            pieces=self.tensors["embeddings.word_embeddings.weight"],
            positions=self.tensors["embeddings.position_embeddings.weight"],
            types=self.tensors["embeddings.token_type_embeddings.weight"],
            embeddings_norm=self.norm("embeddings.LayerNorm"),
            layers=tuple(self.layer(index) for index in range(self.config.layers)),
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
        return Linear.read(self.tensors, name)

    def norm(self, name: str) -> Norm:
        return Norm.read(self.tensors, name)
