"""Files of text: each is a note, whose id is the file's name, or its path below the input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from sparkclin.errors import InputError
from sparkclin.runs.sources.files import InputFiles, check_folders, check_listing
from sparkclin.runs.sources.formats import check_compression
from sparkclin.runs.sources.notes import SourceNotes
from sparkclin.runs.sources.places import without_scheme
from sparkclin.runs.sources.reading import reading
from sparkclin.schema import NOTE_ID, TEXT
from sparkclin.spark.failures import in_task

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from sparkclin.runs.corpus import NoteSource

UTF_8 = "utf-8"

_REMEDY = (
    "Check --input, and that the Spark setting spark.sql.sources.useV1SourceList names text, as it does by default."
)
"""The other source, which Spark has for text beside, does not say of what file a text is."""

# Of bytes: Spark's substring() of a text goes by what the first byte of each character says.
_WITHOUT_MARK = (
    "if(startswith(cast(value as binary), X'EFBBBF'), cast(substring(cast(value as binary), 4) as string), value)"
)


def read_text(spark: SparkSession, source: NoteSource, files: InputFiles) -> SourceNotes:
    """The notes; without another encoding their bytes are as they lie there, without the mark of UTF-8 that a file may
    begin with. A file without a byte is an empty note.

    Raises InputError, with a count, for files that are not in the encoding said.
    """
    from pyspark.sql import functions as F

    check_folders(files)
    check_compression(files)
    options = {"wholetext": True, "recursiveFileLookup": files.recursive}
    with reading(files.shown, remedy=_REMEDY):
        reader = spark.read.options(ignoreCorruptFiles=False, ignoreMissingFiles=False, **options)
        frame = reader.format("text").load(files.path)
        check_listing(files, frame)
        value = "value" if source.encoding != UTF_8 else _WITHOUT_MARK
        notes = frame.select(_id_of(files).alias(NOTE_ID), F.expr(value).alias(TEXT))
        if source.encoding != UTF_8:
            notes = _decoded(notes, source.encoding, files)
        if empty := [(_name(files, file.name), "") for file in files.read if not file.size]:
            notes = notes.unionByName(spark.createDataFrame(empty, notes.schema))
    return SourceNotes(notes=notes, records=len(files.read))


def _id_of(files: InputFiles) -> Column:
    from pyspark.sql import functions as F

    # Spark 3 gives the path as in a URL (`ward%207.txt`); its url_decode takes a plus for a space.
    path = F.expr("url_decode(replace(_metadata.file_path, '+', '%2B'))")
    if not files.recursive:
        return F.substring_index(path, "/", -1)
    below = F.regexp_replace(path, "^[A-Za-z][A-Za-z0-9+.-]*:(//[^/]*)?", "")
    return below.substr(len(without_scheme(files.base)) + 2, 2**31 - 1)


def _name(files: InputFiles, name: str) -> str:
    return name if files.recursive else name.rpartition("/")[2]


def _decoded(notes: DataFrame, encoding: str, files: InputFiles) -> DataFrame:
    def decoded(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            texts = [_text_of(text, encoding) for text in batch.column(TEXT).to_pylist()]
            yield pa.RecordBatch.from_arrays([batch.column(NOTE_ID), pa.array(texts, pa.string())], [NOTE_ID, TEXT])

    made = notes.selectExpr(NOTE_ID, f"cast({TEXT} as binary) as {TEXT}").mapInArrow(in_task(decoded), notes.schema)
    with reading(files.shown):
        broken = made.filter(made[TEXT].isNull()).count()
    if broken:
        raise InputError(f"{broken} of {len(files.read)} files of {files.shown} are not {encoding}. Check --encoding.")
    return made


def _text_of(text: bytes, encoding: str) -> str | None:
    try:
        return text.decode(encoding)
    except UnicodeDecodeError:
        return None
