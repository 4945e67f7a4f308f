"""Rows out: a new place for them, and the check that every note is there, once and whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sparkclin.errors import IncompleteError, InputError, OptionError
from sparkclin.runs.delta import check_delta
from sparkclin.schema import NOTE_ID
from sparkclin.spark import storage
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
            raise OptionError(f"output format {self.format!r} is not one of {', '.join(OUTPUT_FORMATS)}")

    def within(self, name: str) -> Sink:
        """A place of that name in the folder which this one is then."""
        return replace(self, path=f"{self.path.rstrip('/')}/{name}")


def check_sink(spark: SparkSession, sink: Sink) -> None:
    """Says before hours of work what would be said after them.

    Raises InputError where something is at the sink's path already, or the path cannot be reached, and SetupError where
    Delta Lake is missing.
    """
    if sink.format == "delta":
        check_delta(spark)
    try:
        taken = storage.exists(storage.as_spark_means(spark, sink.path))
    except OSError as error:
        raise InputError(f"nothing can be written to {sink.path} ({error}). Check --output.") from None
    if taken:
        raise InputError(f"{sink.path} exists already; nothing is overwritten. Choose another --output.")


@step("while computing and writing")
def write_rows(rows: DataFrame, sink: Sink) -> None:
    """Writes to a new place; Spark's committer shows it whole or not at all."""
    rows.write.format(sink.format).mode("errorifexists").save(sink.path)


def read_rows(spark: SparkSession, sink: Sink) -> DataFrame:
    """What was written."""
    return spark.read.format(sink.format).load(sink.path)


@step("while checking what was written")
def check_written(spark: SparkSession, sink: Sink, *, n_notes: int, index: str | None) -> int:
    """How many rows were written.

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
            f"{n_notes} notes went in; {sink.path} has {row.notes}, and of {row.damaged} of them rows are missing or "
            "doubled. Do not use it: run again, and report this."
        )
    return int(row.rows)
