"""Real tokenizers and notes for tests; where `../shared` is absent, the test that asks for them is skipped."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from tests.echo import SPECIAL_PIECES

SHARED = Path(__file__).parents[2] / "shared" / "data"


@cache
def roberta_tokenizer_json() -> str:
    """The tokenizer.json of RoBERTa, which is Clinical-Longformer's too."""
    folder = _present("roberta-tokenizer")
    tokenizer = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    special = [AddedToken(piece, lstrip=piece == "<mask>", special=True) for piece in SPECIAL_PIECES]
    tokenizer.add_special_tokens(special)
    return str(tokenizer.to_str())


@cache
def mtsamples(n_notes: int) -> tuple[str, ...]:
    """The texts of the first `n_notes` MTSamples notes."""
    lines = (_present("mtsamples") / "notes.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line)["text"] for line in lines[:n_notes])


def _present(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs shared/data/{name} beside the checkout")
    return folder
