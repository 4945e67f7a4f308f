"""The split of a corpus into a training and a held-out part.

    python -m training.split NOTES --train TRAIN --dev DEV

writes both parts of a corpus whose notes have specialties (MTSamples), for `python -m training.classify`.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sparkclin.errors import OptionError, exit_status
from sparkclin.evaluation.notes import Note, read_notes, write_jsonl


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


def with_frequent_specialties(notes: Sequence[Note], *, least: int) -> list[Note]:
    """The notes, each with those of its specialties that at least `least` of all notes have."""
    counts = Counter(specialty for note in notes for specialty in note.specialties)
    return [
        replace(note, specialties=tuple(name for name in note.specialties if counts[name] >= least)) for note in notes
    ]


def write_notes(notes: Sequence[Note], path: Path) -> None:
    write_jsonl(map(asdict, notes), path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 for what the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m training.split", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notes", type=Path, help=".jsonl, .parquet or .txt")
    parser.add_argument("--train", type=Path, required=True, help=".jsonl to write")
    parser.add_argument("--dev", type=Path, required=True, help=".jsonl to write")
    parser.add_argument("--held-out", type=float, default=0.1, help="share of the notes that goes into --dev")
    parser.add_argument(
        "--least-notes", type=int, default=1, metavar="N", help="leave out specialties that fewer notes have"
    )
    options = parser.parse_args(arguments)
    return exit_status(lambda: write_split(options))


def write_split(options: argparse.Namespace) -> None:
    notes = with_frequent_specialties(read_notes(options.notes), least=options.least_notes)
    split = split_notes(notes, held_out=options.held_out)
    for part, path in ((split.train, options.train), (split.held_out, options.dev)):
        write_notes(part, path)
        print(f"{len(part)} notes -> {path}")


if __name__ == "__main__":
    sys.exit(main())
