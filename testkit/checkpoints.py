"""Random checkpoints, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LongformerConfig, LongformerForMaskedLM, PreTrainedModel

from testkit.tokenizers import for_transformers, train_tokenizer

TEXTS = ["the patient was seen in the clinic", "blood pressure 120/80, he's well", "no acute distress was noted today"]


def random_checkpoint(
    folder: Path,
    *,
    tokenizer_json: str | None = None,
    vocab_size: int = 400,
    positions: int = 200,
    **settings: object,
) -> Path:
    """A small checkpoint that shows what an export gets wrong; `settings` are fields of LongformerConfig.

    Weights are large, so that a wrong mask shows, and no bias is 0, so that a forgotten one does.
    """
    config = LongformerConfig(
        **{
            "vocab_size": vocab_size,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": positions,
            "attention_window": [8, 20],
            "type_vocab_size": 2,
            "initializer_range": 0.2,
            **settings,
        }
    )
    model = random_model(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    return save_checkpoint(model, folder, tokenizer_json or train_tokenizer(TEXTS, vocab_size=vocab_size))


def random_model(config: LongformerConfig) -> LongformerForMaskedLM:
    """The same weights every time."""
    torch.manual_seed(0)
    return LongformerForMaskedLM(config)


def save_checkpoint(model: PreTrainedModel, folder: Path, tokenizer_json: str) -> Path:
    """Write the model and its tokenizer into `folder`, which is returned."""
    model.save_pretrained(folder)
    for_transformers(tokenizer_json).save_pretrained(folder)
    return folder
