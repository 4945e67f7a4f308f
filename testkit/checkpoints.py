"""Random checkpoints, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import (
    BigBirdConfig,
    BigBirdForMaskedLM,
    LongformerConfig,
    LongformerForMaskedLM,
    PretrainedConfig,
    PreTrainedModel,
)

from testkit.tokenizers import for_transformers, train_tokenizer, train_unigram

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "type_vocab_size": 2, "initializer_range": 0.2,
}  # fmt: skip
TEXTS = ["the patient was seen in the clinic", "blood pressure 120/80, he's well", "no acute distress was noted today"]


def random_checkpoint(
    folder: Path,
    *,
    tokenizer_json: str | None = None,
    vocab_size: int = 400,
    positions: int = 200,
    model_class: type[PreTrainedModel] = LongformerForMaskedLM,
    **settings: object,
) -> Path:
    """A small checkpoint that shows what an export gets wrong; `settings` are fields of LongformerConfig.

    Weights are large, so that a wrong mask shows, and no bias is 0, so that a forgotten one does.
    """
    tokenizer_json = tokenizer_json or train_tokenizer(TEXTS, vocab_size=vocab_size)
    size = {"vocab_size": vocab_size, "max_position_embeddings": positions}
    config = LongformerConfig(**{**SMALL, **size, "attention_window": [8, 20], **settings})
    return save_checkpoint(with_biases(random_model(config, model_class)), folder, tokenizer_json)


def random_bigbird(
    folder: Path,
    *,
    tokenizer_json: str | None = None,
    model_class: type[PreTrainedModel] = BigBirdForMaskedLM,
    **settings: object,
) -> Path:
    """The same of BigBird: blocks of 4 and one random one, so that rows of more than 28 pieces go in blocks."""
    tokenizer_json = tokenizer_json or train_unigram(TEXTS)
    size = {"vocab_size": Tokenizer.from_str(tokenizer_json).get_vocab_size(), "max_position_embeddings": 200}
    blocks = {"block_size": 4, "num_random_blocks": 1}
    config = BigBirdConfig(**{**SMALL, **size, **blocks, "sep_token_id": 5, **settings})
    return save_checkpoint(with_biases(random_model(config, model_class)), folder, tokenizer_json)


def random_model(
    config: PretrainedConfig, model_class: type[PreTrainedModel] = LongformerForMaskedLM
) -> PreTrainedModel:
    """The same weights every time."""
    torch.manual_seed(0)
    return model_class(config)


def with_biases(model: PreTrainedModel) -> PreTrainedModel:
    """The model, which is changed, without a bias of 0."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    return model


def save_checkpoint(model: PreTrainedModel, folder: Path, tokenizer_json: str) -> Path:
    """Write the model and its tokenizer into `folder`, which is returned."""
    model.save_pretrained(folder)
    for_transformers(tokenizer_json).save_pretrained(folder)
    return folder
