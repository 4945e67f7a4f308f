"""The notes and the number of records that every reader returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa

from sparkclin.errors import InputError
from sparkclin.schema import NOTE_ID, PAIR, TEXT, printable_names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NOTES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class SourceNotes:
    """`notes` has note_id, text and, if the source has one, pair. `records` is the number of records, from a count
    of its own. `not_read` names files of the input without a record. `version` is the version of a Delta table."""

    notes: DataFrame
    records: int
    not_read: tuple[str, ...] = ()
    version: int | None = None


def check_columns(path: str, wanted: Sequence[str], present: Sequence[str], *, header: bool = False) -> None:
    """Raises InputError for a column that is missing, or is there twice.

    The error lists the columns with plain names; other names may contain a note. So may a line of a file that is read
    as its `header`: the error lists only names that match a wanted name in another case.
    """
    problems = []
    if missing := [name for name in wanted if name not in present]:
        problems.append(f"no column {', '.join(missing)}")
    if double := [name for name in wanted if present.count(name) > 1]:
        problems.append(f"several columns {', '.join(double)}")
    if problems:
        there = _alike(wanted, present) if header else f"it has {printable_names(present)}"
        raise InputError(
            f"{path} has {' and '.join(problems)}; {there}. "
            "Name the right ones: --id-column, --text-column and so on, in Python id_column=."
        )


def as_compared(name: str) -> str:
    """The name of a column without what people write in another way: upper case, and spaces around it."""
    return name.strip().lower()


def _alike(wanted: Sequence[str], present: Sequence[str]) -> str:
    lower = {name.lower() for name in wanted}
    alike = [name for name in present if name.lower() in lower and name not in wanted]
    said = f" ({', '.join(alike)} differ in case only)" if alike else ""
    return f"its header has {sum(name not in wanted for name in present)} others{said}"


def schema_of(*, id_type: str = "string", pair: bool = False) -> str:
    """Return the schema of the batches of batches_of(). Texts are bytes, which may be invalid UTF-8."""
    return f"{NOTE_ID} {id_type}, {TEXT} binary" + (f", {PAIR} binary" if pair else "")


def batches_of(
    rows: Iterator[Sequence[object]], *, id_type: pa.DataType, pair: bool = False
) -> Iterator[pa.RecordBatch]:
    """Rows of (id, text) or (id, text, pair) as Arrow batches, as schema_of() says."""
    names = [NOTE_ID, TEXT, *([PAIR] if pair else [])]
    kinds = [id_type, *([pa.binary()] * (len(names) - 1))]
    while some := list(islice(rows, NOTES_AT_ONCE)):
        columns = [pa.array(values, type=kind) for values, kind in zip(zip(*some, strict=True), kinds, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, names=names)


def with_texts(frame: DataFrame) -> DataFrame:
    """Bytes as texts, unchanged."""
    from pyspark.sql import functions as F

    texts = [F.col(name).cast("string").alias(name) for name in frame.columns if name != NOTE_ID]
    return frame.select(NOTE_ID, *texts)
