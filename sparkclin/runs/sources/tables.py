"""Parquet and Delta Lake, whose columns have types."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkclin.errors import InputError
from sparkclin.runs.delta import check_delta, latest_version
from sparkclin.runs.sources.files import (
    InputFile,
    InputFiles,
    check_folders,
    check_listing,
    first_failing,
)
from sparkclin.runs.sources.formats import advice_on_format
from sparkclin.runs.sources.notes import SourceNotes, check_columns
from sparkclin.runs.sources.places import Place, folders_above, plain
from sparkclin.runs.sources.reading import reading
from sparkclin.schema import NOTE_ID, PAIR, TEXT, named, printable
from sparkclin.spark import storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from sparkclin.runs.corpus import NoteSource

DELTA = "delta"
_LOG = "_delta_log"

_FOOTER_THREADS = "16"

VERIFY_CHECKSUMS = "parquet.page.verify-checksum.enabled"
"""Writers may give each page a checksum; no reader looks at them unless it is told."""


def is_delta(place: Place) -> bool:
    """Whether an input is a folder with Delta Lake's log; raises InputError where that cannot be told."""
    if place.itself is None or not place.itself.is_folder:
        return False
    try:
        return storage.exists(f"{place.itself.path}/{_LOG}")
    except OSError as error:
        raise InputError(f"{place.shown} cannot be looked into ({error}). Check that all of it may be read.") from None


def check_no_delta(files: InputFiles) -> None:
    """Raises InputError where Parquet files are those of a Delta table, in the input or around it: it may have files
    that are no longer part of it."""
    inside = [name for name in files.not_read if _LOG in name.split("/")]
    around = [folder for root in files.roots for folder in folders_above(root)]
    tables = [name.partition(_LOG)[0] or "." for name in inside] or [
        plain(folder) for folder in dict.fromkeys(around) if _has_log(folder)
    ]
    if tables:
        raise InputError(
            f"{files.shown} has files of a Delta table (of {printable(tables[0])}), which may hold files that are no "
            f"longer part of it. Give the table's own path, and --input-format {DELTA}."
        )


def _has_log(folder: str) -> bool:
    """What may not be looked into is left alone: a user may see a part of a store only."""
    with suppress(OSError):
        return storage.exists(f"{folder}/{_LOG}")
    return False


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
    footers = _check_footers(spark, source, files)
    options = {"recursiveFileLookup": files.recursive, VERIFY_CHECKSUMS: True}
    with reading(files.shown):
        reader = spark.read.options(ignoreCorruptFiles=False, ignoreMissingFiles=False, **options)
        frame = reader.schema(_schema_of(spark, footers.schema)).parquet(files.path)
        check_listing(files, frame)
        notes = table_notes(frame, source)
    return SourceNotes(
        notes=notes,
        records=sum(footers.records.values()),
        not_read=files.without_records({path for path, rows in footers.records.items() if rows}),
    )


@dataclass(frozen=True, kw_only=True)
class _Footers:
    """How many `records` each file has, by its path as in messages, and the `schema` in the first file, Parquet's."""

    records: Mapping[str, int]
    schema: Any


def _schema_of(spark: SparkSession, schema: Any) -> StructType:
    """Of what the files have. Spark itself would believe a schema that was written beside it: in the metadata of a
    footer, or in a file `_common_metadata`, which stay as they were where columns were changed by another writer."""
    from pyspark.sql.types import StructType

    jvm: Any = spark._jvm
    java: Any = spark._jsparkSession
    parquet = jvm.org.apache.spark.sql.execution.datasources.parquet
    found = parquet.ParquetToSparkSchemaConverter(java.sessionState().conf()).convert(schema)
    return StructType.fromJson(json.loads(found.json()))


