"""Small random checkpoints, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LongformerConfig, LongformerForMaskedLM, PreTrainedTokenizerFast

from testkit.echo import train_tokenizer

TEXTS = ["the patient was seen in the clinic", "blood pressure 120/80, he's well", "no acute distress was noted today"]


def random_checkpoint(
    folder: Path,
    *,
    tokenizer_json: str | None = None,
    vocab_size: int = 400,
    positions: int = 200,
    **settings: object,
) -> Path:
    """A checkpoint with its tokenizer, by default a small one; `settings` go to LongformerConfig."""
    tokenizer_json = tokenizer_json or train_tokenizer(TEXTS, vocab_size=vocab_size)
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
            "initializer_range": 0.2,  # large, so that a wrong mask shows
            **settings,
        }
    )
    torch.manual_seed(0)
    model = LongformerForMaskedLM(config)
    with torch.no_grad():  # biases of 0, as transformers makes them, would hide an export that forgets them
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    specials = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(tokenizer_json), **specials).save_pretrained(folder)
    return folder
