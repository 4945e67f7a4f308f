"""Tokenizers of both families' kinds, small ones trained in a moment and the real ones from their files.

Longformer has RoBERTa's byte-level BPE, BigBird a unigram model of SentencePiece. BERT's WordPiece is here too.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ROBERTA_SPECIAL_PIECES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""The first four have the ids 0 to 3. `<mask>` has 4 in a tokenizer of train_tokenizer(), and RoBERTa's highest."""


ROBERTA_ROLES = {
    "bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>",
    "unk_token": "<unk>", "mask_token": "<mask>",
}  # fmt: skip
BIGBIRD_ROLES = {
    "pad_token": "<pad>", "eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>", "cls_token": "[CLS]",
    "sep_token": "[SEP]", "mask_token": "[MASK]",
}  # fmt: skip
"""What a special piece is for -> its name. In train_unigram()'s tokenizers they have the ids 0 to 6, in this order."""


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


def word_tokenizer(words: Sequence[str]) -> str:
    """The tokenizer.json of a tokenizer with a piece per word, at spaces and line breaks: `words` have the ids from 1
    on, and all others are `<unk>`, 0."""
    ids = {"<unk>": 0} | {word: index for index, word in enumerate(words, start=1)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return str(tokenizer.to_str())


def read_roberta_tokenizer(folder: Path) -> str:
    """The tokenizer.json of RoBERTa, which is Clinical-Longformer's too, from its vocab.json and merges.txt."""
    tokenizer = _byte_level(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    special = [AddedToken(piece, lstrip=piece == "<mask>", special=True) for piece in ROBERTA_SPECIAL_PIECES]
    tokenizer.add_special_tokens(special)
    return str(tokenizer.to_str())


def train_unigram(texts: Iterable[str], *, vocab_size: int = 300) -> str:
    """The tokenizer.json of a small unigram tokenizer, as transformers makes it of BigBird's spiece.model."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Strip(left=False, right=False),
            normalizers.Replace(Regex(" {2,}"), "▁"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = list(BIGBIRD_ROLES.values())
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size, special_tokens=special, unk_token=BIGBIRD_ROLES["unk_token"], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    cls, sep = BIGBIRD_ROLES["cls_token"], BIGBIRD_ROLES["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(piece, special.index(piece)) for piece in (cls, sep)],
    )
    return str(tokenizer.to_str())


def train_wordpiece(texts: Iterable[str], *, vocab_size: int = 300) -> str:
    """Return the tokenizer.json of a small tokenizer of BERT's kind, trained on `texts`."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=vocab_size, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


def train_sentencepiece(texts: Iterable[str], *, vocab_size: int = 300) -> bytes:
    """A small spiece.model, as BigBird's: the special pieces are in it, and have the ids of train_unigram()."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=vocab_size,
        hard_vocab_limit=False,  # fewer where the texts do not give so many
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        control_symbols=[BIGBIRD_ROLES[role] for role in ("cls_token", "sep_token", "mask_token")],
        minloglevel=2,  # errors only
    )
    return model.getvalue()


def read_bigbird_tokenizer(spiece_model: Path) -> str:
    """The tokenizer.json of BigBird, from its SentencePiece model."""
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(spiece_model, folder)
        Path(folder, "config.json").write_text(json.dumps({"model_type": "big_bird"}), encoding="utf-8")
        return str(AutoTokenizer.from_pretrained(folder).backend_tokenizer.to_str())


def _byte_level(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def for_transformers(tokenizer_json: str) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers saves it beside a checkpoint."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer.from_str(tokenizer_json)
    roles = BIGBIRD_ROLES if tokenizer.token_to_id(BIGBIRD_ROLES["cls_token"]) is not None else ROBERTA_ROLES
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)
