"""Columns of notes, to show beside their vectors: of a run's output, or of a table of the notes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparkclin.errors import InputError
from sparkclin.schema import NOTE_ID, TEXT, VECTOR, printable_names
from sparkclin.vectors import is_null

TEXT_COLUMNS = frozenset({TEXT, "note_text"})
LONGEST_LABEL = 200
"""Characters: a longer value is taken for text of a note."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's values by note id, as text. A note that is not there has no value."""

    name: str
    values: Mapping[str, Any]

    @property
    def is_text(self) -> bool:
        """Whether it shows text of notes."""
        return self.name in TEXT_COLUMNS or any(len(shown(value)) > LONGEST_LABEL for value in self.values.values())


def shown(value: Any) -> str:
    """A value for people: `12.5`, `Surgery, Urology`, nothing where there is none."""
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(map(shown, value))
    if is_null(value):
        return ""
    return f"{value:,g}" if isinstance(value, float) else str(value)


def read_columns(names: Sequence[str], *, vectors: str, notes: str | None) -> list[Column]:
    """The columns `names` of the table `notes` (Parquet, JSON Lines or CSV with a column note_id), and those that it
    does not have of a run's output, `vectors`. Raises InputError for a column that is in neither, and for what cannot
    be read."""
    if VECTOR in names:
        raise InputError(f"the column {VECTOR} holds vectors, and cannot be shown. Choose another.")
    wanted = tuple(dict.fromkeys(names))
    if not wanted:
        return []
    tables = (
        [_table(Path(notes), wanted), _parquet(Path(vectors), wanted)] if notes else [_parquet(Path(vectors), wanted)]
    )
    return [_found(name, tables) for name in wanted]


@dataclass(frozen=True)
class _Table:
    """`columns` are all that the table has; `rows` have the wanted ones."""

    columns: tuple[str, ...]
    rows: dict[str, dict[str, Any]]


def _found(name: str, tables: Sequence[_Table]) -> Column:
    for table in tables:
        if name in table.columns:
            return Column(name=name, values={note: row[name] for note, row in table.rows.items() if name in row})
    there = "; ".join(printable_names(table.columns) for table in tables)
    raise InputError(f"no column is named as one that was asked for; there are {there}. Check the names.")


def _table(file: Path, wanted: tuple[str, ...]) -> _Table:
    readers = {".jsonl": _json_lines, ".csv": _csv, ".parquet": _parquet}
    reader = _parquet if file.is_dir() else readers.get(file.suffix.lower())
    if reader is None:
        raise InputError(f"{file.name} is no table that can be read here: its name ends in {', '.join(readers)}.")
    try:
        return reader(file, wanted)
    except (OSError, ValueError) as error:  # those of json and pyarrow are of these classes; they may quote a note
        raise InputError(f"{file} cannot be read ({type(error).__name__}). Check its name and format.") from None


def _parquet(path: Path, wanted: tuple[str, ...]) -> _Table:
    import pyarrow.dataset as ds

    table = ds.dataset(path, format="parquet", exclude_invalid_files=False)
    names = tuple(table.schema.names)
    columns = [name for name in (NOTE_ID, *wanted) if name in names]
    return _rows(names, table.to_table(columns=list(dict.fromkeys(columns))).to_pylist(), wanted)


def _json_lines(file: Path, wanted: tuple[str, ...]) -> _Table:
    names: dict[str, None] = {}

    def kept() -> Iterator[dict[str, Any]]:
        with file.open(encoding="utf-8-sig") as lines:
            for line in filter(str.strip, lines):
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError
                names.update(dict.fromkeys(record))
                yield {name: record[name] for name in (NOTE_ID, *wanted) if name in record}

    rows = list(kept())
    return _rows(tuple(names), rows, wanted)


def _csv(file: Path, wanted: tuple[str, ...]) -> _Table:
    import pandas as pd

    table = pd.read_csv(file, dtype={NOTE_ID: str}, keep_default_na=False, na_values=[""])
    rows: list[dict[str, Any]] = table[[n for n in table.columns if n in (NOTE_ID, *wanted)]].to_dict("records")  # type: ignore[assignment]
    return _rows(tuple(map(str, table.columns)), rows, wanted)


def _rows(names: tuple[str, ...], rows: Iterable[Mapping[str, Any]], wanted: tuple[str, ...]) -> _Table:
    """Raises InputError where there are no ids, or an id is there twice."""
    if NOTE_ID not in names:
        raise InputError(f"there is no column {NOTE_ID} in the table; it has {printable_names(names)}.")
    by_id: dict[str, dict[str, Any]] = {}
    n_rows = 0
    for row in rows:
        n_rows += 1
        by_id[str(row.get(NOTE_ID))] = {name: row[name] for name in wanted if name in row}
    if len(by_id) != n_rows:
        raise InputError(
            f"{n_rows - len(by_id)} rows of the table have the {NOTE_ID} of another: expected a row per note."
        )
    return _Table(names, by_id)
