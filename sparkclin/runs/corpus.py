"""Notes in: the formats that a corpus comes in, and the checks on it before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkclin.errors import InputError, OptionError
from sparkclin.runs.delta import check_delta
from sparkclin.schema import NOTE_ID, PAIR, TEXT, printable_names
from sparkclin.spark.failures import step

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession

    _Reader = Callable[[SparkSession, str], DataFrame]

INPUT_FORMATS = ("parquet", "csv", "jsonl", "text", "delta")

NOTES_PER_PARTITION = 200
PARTITIONS_PER_CORE = 4
MAX_PARTITIONS = 10_000

_BROKEN = "_sparkclin_broken_record"


@dataclass(frozen=True, kw_only=True)
class NoteSource:
    """Where notes come from. With format `text` every file is a note, and its name is the id. With `integer_ids` all
    ids must be integers of 64 bits, as OMOP's are; digits in a text, as CSV has them, are one. Each note is read with
    another text where `pair_column` says which, or with the same one, `pair_text`, for all. Raises OptionError for a
    format that is not known, and for what does not go together."""

    path: str
    format: str = "parquet"
    id_column: str = NOTE_ID
    text_column: str = TEXT
    integer_ids: bool = False
    pair_column: str | None = None
    pair_text: str | None = None

    def __post_init__(self) -> None:
        if self.pair_column is not None and (self.pair_text is not None or self.format == "text"):
            raise OptionError(
                "a column of other texts was named: it goes neither with one text for all nor with files of text, "
                "which have no columns."
            )
        if self.pair_text is not None and not self.pair_text.strip():
            raise OptionError("the text that all notes are to be read with, such as --question, is empty.")
        if self.format not in INPUT_FORMATS:
            raise OptionError(f"input format {self.format!r} is not one of {', '.join(INPUT_FORMATS)}")


@step("while reading the notes")
def read_notes(spark: SparkSession, source: NoteSource) -> DataFrame:
    """The notes as (note_id, text), with `pair` where the source has such; nothing is computed yet, but where ids are
    texts and must be integers.

    Raises InputError for a path without notes, a missing column, a text column that is not text, ids that are not what
    the source says, or records that cannot be read, and SetupError where Delta Lake is missing.
    """
    from pyspark.sql import functions as F

    frame = _load(spark, source)
    texts = {source.text_column: TEXT, **({source.pair_column: PAIR} if source.pair_column else {})}
    wanted = {source.id_column, *texts}
    missing = sorted(wanted - set(frame.columns))
    if missing:
        raise InputError(
            f"{source.path} has no column {', '.join(missing)}; it has {printable_names(frame.columns)}. "
            "Name the right ones with the options that end in -column."
        )
    for column in texts:
        found = frame.schema[column].dataType.simpleString()
        if found not in ("string", "void"):
            raise InputError(f"column {column} of {source.path} is {found}, expected string.")
    notes = frame.select(
        F.col(f"`{source.id_column}`").alias(NOTE_ID),
        *(F.col(f"`{column}`").cast("string").alias(name) for column, name in texts.items()),
    )
    if source.pair_text is not None:
        notes = notes.withColumn(PAIR, F.lit(source.pair_text))
    return _with_integer_ids(notes) if source.integer_ids else notes


def _with_integer_ids(notes: DataFrame) -> DataFrame:
    """The notes with ids of the type bigint, null where they are null; raises InputError, with counts, for others."""
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    kind = notes.schema[NOTE_ID].dataType
    if isinstance(kind, T.IntegralType):
        return notes.withColumn(NOTE_ID, F.col(NOTE_ID).cast("bigint"))
    as_text = F.col(NOTE_ID).cast("string")
    # Spark's cast alone also takes " 7" and "7.5" for 7.
    integer = F.when(as_text.rlike(r"\A-?[0-9]+\z"), F.expr(f"try_cast(cast({NOTE_ID} as string) as bigint)"))
    wrong = F.col(NOTE_ID).isNotNull() & integer.isNull()
    row = notes.agg(F.count(F.lit(1)).alias("notes"), F.count(F.when(wrong, 1)).alias("wrong")).first()
    assert row is not None  # an aggregation without grouping always gives a row
    if row.wrong:
        raise InputError(
            f"of {row.notes} notes, {row.wrong} have an id that is not an integer of 64 bits (the ids are "
            f"{kind.simpleString()}); an OMOP note_id is one. Name its column with --id-column, or number the notes."
        )
    return notes.withColumn(NOTE_ID, integer)


@step("while reading the notes")
def count_notes(notes: DataFrame) -> int:
    """How many notes there are; raises InputError, with counts, for null and duplicate ids, and for no notes at all."""
    from pyspark.sql import functions as F

    by_id = notes.groupBy(NOTE_ID).count()
    row = by_id.agg(
        F.sum("count").alias("notes"),
        F.sum(F.when(F.col(NOTE_ID).isNull(), F.col("count"))).alias("null_ids"),
        F.sum(F.when(F.col(NOTE_ID).isNotNull() & (F.col("count") > 1), F.col("count"))).alias("duplicates"),
        F.count(F.when(F.col(NOTE_ID).isNotNull() & (F.col("count") > 1), 1)).alias("duplicate_ids"),
    ).first()
    assert row is not None  # an aggregation without grouping always gives a row
    problems = []
    if row.null_ids:
        problems.append(f"{row.null_ids} notes have a null id")
    if row.duplicates:
        problems.append(f"{row.duplicates} notes share {row.duplicate_ids} ids with others")
    if problems:
        raise InputError(
            f"of {row.notes} notes, {' and '.join(problems)}; every note needs an id of its own: its results are found "
            "by it."
        )
    if not row.notes:
        raise InputError("there are no notes in the input. Check --input and --input-format.")
    return int(row.notes)


def default_partitions(n_notes: int, *, parallelism: int) -> int:
    """Enough tasks to keep every core busy to the end and to show progress, few enough that files do not get tiny."""
    wanted = max(PARTITIONS_PER_CORE * parallelism, -(-n_notes // NOTES_PER_PARTITION))
    return max(1, min(wanted, n_notes, MAX_PARTITIONS))


def _load(spark: SparkSession, source: NoteSource) -> DataFrame:
    from pyspark.errors import AnalysisException

    try:
        return _readers()[source.format](spark, source.path)
    except AnalysisException as error:
        # Spark's own message may show a part of a record.
        raise InputError(
            f"{source.path} cannot be read as {source.format} ({error.getErrorClass() or type(error).__name__}). "
            "Check --input and --input-format."
        ) from None


def _readers() -> dict[str, _Reader]:
    return {
        "parquet": lambda spark, path: spark.read.parquet(path),
        "csv": _read_csv,
        "jsonl": _read_jsonl,
        "text": _read_text_files,
        "delta": _read_delta,
    }


def _read_csv(spark: SparkSession, path: str) -> DataFrame:
    """RFC 4180: a header, quotes doubled inside quotes, line breaks inside quotes; every value is text as it stands."""
    return spark.read.csv(path, header=True, multiLine=True, quote='"', escape='"', enforceSchema=False)


def _read_jsonl(spark: SparkSession, path: str) -> DataFrame:
    from pyspark.sql import functions as F

    frame = spark.read.json(path, columnNameOfCorruptRecord=_BROKEN)
    if _BROKEN not in frame.columns:
        return frame
    # Spark adds the column where it met a broken record, and refuses a query of that column alone.
    others = [name for name in frame.columns if name != _BROKEN]
    if not others:
        raise InputError(f"no line of {path} is a JSON object. Check --input-format.")
    row = frame.agg(F.count(_BROKEN).alias("broken"), F.count(f"`{others[0]}`")).first()
    broken = row.broken if row else 0
    raise InputError(f"{broken} lines of {path} are not JSON objects. Mend or remove them: no note may get lost.")


def _read_text_files(spark: SparkSession, path: str) -> DataFrame:
    from pyspark.sql import functions as F

    files = spark.read.text(path, wholetext=True, recursiveFileLookup=True)
    # Spark 3 gives the name as in a URL (`ward%207.txt`); its url_decode takes a plus for a space.
    name = F.expr("url_decode(replace(_metadata.file_name, '+', '%2B'))")
    return files.select(name.alias(NOTE_ID), F.col("value").alias(TEXT))


def _read_delta(spark: SparkSession, path: str) -> DataFrame:
    check_delta(spark)
    return spark.read.format("delta").load(path)
