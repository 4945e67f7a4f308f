"""Notes for training, and their split into a training and a held-out part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet

from sparkclin.errors import InputError, OptionError


@dataclass(frozen=True, kw_only=True)
class Note:
    """`title` and `specialties` are those of MTSamples; other corpora leave them empty."""

    note_id: str
    specialties: tuple[str, ...] = ()
    title: str = ""
    text: str


@dataclass(frozen=True, kw_only=True)
class Split:
    train: list[Note]
    held_out: list[Note]


def read_notes(path: Path) -> list[Note]:
    """The notes of a file, in its order.

    `.jsonl` and `.parquet` need the columns note_id and text (title and specialties are read where they are);
    `.txt` has one note a line, whose id is the line's number from 1. Notes of white space only are left out.

    Raises InputError for another kind of file, a missing column, or ids that are not unique.
    """
    readers = {".jsonl": _read_jsonl, ".parquet": _read_parquet, ".txt": _read_lines}
    if path.suffix not in readers:
        raise InputError(f"{path.name} is not a kind of file that notes are read from: expected {', '.join(readers)}.")
    notes = [note for note in readers[path.suffix](path) if note.text.strip()]
    repeated = len(notes) - len({note.note_id for note in notes})
    if repeated:
        raise InputError(f"{path.name} has {repeated} notes whose note_id another note has too. Make the ids unique.")
    return notes


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


def _read_jsonl(path: Path) -> Iterator[Note]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            yield _to_note(json.loads(line), where=f"{path.name}, line {number}")


def _read_parquet(path: Path) -> Iterator[Note]:
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
        for record in batch.to_pylist():
            yield _to_note(record, where=path.name)


def _read_lines(path: Path) -> Iterator[Note]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            yield Note(note_id=str(number), text=line.rstrip("\n"))


def _to_note(record: dict[str, object], *, where: str) -> Note:
    missing = sorted({"note_id", "text"} - record.keys())
    if missing:
        raise InputError(f"{where} has no {' and no '.join(missing)}; notes need note_id and text.")
    specialties = record.get("specialties")
    return Note(
        note_id=str(record["note_id"]),
        text=str(record["text"] or ""),
        title=str(record.get("title") or ""),
        specialties=tuple(str(s) for s in specialties) if isinstance(specialties, list) else (),
    )
