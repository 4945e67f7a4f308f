"""Rows out, and the check that every note is there, once and whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sparkclin.errors import IncompleteError, OptionError
from sparkclin.schema import NOTE_ID
from sparkclin.spark.failures import step

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

OUTPUT_FORMATS = ("parquet", "delta")


@dataclass(frozen=True, kw_only=True)
class Sink:
    """Where a run's rows go: a path or URL where nothing is yet. Raises OptionError for an unknown format."""

    path: str
    format: str = "parquet"

    def __post_init__(self) -> None:
        if self.format not in OUTPUT_FORMATS:
            raise OptionError(
                f"there is no output format {self.format!r}: expected one of {', '.join(OUTPUT_FORMATS)}."
            )

    def within(self, name: str) -> Sink:
        """A place of that name in the folder which this one is then."""
        return replace(self, path=f"{self.path.rstrip('/')}/{name}")


@step("while computing and writing")
def write_rows(rows: DataFrame, sink: Sink) -> None:
    """Writes to a place where no rows are."""
    rows.write.format(sink.format).mode("append").save(sink.path)


def read_rows(spark: SparkSession, sink: Sink) -> DataFrame:
    """What was written, whatever else is beside it."""
    reader = spark.read.format(sink.format)
    return (reader.option("pathGlobFilter", "part-*") if sink.format == "parquet" else reader).load(sink.path)


@dataclass(frozen=True)
class Written:
    """How many notes and rows were found in what was written."""

    notes: int
    rows: int


@step("while checking what was written")
def check_written(spark: SparkSession, sink: Sink, *, n_notes: int, index: str | None) -> Written:
    """What was written.

    `index` is the column that numbers a note's rows from 0; None where a note has one row. A note without vectors has
    one row, whose number is null. Raises IncompleteError, with counts, unless `n_notes` notes are there and each has
    all its rows once. (Rows lost from a note's end leave no gap and are not seen here.)
    """
    from pyspark.sql import functions as F

    written = read_rows(spark, sink)
    number = F.coalesce(F.col(index), F.lit(0)) if index else F.lit(0)
    notes = written.groupBy(NOTE_ID).agg(
        F.count(F.lit(1)).alias("rows"), F.max(number).alias("last"), F.sum(number).alias("sum")
    )
    # n rows numbered 0 to n-1: the last number and the sum of all tell a doubled row from a missing one.
    whole = (F.col("last") == F.col("rows") - 1) & (F.col("sum") * 2 == F.col("rows") * F.col("last"))
    row = notes.agg(
        F.coalesce(F.sum("rows"), F.lit(0)).alias("rows"),
        F.count(F.lit(1)).alias("notes"),
        F.count(F.when(~whole, 1)).alias("damaged"),
    ).first()
    assert row is not None  # an aggregation without grouping always gives a row
    if row.notes != n_notes or row.damaged:
        raise IncompleteError(
            f"{n_notes} notes went in; {row.notes} came out, and of {row.damaged} of them rows are missing or doubled. "
            "The output was discarded: run again, and let nothing else write to --input or --output until the run ends."
        )
    return Written(notes=int(row.notes), rows=int(row.rows))