def _check_partitions(source: NoteSource, files: InputFiles) -> None:
    """Raises InputError where files are in folders of other keys than others, or in none: Spark would read a part of
    them. And where folders are named after a column of notes: Spark would take what their names say instead of what the
    files have, and make the number 7 of `note_id=007`."""
    if files.recursive:
        return
    keys = {file.name: _keys(file) for file in files.read}
    if unlike := [name for name in keys if keys[name] != keys[files.read[0].name]]:
        raise InputError(
            f"{len(unlike)} of {len(keys)} files of {files.shown} are in folders of other keys (key=value) than "
            f"{named([files.read[0].name])} ({named(unlike)}): Spark would read a part of them. Move them, or give "
            "--recursive, which reads the files alone."
        )
    taken = [name for name in source.columns if name.lower() in {key.lower() for key in keys[files.read[0].name]}]
    if taken:
        raise InputError(
            f"folders of {files.shown} are named after the column {', '.join(taken)}, as in {taken[0]}=…: Spark would "
            "take their names for what the files have. Rename them, or give --recursive, which reads the files alone."
        )


def _keys(file: InputFile) -> tuple[str, ...]:
    """Those of the folders below the input that it is in, as Spark writes them."""
    return tuple(folder.partition("=")[0] for folder in file.below.split("/")[:-1])


def read_delta(spark: SparkSession, source: NoteSource, location: str) -> SourceNotes:
    """Read one version of a Delta table: the source's, or else the latest. Without a version, every action on the notes
    would read the latest one again. Raises SetupError if Delta Lake is missing."""
    check_delta(spark)
    with reading(source.path):
        version = latest_version(spark, location) if source.version is None else source.version
        frame = spark.read.format("delta").option("versionAsOf", version).load(location)
        return SourceNotes(notes=table_notes(frame, source), records=frame.count(), version=version)


def later_versions(spark: SparkSession, location: str, version: int) -> tuple[str, ...]:
    """Return the names of a Delta table's versions after `version`, as in `version 8`."""
    with reading(location):
        return tuple(f"version {later}" for later in range(version + 1, latest_version(spark, location) + 1))


def table_notes(frame: DataFrame, source: NoteSource) -> DataFrame:
    """The notes of a DataFrame, under the names that they have here. Raises InputError where a column is missing or is
    there twice, and for texts of another type than string."""
    from pyspark.sql import functions as F

    check_columns(source.path, source.columns, frame.columns)
    id_type = frame.schema[source.id_column].dataType.typeName()
    if id_type in ("array", "map", "struct"):
        raise InputError(
            f"column {source.id_column} of {source.path} is {id_type}: an id is one value of its own. Choose another "
            "--id-column."
        )
    for column in source.columns[1:]:
        found = frame.schema[column].dataType.simpleString().partition("<")[0]  # a struct's fields have names
        if found not in ("string", "void"):
            raise InputError(f"column {column} of {source.path} is {found}, expected string.")
    columns = [F.col("`" + name.replace("`", "``") + "`") for name in source.columns]
    texts = [column.cast("string").alias(name) for column, name in zip(columns[1:], (TEXT, PAIR), strict=False)]
    return frame.select(columns[0].alias(NOTE_ID), *texts)


def _check_footers(spark: SparkSession, source: NoteSource, files: InputFiles) -> _Footers:
    """Compares the schemas in the files' footers, which are read side by side in the driver."""
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
                configuration, statuses, False
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
    metadata = {str(footer.getFile().toString()): footer.getParquetMetadata() for footer in found}
    _compare({path: of_file.getFileMetaData() for path, of_file in metadata.items()}, source, files)
    rows = dict.fromkeys((plain(file.path) for file in files.read), 0)
    for path, of_file in metadata.items():
        rows[plain(path)] += sum(int(block.getRowCount()) for block in of_file.getBlocks())
    return _Footers(records=rows, schema=metadata[min(metadata)].getFileMetaData().getSchema())


def _compare(metadata: Mapping[str, Any], source: NoteSource, files: InputFiles) -> None:
    schemas: dict[str, dict[str, str]] = {}
    of_files: dict[str, dict[str, str]] = {}
    for path, of_file in metadata.items():
        schema = of_file.getSchema()
        shown = str(schema.toString())
        if shown not in schemas:
            schemas[shown] = _columns(schema, source.columns)
        of_files[path] = schemas[shown]
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
