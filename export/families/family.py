"""What a family of encoders is: everything that an export needs to know of it, and nothing else knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sparkclin.export.assets import OrdinaryAssets, RowEnds
from sparkclin.export.checkpoint import TensorShape
from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.graph.encoder import EncoderConfig, EncoderWeights
from sparkclin.export.graph.ops import Array

Reference = Callable[[Ids, Ids], Vectors]
"""ids, mask (R, P) -> vectors (R, P, W), as transformers makes them in fp32."""


class ParseConfig(Protocol):
    """config.json and the special pieces of the tokenizer -> the encoder's shape.

    `task` is that of the checkpoint's head; `global_attention` the user's own choice, one of GLOBAL_ATTENTIONS, or None
    for what the head has in transformers. Raises CheckpointError that lists everything that cannot be exported.
    """

    def __call__(
        self, config: Mapping[str, Any], ends: RowEnds, *, task: str = ..., global_attention: str | None = ...
    ) -> EncoderConfig: ...


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family, by the `model_type` of config.json.

    `parse_config` makes the encoder's shape of its config.json. `prefixes` are what may stand before the names of its
    tensors; `shapes` are the tensors that the encoder is made of, `unused_shapes` those that a checkpoint may have
    beside them, both by name without prefix. `load` makes weights of them. `ordinary_assets` makes the vocabulary of
    ordinary ids of tokenizer.json and the encoder's shape. `reference` makes what vectors are held to, of config.json
    and the encoder's tensors. `row_multiple` is what transformers' models want a row's length to be a multiple of;
    `global_inputs` is how they are told a global attention that is not their own choice, for a torch tensor of ids.
    `lengths` are the rows to compare, in ids: around every length at which the graph takes another path.
    """

    model_type: str
    parse_config: ParseConfig
    prefixes: tuple[str, ...]
    shapes: Callable[[EncoderConfig], dict[str, TensorShape]]
    unused_shapes: Callable[[EncoderConfig], dict[str, TensorShape]]
    load: Callable[[Mapping[str, Array], EncoderConfig], EncoderWeights]
    ordinary_assets: Callable[[str, EncoderConfig], OrdinaryAssets]
    reference: Callable[[Mapping[str, Any], Mapping[str, Array], EncoderConfig], Reference]
    lengths: tuple[int, ...]
    row_multiple: Callable[[Mapping[str, Any]], int] = lambda _config: 1
    global_inputs: Callable[[Any, EncoderConfig], dict[str, Any]] = lambda _ids, _config: {}
