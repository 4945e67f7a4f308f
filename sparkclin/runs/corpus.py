"""Notes in: where they come from, and the checks on them before anything is computed."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sparkclin.errors import IncompleteError, InputError, OptionError
from sparkclin.runs.sources.csv import read_csv
from sparkclin.runs.sources.files import HIDDEN_FILES, InputFiles, check_unchanged, find_files
from sparkclin.runs.sources.formats import format_of
from sparkclin.runs.sources.jsonl import read_jsonl
from sparkclin.runs.sources.notes import SourceNotes
from sparkclin.runs.sources.places import Place, locate, locate_on_disk
from sparkclin.runs.sources.reading import reading
from sparkclin.runs.sources.tables import DELTA, check_no_delta, is_delta, later_versions, read_delta, read_parquet
from sparkclin.runs.sources.text import UTF_8, read_text
from sparkclin.schema import NOTE_ID, PAIR, PLAIN_ID, TEXT, named, shown_id
from sparkclin.spark.storage import local_path

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

PARQUET, CSV, TEXT_FILES = "parquet", "csv", "text"
INPUT_FORMATS = (PARQUET, CSV, "jsonl", TEXT_FILES, DELTA)

NOTES_PER_PARTITION = 200
PARTITIONS_PER_CORE = 4
MAX_PARTITIONS = 10_000

_READERS: dict[str, Callable[[SparkSession, NoteSource, InputFiles], SourceNotes]] = {
    PARQUET: read_parquet,
    CSV: read_csv,
    "jsonl": read_jsonl,
    TEXT_FILES: read_text,
}
_SHOWN_IDS = 3

LONG_NOTE = 500_000
"""Characters of a note that is named before the work begins: some 100 times as many as a discharge summary has. One
task reads all of it while the others may have nothing left to do."""


@dataclass(frozen=True, kw_only=True)
class NoteSource:
    """Where notes come from.

    `format` None goes by the names of the files. With `text` every file is a note, and its name is the id, or with
    `recursive` its path below the input. With `integer_ids` all ids must be integers of 64 bits, as OMOP's are; digits
    in a text, as CSV has them, are one. Each note is read with another text where `pair_column` says which, or with the
    same one, `pair_text`, for all. `hidden_files` says what is done with files that Spark passes over, one of
    HIDDEN_FILES. `encoding` is that of CSV and of files of text, `delimiter` that of CSV (None: a tab in files named
    .tsv, else a comma). `version` is that of a Delta table (None: the latest).

    Raises OptionError for a format, an encoding or a delimiter that is not known, and for what does not go together.
    """

    path: str
    format: str | None = None
    id_column: str = NOTE_ID
    text_column: str = TEXT
    integer_ids: bool = False
    pair_column: str | None = None
    pair_text: str | None = None
    recursive: bool = False
    hidden_files: str = "refuse"
    encoding: str = UTF_8
    delimiter: str | None = None
    version: int | None = None

    def __post_init__(self) -> None:
        if not self.path.strip():
            raise OptionError("--input is empty: name a file or a folder.")
        if self.pair_column is not None and (self.pair_text is not None or self.format == TEXT_FILES):
            raise OptionError(
                "a column of other texts was named: it goes neither with one text for all nor with files of text, "
                "which have no columns."
            )
        if self.pair_text is not None and not self.pair_text.strip():
            raise OptionError("the text that all notes are to be read with, such as --question, is empty.")
        if self.format not in (None, *INPUT_FORMATS):
            raise OptionError(f"there is no input format {self.format!r}: expected one of {', '.join(INPUT_FORMATS)}.")
        if self.hidden_files not in HIDDEN_FILES:
            raise OptionError(
                f"there is no --hidden-files {self.hidden_files!r}: expected one of {', '.join(HIDDEN_FILES)}."
            )
        object.__setattr__(self, "encoding", _encoding(self.encoding))
        if self.encoding != UTF_8 and self.format not in (None, CSV, TEXT_FILES):
            raise OptionError(f"--encoding is for {CSV} and {TEXT_FILES}, and the input is {self.format}.")
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _delimiter(self.delimiter))
            if self.format not in (None, CSV):
                raise OptionError(f"--delimiter is for {CSV}, and the input is {self.format}.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the id, the text and, where there is one, the pair."""
        return self.id_column, self.text_column, *([self.pair_column] if self.pair_column else [])


def _encoding(name: str) -> str:
    """Its usual name. Raises OptionError unless a byte of ASCII is always that character: lines and quotes are found
    before anything is decoded."""
    ascii_bytes = bytes(range(128)).replace(b"\\", rb"\\")  # two, as a codec of escapes warns of one before a bracket
    probe = ascii_bytes + rb"\u0041\x41\N{BULLET}.xn--bcher-kva"
    try:
        usual = codecs.lookup(name).name
        as_it_is = probe.decode(usual) == probe.decode("ascii") and not usual.startswith(("iso2022", "hz"))
    except (LookupError, UnicodeError, ValueError):
        as_it_is = False
    if not as_it_is:
        raise OptionError(f"--encoding {name!r} is not a known one in which ASCII is as it is: utf-8, cp1252…")
    return usual.replace("utf-8-sig", UTF_8)


