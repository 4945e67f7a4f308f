"""The split of a corpus into a training and a held-out part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.notes import Note
from sparkclin.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Split:
    train: list[Note]
    held_out: list[Note]


def split_notes(notes: Sequence[Note], *, held_out: float) -> Split:
    """Each note's part depends on its id and `held_out` alone: new notes move no old one, a larger share only adds."""
    if not 0 <= held_out < 1:
        raise OptionError(f"held_out is {held_out}; it is the share of the notes to keep from training, 0 ≤ share < 1.")
    return Split(
        train=[note for note in notes if not is_held_out(note.note_id, share=held_out)],
        held_out=[note for note in notes if is_held_out(note.note_id, share=held_out)],
    )


def is_held_out(note_id: str, *, share: float) -> bool:
    """SHA-256, because Python's own hash() of a string differs from process to process."""
    first_bytes = hashlib.sha256(note_id.encode("utf-8")).digest()[:8]
    return int.from_bytes(first_bytes, "big") < share * 2**64
