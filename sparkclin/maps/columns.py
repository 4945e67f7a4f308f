"""Columns of notes, to show beside their vectors: of a run's output, or of a table of the notes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkclin.errors import InputError
from sparkclin.runs.sources.csv import QUOTING, CsvForm, RecordParser, each_record, surveyed
from sparkclin.schema import NOTE_ID, TEXT, VECTOR, printable_names
from sparkclin.vectors import is_null

if TYPE_CHECKING:
    from sparkclin.runs.sources.lines import FileLines

TEXT_COLUMNS = frozenset({TEXT, "note_text"})
LONGEST_LABEL = 200
"""Characters: a longer value is taken for text of a note."""
MOST_DEEP = 20
"""Lists and objects in each other: Python itself does not reach much deeper than some hundred."""


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
    # Those of json and pyarrow are of these classes; they may quote a note.
    except (OSError, ValueError, RecursionError) as error:
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
    """Raises InputError for records that are not as the header says: their values would stand beside other ids."""
    form = CsvForm(encoding="utf-8", delimiter=",")
    content = file.read_bytes().split(b"\n")
    found = next(surveyed(_lines(content), form, (NOTE_ID,)), {"header": None})
    header = found["header"]
    if header is None:
        raise InputError(f"{file} has no first line that is a header in CSV, in UTF-8. Check its name and format.")
    if found["first"] is not None:
        raise InputError(
            f"{file} has records that are not CSV in UTF-8 with the fields of the header, or are a header again: the "
            f"first begins in line {found['first']:,}. Mend them ({QUOTING})."
        )
    names = [name for name in dict.fromkeys((NOTE_ID, *wanted)) if name in header]
    parser = RecordParser(form=form, n_fields=len(header), wanted=tuple(header.index(name) for name in names))
    records = [parser.values(record) or [] for _, _, record in each_record(_lines(content))][1:]
    values = {name: [record[n] for record in records] for n, name in enumerate(names)}
    columns = [values[name] if name == NOTE_ID else _numbers(values[name]) for name in names]
    return _rows(tuple(header), [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], wanted)


def _lines(content: list[bytes]) -> FileLines:
    return iter([("", content)])


def _numbers(values: list[str | None]) -> list[Any]:
    """As numbers, where all of them are."""
    import pandas as pd

    try:
        numbers: list[Any] = pd.to_numeric(pd.Series(values, dtype=object)).tolist()
    except ValueError:
        return values
    return numbers


def _rows(names: tuple[str, ...], rows: Iterable[Mapping[str, Any]], wanted: tuple[str, ...]) -> _Table:
    """Raises InputError where there are no ids, or an id is there twice."""
    if NOTE_ID not in names:
        raise InputError(f"there is no column {NOTE_ID} in the table; it has {printable_names(names)}.")
    by_id: dict[str, dict[str, Any]] = {}
    n_rows = n_deep = 0
    for row in rows:
        if any(_is_deep(value) for value in row.values()):
            n_deep += 1
            continue
        n_rows += 1
        by_id[str(row.get(NOTE_ID))] = {name: row[name] for name in wanted if name in row}
    if n_deep:
        raise InputError(
            f"{n_deep} rows of the table have lists or objects in each other, more than {MOST_DEEP} deep, which cannot "
            "be shown. Choose another column."
        )
    if len(by_id) != n_rows:
        raise InputError(
            f"{n_rows - len(by_id)} rows of the table have the {NOTE_ID} of another: expected a row per note."
        )
    return _Table(names, by_id)


def _is_deep(value: Any) -> bool:
    inner = [value]
    for _ in range(MOST_DEEP):
        inner = [part for outer in inner for part in _parts(outer)]
    return any(isinstance(part, dict | list | tuple) for part in inner)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
