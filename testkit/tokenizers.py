"""Byte-level BPE tokenizers of RoBERTa's kind: small ones trained in a moment, and RoBERTa's own from its two files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ROBERTA_SPECIAL_PIECES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""The first four have the ids 0 to 3. `<mask>` has 4 in a tokenizer of train_tokenizer(), and RoBERTa's highest."""


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = 400) -> str:
    """The tokenizer.json of a small tokenizer, trained on `texts`."""
    tokenizer = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(ROBERTA_SPECIAL_PIECES),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


def read_roberta_tokenizer(folder: Path) -> str:
    """The tokenizer.json of RoBERTa, which is Clinical-Longformer's too, from its vocab.json and merges.txt."""
    tokenizer = _byte_level(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    special = [AddedToken(piece, lstrip=piece == "<mask>", special=True) for piece in ROBERTA_SPECIAL_PIECES]
    tokenizer.add_special_tokens(special)
    return str(tokenizer.to_str())


def _byte_level(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def for_transformers(tokenizer_json: str) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers saves it beside a checkpoint."""
    from transformers import PreTrainedTokenizerFast

    cls, pad, sep, unknown, mask = ROBERTA_SPECIAL_PIECES
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tokenizer_json),
        bos_token=cls,
        cls_token=cls,
        eos_token=sep,
        sep_token=sep,
        pad_token=pad,
        unk_token=unknown,
        mask_token=mask,
    )