def _delimiter(given: str) -> str:
    delimiter = "\t" if given == "\\t" else given
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise OptionError("--delimiter is one character, and neither a quote nor a line break. For a tab give \\t.")
    return delimiter


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The notes of a source, as (note_id, text) and, where it has such, pair; nothing of them is computed yet.

    `source` has the format that was found, and the version of a Delta table. `records` is how many notes the reader
    counts in the input. `not_read` names the files that are not read, or have nothing to read. `files` is None for
    Delta Lake.
    """

    source: NoteSource
    notes: DataFrame
    records: int
    location: str = ""
    not_read: tuple[str, ...] = ()
    files: InputFiles | None = None

    def check_unchanged(self) -> tuple[str, ...]:
        """Return the names of files, or of versions of a Delta table, that were added since the corpus was read: the
        notes do not include them. Raises InputError if files that are read have changed."""
        spark = self.notes.sparkSession
        if self.files is not None:
            return check_unchanged(spark, self.files)
        assert self.source.version is not None  # read_corpus() has pinned it
        return later_versions(spark, self.location, self.source.version)


def read_notes(spark: SparkSession, source: NoteSource) -> DataFrame:
    """The notes of read_corpus()."""
    return read_corpus(spark, source).notes


def read_corpus(spark: SparkSession, source: NoteSource) -> Corpus:
    """Finds all files, looks through those of CSV and JSONL once, and reads nothing else yet, but where ids are texts
    and must be integers.

    Raises InputError for an input without notes, files that would be passed over, a missing column, a text column that
    is not text, ids that are not what the source says, or records that cannot be read whole; and SetupError where Delta
    Lake is missing.
    """
    from pyspark.sql import functions as F

    source, files = _files_of(spark, source, place := locate(spark, source.path))
    if files is None:
        found = read_delta(spark, source, place.found[0].path)
        source = replace(source, version=found.version)
    else:
        found = _READERS[source.format or ""](spark, source, files)
    notes = found.notes
    if source.pair_text is not None:
        notes = notes.withColumn(PAIR, F.lit(source.pair_text))
    if source.integer_ids:
        with reading(source.path):
            notes = _with_integer_ids(notes)
    left = {*found.not_read, *(files.not_read if files else ())}
    return Corpus(
        source=source,
        notes=notes,
        records=found.records,
        location=place.found[0].path,
        not_read=tuple(sorted(left)),
        files=files,
    )


def look_at_disk(source: NoteSource) -> NoteSource:
    """What can be said without Spark of an input on this machine's disk: the source with its format, which stays open
    for a glob.

    Raises InputError, as read_corpus() does, for a place without notes, files that would be passed over, names that say
    no one format, and files that may not be read.
    """
    place = locate_on_disk(source.path)
    if place is None:
        return source
    source, files = _files_of(None, source, place)
    closed = [] if files is None else [file for file in files.read if not os.access(local_path(file.path), os.R_OK)]
    if closed:
        raise InputError(
            f"{len(closed)} files of {source.path} may not be read ({named([file.name for file in closed])}): look at "
            "their permissions."
        )
    return source


def _files_of(spark: SparkSession | None, source: NoteSource, place: Place) -> tuple[NoteSource, InputFiles | None]:
    """The source with its format, and the files to read; None for Delta Lake, whose log says which they are."""
    if is_delta(place):
        if source.format not in (None, DELTA):
            raise InputError(
                f"{source.path} is a Delta table, which may hold files that are no longer part of it. "
                f"Give --input-format {DELTA}."
            )
        source = replace(source, format=DELTA)
    if source.format == DELTA:
        if len(place.found) > 1:
            raise InputError(
                f"{source.path} matches {len(place.found)} paths, and a run reads one Delta table. Give the path of "
                "one."
            )
        return source, None
    files = find_files(spark, place, recursive=source.recursive, hidden_files=source.hidden_files)
    source = replace(source, format=source.format or format_of(files))
    if source.format == PARQUET:
        check_no_delta(files)
    return source, files


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


def count_corpus(corpus: Corpus, *, say: Callable[[str], None] | None = None) -> int:
    """How many notes there are; `say` is told of the long ones. Raises InputError as count_notes() does, and
    IncompleteError unless they are as many as the reader has counted."""
    n_notes = count_notes(corpus.notes, path=corpus.source.path, say=say)
    if n_notes != corpus.records:
        raise IncompleteError(
            f"{corpus.records} records are in {corpus.source.path}, and Spark read {n_notes} notes from them. Run "
            "again when nothing writes there, or copy the files to another folder and give that as --input."
        )
    return n_notes


def count_notes(notes: DataFrame, *, path: str = "the input", say: Callable[[str], None] | None = None) -> int:
    """How many notes there are; `say` is told which have more than LONG_NOTE characters, if any.

    Raises InputError, with counts and the first of those ids that may be shown, for ids that are null, not UTF-8 or
    not of one note alone; for no notes at all; and where the input at `path` cannot be read.
    """
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    by_id = notes.groupBy(NOTE_ID).agg(F.count(F.lit(1)).alias("count"), F.max(F.length(TEXT)).alias("length"))
    null = F.col(NOTE_ID).isNull()
    odd = ~_is_utf8(F.col(NOTE_ID)) if isinstance(notes.schema[NOTE_ID].dataType, T.StringType) else F.lit(False)
    double = ~null & (F.col("count") > 1)
    with reading(path):
        row = by_id.agg(
            F.sum("count").alias("notes"),
            F.sum(F.when(null, F.col("count"))).alias("null_ids"),
            F.sum(F.when(odd, F.col("count"))).alias("odd"),
            F.sum(F.when(double, F.col("count"))).alias("duplicates"),
            F.count(F.when(double, 1)).alias("duplicate_ids"),
            F.count(F.when(F.col("length") > LONG_NOTE, 1)).alias("long_notes"),
        ).first()
    assert row is not None  # an aggregation without grouping always gives a row
    counts = IdCounts(
        notes=row.notes or 0,
        null_ids=row.null_ids or 0,
        not_utf8=row.odd or 0,
        duplicates=row.duplicates or 0,
        duplicate_ids=row.duplicate_ids,
    )
    check_ids(counts, shown=lambda: such_as(_plain_ids(by_id.filter(double))))
    if not row.notes:
        raise InputError("there are no notes in the input. Check --input and --input-format.")
    if say and row.long_notes:
        say(_long_notes(by_id, n_notes=row.long_notes))
    return int(row.notes)


def _long_notes(by_id: DataFrame, *, n_notes: int) -> str:
    """Return a line on the long notes: how many there are, and the ids and lengths of the longest."""
    from pyspark.sql import functions as F

    as_text = F.col(NOTE_ID).cast("string").alias(NOTE_ID)
    longest = by_id.select(as_text, "length").orderBy(F.desc("length"), NOTE_ID).limit(min(n_notes, _SHOWN_IDS))
    ids = ", ".join(f"{shown_id(row[NOTE_ID])} ({row.length:,})" for row in longest.collect())
    return (
        f"notes of more than {LONG_NOTE:,} characters: {n_notes:,}, the longest with the id {ids}. "
        "--max-note-pieces leaves long notes out"
    )


def _is_utf8(column: Column) -> Column:
    """Decoding puts U+FFFD where bytes are not UTF-8, or would be a lone surrogate."""
    from pyspark.sql import functions as F

    content = column.cast("binary")
    return F.decode(content, "UTF-8").cast("binary") == content


def _plain_ids(ids: DataFrame) -> list[str]:
    """The first of them."""
    from pyspark.sql import functions as F

    shown = F.col(NOTE_ID).cast("string").alias(NOTE_ID)
    plain = ids.filter(F.col(NOTE_ID).cast("string").rlike(rf"\A{PLAIN_ID}\z")).orderBy(NOTE_ID).limit(_SHOWN_IDS)
    return [row[NOTE_ID] for row in plain.select(shown).collect()]


@dataclass(frozen=True, kw_only=True)
class IdCounts:
    """What is wrong with the ids of so many notes: `duplicates` notes share `duplicate_ids` ids."""

    notes: int
    null_ids: int = 0
    not_utf8: int = 0
    duplicates: int = 0
    duplicate_ids: int = 0


def check_ids(counts: IdCounts, *, shown: Callable[[], str]) -> None:
    """Raises InputError for ids that are null, not UTF-8 or not of one note alone; `shown` is said of the last."""
    problems = []
    if counts.null_ids:
        problems.append(f"{counts.null_ids} notes have a null id")
    if counts.not_utf8:
        problems.append(f"{counts.not_utf8} notes have an id that is not UTF-8")
    if counts.duplicates:
        problems.append(f"{counts.duplicates} notes share {counts.duplicate_ids} ids with others{shown()}")
    if problems:
        raise InputError(
            f"of {counts.notes} notes, {' and '.join(problems)}; every note needs an id of its own: its results are "
            "found by it."
        )


def such_as(ids: Sequence[str]) -> str:
    """The first ids that are plain; others may hold anything."""
    plain = [note_id for note_id in ids if re.fullmatch(PLAIN_ID, note_id)]
    return f" (such as {', '.join(plain[:_SHOWN_IDS])})" if plain else ""


def default_partitions(n_notes: int, *, parallelism: int) -> int:
    """Enough tasks to keep every core busy to the end and to show progress, few enough that files do not get tiny."""
    wanted = max(PARTITIONS_PER_CORE * parallelism, -(-n_notes // NOTES_PER_PARTITION))
    return max(1, min(wanted, n_notes, MAX_PARTITIONS))
