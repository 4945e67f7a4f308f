"""Labels of notes, or of pairs: CSV, JSONL and parquet files in, notes out, and the scores of what a run found.

    python -m sparkclin.evaluation.classify notes CORPUS --output NOTES
    python -m sparkclin.evaluation.classify score PREDICTIONS CORPUS

CORPUS is a .csv with a header, a .jsonl or a .parquet; options name its columns. A note has one label, or with
`--multi-label` any number of them: a list, or one string with `--label-separator` between them. Where there is no
column of ids, a note's id is the number of its row from 0. PREDICTIONS is a parquet with a row per note and label:
note_id, label, predicted (true or false). Scores are scikit-learn's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet

from sparkclin.errors import InputError, exit_status
from sparkclin.evaluation.notes import write_jsonl

NAME_THEM = "Name yours with --text-column, --pair-column and --label-column."


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names of a corpus's columns. `pair` is that of the second text, where there is one."""

    text: str = "text"
    label: str = "label"
    pair: str | None = None
    note_id: str = "note_id"
    multi_label: bool = False
    separator: str = ";"


@dataclass(frozen=True)
class Example:
    """A note with its labels; `pair` is the text that it is read together with."""

    note_id: str
    text: str
    pair: str | None
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """All between 0 and 1. `accuracy` is the share of notes all of whose labels are right and complete. `macro_f1` is
    the mean of `f1_by_label`, which has the labels that a note of the corpus has or that one was given. `support` is
    the number of notes with each of them."""

    notes: int
    accuracy: float
    micro_f1: float
    macro_f1: float
    f1_by_label: dict[str, float]
    support: dict[str, int]


def read_examples(path: Path, columns: Columns) -> list[Example]:
    """The notes of a file, in its order. Raises InputError for a column that is missing, a row without text, without a
    label or with one of another kind, and for ids that are not unique."""
    texts = [columns.text, *([columns.pair] if columns.pair else [])]
    records = read_records(path, needed=[*texts, columns.label], advice=NAME_THEM)
    problems = []
    for name in texts:
        empty = [row for row, record in enumerate(records) if not str(record[name] or "").strip()]
        problems += [f"{len(empty)} rows are without {name} (the first: row {empty[0]})"] if empty else []
    if problems:
        raise InputError(f"{path.name}: {'; '.join(problems)}. Leave these rows out.")
    labels = _labels(path, records, columns)
    ids = _ids(path, records, columns)
    return [
        Example(note_id, str(record[columns.text]), str(record[columns.pair]) if columns.pair else None, of_note)
        for note_id, record, of_note in zip(ids, records, labels, strict=True)
    ]


def read_labels(path: Path, columns: Columns) -> dict[str, tuple[str, ...]]:
    """The labels of each note by its id; the texts are not looked at."""
    records = read_records(path, needed=[columns.label], advice=NAME_THEM)
    return dict(zip(_ids(path, records, columns), _labels(path, records, columns), strict=True))


def read_records(path: Path, *, needed: Sequence[str], advice: str = "Rename yours.") -> list[dict[str, Any]]:
    """The rows of a .csv, .jsonl or .parquet. Raises InputError, with the advice, where one lacks a needed column."""
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise InputError(f"{path.name} is not a kind of file that labels are read from: expected {', '.join(readers)}.")
    records = readers[path.suffix](path)
    if not records:
        raise InputError(f"{path.name} has no row: expected one per note.")
    for row, record in enumerate(records):
        if missing := [name for name in needed if name not in record]:
            raise InputError(
                f"{path.name} has no column {', '.join(missing)} in row {row}; its columns are {', '.join(record)}. "
                f"{advice}"
            )
    return records


def _read_csv(path: Path) -> list[dict[str, Any]]:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return records


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    records = []
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path.name}, line {number} cannot be read as JSON: {error.msg}.") from None
            if not isinstance(record, dict):
                raise InputError(f"{path.name}, line {number} is not a JSON object: expected one per line.")
            records.append(record)
    return records


def _ids(path: Path, records: Sequence[Mapping[str, Any]], columns: Columns) -> list[str]:
    ids = [str(record.get(columns.note_id, row)) for row, record in enumerate(records)]
    if repeated := len(ids) - len(set(ids)):
        raise InputError(f"{path.name} has {repeated} rows whose {columns.note_id} another row has. Make them unique.")
    return ids


def _labels(path: Path, records: Sequence[Mapping[str, Any]], columns: Columns) -> list[tuple[str, ...]]:
    found = [_labels_of(record[columns.label], columns) for record in records]
    wrong = [row for row, labels in enumerate(found) if labels is None]
    expected = "strings or a list of them" if columns.multi_label else "one string, and --multi-label for more"
    if wrong:
        raise InputError(
            f"{path.name}: {len(wrong)} rows have another {columns.label} than expected (the first: row {wrong[0]}). "
            f"Expected {expected}."
        )
    return [labels for labels in found if labels is not None]


