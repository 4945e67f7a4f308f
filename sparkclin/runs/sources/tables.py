"""Parquet and Delta Lake, whose columns have types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparkclin.errors import InputError
from sparkclin.runs.delta import check_delta
from sparkclin.runs.sources.files import (
    InputFile,
    InputFiles,
    check_folders,
    check_listing,
    first_failing,
)
from sparkclin.runs.sources.formats import advice_on_format
from sparkclin.runs.sources.notes import SourceNotes, check_columns
from sparkclin.runs.sources.places import Place, plain
from sparkclin.runs.sources.reading import reading
from sparkclin.schema import NOTE_ID, PAIR, TEXT
from sparkclin.spark import storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkclin.runs.corpus import NoteSource

_FOOTER_THREADS = "16"


def is_delta(place: Place) -> bool:
    """Whether an input is a folder with Delta Lake's log; raises InputError where that cannot be told."""
    if place.itself is None or not place.itself.is_folder:
        return False
    try:
        return storage.exists(f"{place.itself.path}/_delta_log")
    except OSError as error:
        raise InputError(f"{place.shown} cannot be looked into ({error}). Check that all of it may be read.") from None


def read_parquet(spark: SparkSession, source: NoteSource, files: InputFiles) -> SourceNotes:
    """Raises InputError where a file is empty, damaged or no Parquet, or its columns of notes are not as in the others:
    Spark would give nulls for what a file does not have."""
    check_folders(files, partitions=True)
    if empty := [file.path for file in files.read if not file.size]:
        raise InputError(
            f"{len(empty)} files of {files.shown} have no byte (first: {plain(empty[0])}): that is no Parquet. Write "
            "them again, or remove them."
        )
    _check_partitions(source, files)
    _check_footers(spark, source, files)
    options = {"recursiveFileLookup": files.recursive, "mergeSchema": False}
    with reading(files.shown):
        reader = spark.read.options(ignoreCorruptFiles=False, ignoreMissingFiles=False, **options)
        frame = reader.parquet(files.path)
        check_listing(files, frame)
        return SourceNotes(notes=table_notes(frame, source), records=frame.count())


def _check_partitions(source: NoteSource, files: InputFiles) -> None:
    """Raises InputError where folders are named after a column of notes: Spark would take what their names say instead
    of what the files have, and make the number 7 of `note_id=007`."""
    keys = {folder.partition("=")[0].lower() for file in files.read for folder in file.below.split("/")[:-1]}
    taken = [name for name in source.columns if name.lower() in keys]
    if taken and not files.recursive:
        raise InputError(
            f"folders of {files.shown} are named after the column {', '.join(taken)}, as in {taken[0]}=…: Spark would "
            "take their names for what the files have. Rename them, or give --recursive, which reads the files alone."
        )


def read_delta(spark: SparkSession, source: NoteSource, location: str) -> SourceNotes:
    """Delta Lake's log says which files there are. Raises SetupError where Delta Lake is missing."""
    check_delta(spark)
    with reading(source.path):
        frame = spark.read.format("delta").load(location)
        return SourceNotes(notes=table_notes(frame, source), records=frame.count())


def table_notes(frame: DataFrame, source: NoteSource) -> DataFrame:
    """The notes of a DataFrame, under the names that they have here. Raises InputError where a column is missing or is
    there twice, and for texts of another type than string."""
    from pyspark.sql import functions as F

    check_columns(source.path, source.columns, frame.columns)
    for column in source.columns[1:]:
        found = frame.schema[column].dataType.simpleString()
        if found not in ("string", "void"):
            raise InputError(f"column {column} of {source.path} is {found}, expected string.")
    columns = [F.col("`" + name.replace("`", "``") + "`") for name in source.columns]
    texts = [column.cast("string").alias(name) for column, name in zip(columns[1:], (TEXT, PAIR), strict=False)]
    return frame.select(columns[0].alias(NOTE_ID), *texts)


def _check_footers(spark: SparkSession, source: NoteSource, files: InputFiles) -> None:
    """The schema in each file's footer; they are read side by side in the driver."""
    jvm: Any = spark._jvm
    configuration = jvm.org.apache.hadoop.conf.Configuration(spark._jsc.hadoopConfiguration())
    configuration.set("parquet.metadata.read.parallelism", _FOOTER_THREADS)

    def footers(some: Sequence[InputFile]) -> Any:
        statuses = jvm.java.util.ArrayList()
        for file in some:
            path = jvm.org.apache.hadoop.fs.Path(file.path)
            # Only path and length count.
            statuses.add(jvm.org.apache.hadoop.fs.FileStatus(file.size, False, 1, 0, 0, path))
        with reading(files.shown):
            return jvm.org.apache.parquet.hadoop.ParquetFileReader.readAllFootersInParallel(
                configuration, statuses, True
            )

    def fails(some: Sequence[InputFile]) -> bool:
        try:
            footers(some)
        except InputError:
            return True
        return False

    try:
        found = footers(files.read)
    except InputError:
        culprit = first_failing(files.read, fails)
        if culprit is None:
            raise
        raise InputError(
            f"{plain(culprit.path)} is no whole Parquet file: it is cut off, damaged, or of another format. "
            f"{advice_on_format(files, 'parquet', otherwise='Copy it again, or check --input-format.')}"
        ) from None
    _compare(found, source, files)


def _compare(footers: Any, source: NoteSource, files: InputFiles) -> None:
    schemas: dict[str, dict[str, str]] = {}
    of_files: dict[str, dict[str, str]] = {}
    for footer in footers:
        schema = footer.getParquetMetadata().getFileMetaData().getSchema()
        shown = str(schema.toString())
        if shown not in schemas:
            schemas[shown] = _columns(schema, source.columns)
        of_files[str(footer.getFile().toString())] = schemas[shown]
    first_file, *others = sorted(of_files)
    first = of_files[first_file]
    unlike = [path for path in others if of_files[path] != first]
    if unlike:
        other = of_files[unlike[0]]
        said = "; ".join(
            f"{name} is {first.get(name, 'missing')} in the one, {other.get(name, 'missing')} in the other"
            for name in source.columns
            if other.get(name) != first.get(name)
        )
        raise InputError(
            f"{len(unlike)} of {len(of_files)} files of {files.shown} have other columns of notes than "
            f"{plain(first_file)} (first: {plain(unlike[0])}): {said}. Write them alike."
        )


def _columns(schema: Any, names: Sequence[str]) -> dict[str, str]:
    """The types of the columns that are there, such as `binary (STRING)`."""
    found = {}
    for field in schema.getFields():
        if str(field.getName()).lower() in {name.lower() for name in names}:
            found[str(field.getName())] = _type(field)
    return found


def _type(field: Any) -> str:
    """Whether it may be null makes no difference."""
    if not field.isPrimitive():
        return "a group"
    annotation = field.getLogicalTypeAnnotation()
    return str(field.getPrimitiveTypeName().toString()).lower() + (f" ({annotation.toString()})" if annotation else "")
