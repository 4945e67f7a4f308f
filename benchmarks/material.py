"""What rows and models are made of: notes and a tokenizer, from `../shared`, or the demo's where that is absent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from training.notes import Note, read_notes

CHECKOUT = Path(__file__).parents[1]
SHARED = CHECKOUT.parent / "shared"
DEMO_NOTES = DEMO_MODELS.parent / "notes.jsonl"

SPECIAL_PIECES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""Of RoBERTa, in the order of their ids but for the last, which has the highest."""


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
    notes_file, tokenizer_folder = shared / "data" / "mtsamples" / "notes.jsonl", shared / "data" / "roberta-tokenizer"
    real_notes, real_tokenizer = notes_file.is_file(), tokenizer_folder.is_dir()
    return Material(
        notes=read_notes(notes_file if real_notes else DEMO_NOTES),
        notes_source="MTSamples" if real_notes else "the demo's sample notes",
        tokenizer_json=byte_level_tokenizer(tokenizer_folder) if real_tokenizer else demo_tokenizer(),
        tokenizer_source="RoBERTa's" if real_tokenizer else "the demo model's",
        real_tokenizer=real_tokenizer,
    )


def byte_level_tokenizer(folder: Path) -> str:
    """The tokenizer.json of RoBERTa, which is Clinical-Longformer's too, from its vocab.json and merges.txt."""
    tokenizer = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    special = [AddedToken(piece, lstrip=piece == "<mask>", special=True) for piece in SPECIAL_PIECES]
    tokenizer.add_special_tokens(special)
    return str(tokenizer.to_str())


def demo_tokenizer() -> str:
    return ModelRepository(DEMO_MODELS).newest()[0].tokenizer_json()