def _labels_of(value: object, columns: Columns) -> tuple[str, ...] | None:
    """None where the value is not as it should be."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not columns.multi_label:
        return (value.strip(),) if isinstance(value, str) and value.strip() else None
    if isinstance(value, str):
        value = value.split(columns.separator)
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        return None
    return tuple(dict.fromkeys(label.strip() for label in value if label.strip()))


def score(labels: Sequence[Iterable[str]], found: Sequence[Iterable[str]]) -> ClassScore:
    """Of the labels of notes, and those that were found. In macro F1 a label that no note has and none was given does
    not count, as with scikit-learn's own default."""
    from sklearn.metrics import accuracy_score, f1_score

    given, predicted = ([set(of_note) for of_note in rows] for rows in (labels, found))
    names = sorted(set().union(*given, *predicted))
    true, guess = (
        np.array([[name in of_note for name in names] for of_note in rows], dtype=int).reshape(len(rows), len(names))
        for rows in (given, predicted)
    )
    if not names:
        return ClassScore(notes=len(given), accuracy=1.0, micro_f1=0.0, macro_f1=0.0, f1_by_label={}, support={})
    # scikit-learn reads a matrix with one column as two classes, 0 and 1, of which the second is the label.
    chosen = [1] if len(names) == 1 else None
    by_label = f1_score(true, guess, labels=chosen, average=None, zero_division=0)
    return ClassScore(
        notes=len(given),
        accuracy=float(accuracy_score(true, guess)),
        micro_f1=float(f1_score(true, guess, labels=chosen, average="micro", zero_division=0)),
        macro_f1=float(np.mean(by_label)),
        f1_by_label={name: float(value) for name, value in zip(names, by_label, strict=True)},
        support={name: int(count) for name, count in zip(names, true.sum(axis=0), strict=True)},
    )


def score_rows(labels: Mapping[str, Iterable[str]], rows: pd.DataFrame) -> ClassScore:
    """Of what a run wrote: note_id, label, predicted. A note of which nothing could be read has a row without a label,
    and no label is found for it. Raises InputError where a note has no row, or two rows with one label."""
    rows = rows.assign(note_id=rows["note_id"].astype(str))
    missing = len(labels.keys() - set(rows["note_id"]))
    doubled = int(rows.duplicated(["note_id", "label"]).sum())
    problems = [f"{missing} of {len(labels)} notes are not in the predictions"] * bool(missing)
    problems += [f"{doubled} rows have the note and the label of another row"] * bool(doubled)
    if problems:
        raise InputError(f"{'; '.join(problems)}. Are they those of these notes?")
    predicted = rows[rows["label"].notna() & rows["predicted"].fillna(value=False).astype(bool)]
    found = predicted.groupby("note_id")["label"].apply(list).to_dict()
    return score(list(labels.values()), [found.get(note_id, []) for note_id in labels])


def add_columns(parser: argparse.ArgumentParser, *, texts: bool = True) -> None:
    """The options that name columns; `columns_of()` reads them."""
    add, default = parser.add_argument, Columns
    if texts:
        add("--text-column", default=default.text, metavar="NAME", help="the note (default: %(default)s)")
        add("--pair-column", metavar="NAME", help="the text that it is read together with; default: none")
    add("--label-column", default=default.label, metavar="NAME", help="default: %(default)s")
    add("--id-column", default=default.note_id, metavar="NAME", help="default: %(default)s, or the row's number")
    add("--multi-label", action="store_true", help="a note has any number of labels")
    add("--label-separator", default=default.separator, metavar="TEXT", help="between labels (default: %(default)s)")


def columns_of(options: argparse.Namespace) -> Columns:
    return Columns(
        text=getattr(options, "text_column", Columns.text),
        label=options.label_column,
        pair=getattr(options, "pair_column", None),
        note_id=options.id_column,
        multi_label=options.multi_label,
        separator=options.label_separator,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m sparkclin.evaluation.classify", description=(__doc__ or "").splitlines()[0]
    )
    actions = parser.add_subparsers(dest="action", required=True)
    notes, scoring = (actions.add_parser(name) for name in ("notes", "score"))
    notes.add_argument("corpus", type=Path, help=".csv, .jsonl or .parquet")
    notes.add_argument(
        "-o", "--output", type=Path, required=True, help=".jsonl with note_id and text, pair if there is one"
    )
    add_columns(notes)
    scoring.add_argument("predictions", type=Path, help="parquet with note_id, label and predicted")
    scoring.add_argument("corpus", type=Path, help=".csv, .jsonl or .parquet")
    add_columns(scoring, texts=False)
    options = parser.parse_args(arguments)
    return exit_status(lambda: act(options))


def act(options: argparse.Namespace) -> None:
    columns = columns_of(options)
    if options.action == "notes":
        write_jsonl(map(to_note, read_examples(options.corpus, columns)), options.output)
    else:
        rows = pd.read_parquet(options.predictions, columns=["note_id", "label", "predicted"])
        print(json.dumps(asdict(score_rows(read_labels(options.corpus, columns), rows)), indent=2))


def to_note(example: Example) -> dict[str, str]:
    pair = {} if example.pair is None else {"pair": example.pair}
    return {"note_id": example.note_id, "text": example.text, **pair}


if __name__ == "__main__":
    sys.exit(main())
