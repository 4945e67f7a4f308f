"""Real notes and tokenizers: from `../shared` beside the checkout, or the demo's where that is absent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import SkipTest

from tokenizers import Tokenizer

from sparkclin.evaluation.notes import Note, packaged_notes, read_notes
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from testkit.demo import MODEL
from testkit.tokenizers import read_bigbird_tokenizer, read_roberta_tokenizer

CHECKOUT = Path(__file__).parents[1]
SHARED = CHECKOUT.parent / "shared"

MTSAMPLES = Path("data", "mtsamples", "notes.jsonl")
ROBERTA_TOKENIZER = Path("data", "roberta-tokenizer")
BIGBIRD_TOKENIZER = Path("data", "bigbird-spm", "spiece.model")
"""Below SHARED."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """`notes_source` and `tokenizer_source` say in a few words where they are from; RoBERTa's is the real tokenizer."""

    notes: list[Note]
    notes_source: str
    tokenizer_json: str
    tokenizer_source: str
    real_tokenizer: bool

    def tokenizer(self) -> Tokenizer:
        return Tokenizer.from_str(self.tokenizer_json)


def read_material(shared: Path = SHARED) -> Material:
    """All of MTSamples and RoBERTa's tokenizer where `shared` has them, else the demo's notes and tokenizer."""
    notes_file, tokenizer_folder = shared / MTSAMPLES, shared / ROBERTA_TOKENIZER
    real_notes, real_tokenizer = notes_file.is_file(), tokenizer_folder.is_dir()
    return Material(
        notes=read_notes(notes_file) if real_notes else packaged_notes(),
        notes_source="MTSamples" if real_notes else "the demo's sample notes",
        tokenizer_json=read_roberta_tokenizer(tokenizer_folder) if real_tokenizer else demo_tokenizer(),
        tokenizer_source="RoBERTa's" if real_tokenizer else "the demo model's",
        real_tokenizer=real_tokenizer,
    )


def demo_tokenizer() -> str:
    return ModelRepository(DEMO_MODELS).find(MODEL).tokenizer_json()


@cache
def roberta_tokenizer_json() -> str:
    """RoBERTa's tokenizer.json. Skips the test that asks for it where it is absent."""
    return read_roberta_tokenizer(needed(ROBERTA_TOKENIZER))


@cache
def bigbird_tokenizer_json() -> str:
    """BigBird's tokenizer.json. Skips the test that asks for it where it is absent."""
    return read_bigbird_tokenizer(needed(BIGBIRD_TOKENIZER))


@cache
def mtsamples(n_notes: int) -> tuple[str, ...]:
    """The texts of the first `n_notes` MTSamples notes. Skips the test that asks for them where they are absent."""
    return tuple(note.text for note in read_notes(needed(MTSAMPLES))[:n_notes])


def needed(path: Path) -> Path:
    """The path below SHARED. Raises SkipTest, by which pytest skips a test, where it is absent."""
    if not (SHARED / path).exists():
        raise SkipTest(f"needs shared/{path} beside the checkout")
    return SHARED / path
