"""Real tokenizers and notes for tests; where `../shared` is absent, the test that asks for them is skipped."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from benchmarks.material import byte_level_tokenizer

SHARED = Path(__file__).parents[2] / "shared" / "data"


@cache
def roberta_tokenizer_json() -> str:
    """The tokenizer.json of RoBERTa, which is Clinical-Longformer's too."""
    return byte_level_tokenizer(_present("roberta-tokenizer"))


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
