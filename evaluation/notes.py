"""Notes out of a local file, with the specialties that some corpora know, and records into one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow.parquet

from sparkclin.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Note:
    """`title` and `specialties` are those of MTSamples; other corpora leave them empty."""

    note_id: str
    specialties: tuple[str, ...] = ()
    title: str = ""
    text: str


def packaged_notes() -> list[Note]:
    """The public sample notes that come with sparkclin; sparkclin/demo/SOURCE.md says what they are."""
    with resources.as_file(resources.files("sparkclin") / "demo" / "notes.jsonl") as path:
        return read_notes(path)


def read_notes(path: Path) -> list[Note]:
    """The notes of a file, in its order.

    `.jsonl` and `.parquet` need the columns note_id and text (title and specialties are read where they are);
    `.txt` has one note per line, whose id is the line's number from 1. Notes of white space only are left out.

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


def write_jsonl(records: Iterable[Mapping[str, Any]], path: Path) -> None:
    """A record per line."""
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
