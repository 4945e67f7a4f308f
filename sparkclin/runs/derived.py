"""A second table of a run, made of the rows that were written, beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkclin.runs.sink import Sink, read_rows, write_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True, kw_only=True)
class DerivedTable:
    """What is made of a task's rows, once they are written and checked. The run's output is then a folder that has the
    rows in `rows_name` and the table in `name`, so the model reads every note once.

    `make` makes the table of the rows, the notes (note_id, text) and the time when the run began (UTC, ISO 8601).
    `check` compares what was written of it with the rows and gives counts for the report; it raises IncompleteError.
    """

    name: str
    rows_name: str
    make: Callable[[DataFrame, DataFrame, str], DataFrame]
    check: Callable[[DataFrame, DataFrame], dict[str, int]]


def write_derived(
    spark: SparkSession, table: DerivedTable, folder: Sink, *, notes: DataFrame, started: str
) -> dict[str, int]:
    """Writes the table into the folder where the rows are, and gives the counts of its check."""
    rows, sink = read_rows(spark, folder.within(table.rows_name)), folder.within(table.name)
    write_rows(table.make(rows, notes, started), sink)
    return table.check(read_rows(spark, sink), rows)
