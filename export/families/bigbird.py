"""BigBird (Zaheer et al., 2020): a BERT encoder with block-sparse attention.

Reads `BigBirdModel`, `BigBirdForMaskedLM`, `BigBirdForPreTraining` and the heads of `sparkclin.export.heads`. Its
vectors are those of transformers since version 4.29: earlier versions sampled the random blocks of evaluation mode with
a seed per layer (huggingface/transformers #23055).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sparkclin.export.assets import OrdinaryAssets, RowEnds, no_ordinary_pieces
from sparkclin.export.checkpoint import TensorShape
from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.errors import ParityError
from sparkclin.export.families import bert
from sparkclin.export.families.family import Family, Reference
from sparkclin.export.graph.attention import Attention, FullAttention
from sparkclin.export.graph.block_sparse import BlockSparse
from sparkclin.export.graph.encoder import EncoderConfig
from sparkclin.export.graph.model_input import NO_GLOBAL
from sparkclin.export.graph.ops import Array
from sparkclin.schema import ANSWER, EMBED

BLOCK_SPARSE, FULL = "block_sparse", "original_full"


def parse_config(
    config: Mapping[str, Any], ends: RowEnds, *, task: str = EMBED, global_attention: str | None = None
) -> EncoderConfig:
    """See ParseConfig. Only question answering has token types: 0 for the question, 1 for the text."""
    chosen = f"global attention {global_attention!r} was asked for; BigBird's is its first and last block, always"
    n_types = 2 if task == ANSWER else 1
    own = [chosen] if global_attention not in (None, NO_GLOBAL) else []
    bert.refuse([*config_problems(config, n_types=n_types), *own])
    return bert.encoder_config(
        config,
        ends,
        pad_id=config.get("pad_token_id", 0),
        first_position=0,
        padding_position=0,
        default_activation="gelu_new",
        attention=(attention(config),) * config["num_hidden_layers"],
        has_token_types=n_types > 1,
    )


def attention(config: Mapping[str, Any]) -> Attention:
    if config.get("attention_type", BLOCK_SPARSE) == FULL:
        return FullAttention()
    return BlockSparse(block_size=config.get("block_size", 64), random_blocks=config.get("num_random_blocks", 3))


def config_problems(config: Mapping[str, Any], *, n_types: int = 1) -> list[str]:
    """Return the reasons why a configuration cannot be exported, each with the value found and the one expected.
    `n_types` is how many token types the task needs."""
    if missing := bert.missing_settings(config, bert.REQUIRED):
        return missing
    kind, block = config.get("attention_type", BLOCK_SPARSE), config.get("block_size", 64)
    random_blocks = config.get("num_random_blocks", 3)
    positions = config["max_position_embeddings"]
    blocks = kind != FULL and isinstance(block, int) and block > 0
    checks = {
        f"max_position_embeddings {positions} is not a multiple of block_size {block}": blocks
        and positions % block != 0,
        f"attention_type {kind!r} is not {BLOCK_SPARSE!r} or {FULL!r}": kind not in (BLOCK_SPARSE, FULL),
        f"block_size {block!r} is not a positive number": not isinstance(block, int) or block < 1,
        f"num_random_blocks {random_blocks!r} is negative": random_blocks < 0,
        "use_bias is false, expected true": not config.get("use_bias", True),
        "rescale_embeddings is true, expected false": bool(config.get("rescale_embeddings", False)),
    }
    own = [message for message, wrong in checks.items() if wrong]
    return own + bert.config_problems(config, default_activation="gelu_new", n_types=n_types)


def unused_shapes(config: EncoderConfig) -> dict[str, TensorShape]:
    """Tensors that a checkpoint may have and vectors do not need: pooler, and the heads of pretraining."""
    width = config.width
    return {
        **bert.linear_shapes("pooler", width, width),
        "embeddings.position_ids": (1, config.positions),
        "embeddings.token_type_ids": (1, config.positions),
        **bert.linear_shapes("cls.predictions.transform.dense", width, width),
        **bert.norm_shapes("cls.predictions.transform.LayerNorm", width),
        **bert.linear_shapes("cls.predictions.decoder", width, config.vocab_size),
        "cls.predictions.bias": (config.vocab_size,),
        **bert.linear_shapes("cls.seq_relationship", width, 2),
    }


def ordinary_assets(_tokenizer_json: str, config: EncoderConfig) -> OrdinaryAssets:
    """Its tokenizer is SentencePiece's unigram model, which Spark NLP's LongformerEmbeddings cannot run."""
    return no_ordinary_pieces(
        vocab_size=config.vocab_size, cls_id=config.cls_id, sep_id=config.sep_id, pad_id=config.pad_id
    )


def reference(raw: Mapping[str, Any], tensors: Mapping[str, Array], config: EncoderConfig) -> Reference:
    """transformers' BigBirdModel in fp32, of each row alone.

    In a batch, the last block of a row would be the longest row's. And a model that has once read a short row
    keeps full attention for good. So there are two models, one for each kind of attention.
    """
    import torch

    models = {kind: _model({**raw, "attention_type": kind}, tensors) for kind in (BLOCK_SPARSE, FULL)}

    def run(ids: Ids, mask: Ids) -> Vectors:
        vectors = np.zeros((*ids.shape, config.width), np.float32)
        for row, length in enumerate(mask.sum(axis=1)):
            used = config.attention[0]
            goes_in_blocks = isinstance(used, BlockSparse) and length > used.dense_limit
            model = models[BLOCK_SPARSE if goes_in_blocks else FULL]
            with torch.inference_mode():
                alone = torch.from_numpy(ids[row : row + 1, :length]).long()
                is_separator = (alone == config.sep_id).long()
                types = (is_separator.cumsum(1) - is_separator).clip(max=1) if config.has_token_types else None
                output = model(alone, token_type_ids=types)
            vectors[row, :length] = output.last_hidden_state[0].numpy()
        return vectors

    return run


def _model(raw: Mapping[str, Any], tensors: Mapping[str, Array]) -> Any:
    import torch
    from transformers import BigBirdConfig, BigBirdModel

    model = BigBirdModel(BigBirdConfig.from_dict(dict(raw)), add_pooling_layer=False)
    model.train(False)
    result = model.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()}, strict=False)
    if result.missing_keys or result.unexpected_keys:
        raise ParityError(f"transformers' model has other tensors: {result.missing_keys + result.unexpected_keys}.")
    return model


BIGBIRD = Family(
    model_type="big_bird",
    parse_config=parse_config,
    prefixes=("bert.", ""),
    shapes=bert.encoder_shapes,
    unused_shapes=unused_shapes,
    load=bert.load,
    ordinary_assets=ordinary_assets,
    reference=reference,
    # For blocks of 64 and 3 random ones, as Clinical-BigBird has: around one block, the last row of full attention, a
    # last block with one piece and a full one, and the lengths at which transformers has plans of its own.
    lengths=(1, 2, 63, 64, 65, 127, 703, 704, 705, 767, 1024, 1025, 3072, 4095, 4096),
)
