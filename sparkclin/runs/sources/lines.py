"""The lines of files as bytes, in order, for readers that run in Spark's Python workers.

Spark's own source of text reads and decompresses them. It runs in a second session, in which files are not packed
together and a batch has many lines; the user's session is left as it is.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sparkclin.errors import InputError
from sparkclin.runs.sources.files import InputFile, InputFiles, check_listing, first_failing
from sparkclin.runs.sources.places import escaped, plain
from sparkclin.runs.sources.reading import reading
from sparkclin.spark.failures import in_task
from sparkclin.spark.session import MOST_OF_A_LINE, NO_LIMIT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LINES_AT_ONCE = 500
"""In a batch: lines of CSV are short, and those of JSONL are whole notes."""

SPLIT_BYTES = 128 * 1024**2
"""What a task reads of a file that may be split."""

_NO_LIMIT = 2**40
_MOST = 2**31 - 1
_READER = {
    "lineSep": "\n",
    "ignoreCorruptFiles": "false",
    "ignoreMissingFiles": "false",
    MOST_OF_A_LINE: NO_LIMIT,
}
"""What a session may say otherwise."""
_TASKS_PER_CORE = 16
_PLACE_BITS = 33
"""monotonically_increasing_id() has a row's number in its partition in so many bits."""

RECORDS = "records"

Batches = Iterable[pa.RecordBatch]
FileLines = Iterator[tuple[str | None, list[bytes]]]
"""Lines, without their ends, and the path where they begin a file, or a split of one."""


Count = Callable[[Batches, Counter[str]], Batches]
"""Passes batches of map_lines() on, and then says in `counted[RECORDS]` how many records they have.

The count tells whether the notes that a run reads are all notes, so it must not use what the run reads by: each_file(),
and the readers' own functions behind it."""


def each_file(batches: Batches) -> FileLines:
    """What a task has of map_lines(): its lines in order, a file (or a split of one) after the other."""
    for batch in batches:
        lines, paths = batch.column(0).to_pylist(), batch.column(1)
        starts = [] if paths.null_count == len(paths) else [n for n, path in enumerate(paths.to_pylist()) if path]
        for start, end in zip([0, *starts], [*starts, len(lines)], strict=True):
            if start < end:
                yield paths[start].as_py(), lines[start:end]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The figures of all tasks, and how many records there are, which was counted without each_file()."""

    found: list[dict[str, Any]]
    records: int


def map_lines(
    spark: SparkSession,
    files: InputFiles,
    function: Callable[[Batches], Batches],
    schema: str,
    *,
    split: bool,
) -> DataFrame:
    """What `function` makes of the lines, which each_file() gives it; where `split`, a file may be in several tasks."""
    lines = _lines(spark, files.path, split=split, recursive=files.recursive)
    check_listing(files, lines)
    if not split:
        _check_tasks(files, lines)
    n_tasks = _TASKS_PER_CORE * spark.sparkContext.defaultParallelism
    return _handed_over(spark, _placed(lines).coalesce(n_tasks).mapInArrow(in_task(function), schema))


def survey(
    spark: SparkSession,
    files: InputFiles,
    function: Callable[[FileLines], Iterator[dict[str, Any]]],
    *,
    count: Count,
    split: bool,
) -> Survey:
    """What `function` says of the lines, in figures, of all tasks; `count` counts the records.

    Raises InputError, with the file, where one cannot be read.
    """

    def told(batches: Batches) -> Iterator[pa.RecordBatch]:
        counted = Counter[str]()
        passing = iter(count(batches, counted))
        for summary in function(each_file(passing)):
            yield pa.RecordBatch.from_pydict({"summary": [json.dumps(summary)], "records": [0]})
        deque(passing, maxlen=0)  # to the end, wherever each_file() stops
        yield pa.RecordBatch.from_pydict({"summary": pa.nulls(1, pa.string()), "records": [counted[RECORDS]]})

    def fails(some: Sequence[InputFile]) -> bool:
        try:
            with reading(files.shown):
                _lines(spark, *(escaped(file.path) for file in some), split=split).selectExpr(
                    "sum(length(value))"
                ).collect()
        except InputError:
            return True
        return False

    try:
        with reading(files.shown):
            rows = map_lines(spark, files, told, "summary string, records bigint", split=split).collect()
    except InputError as error:
        culprit = first_failing(files.with_bytes, fails)
        raise InputError(str(error).replace(files.shown, plain(culprit.path), 1) if culprit else str(error)) from None
    return Survey(
        found=[json.loads(row.summary) for row in rows if row.summary is not None],
        records=sum(row.records for row in rows),
    )


def _lines(spark: SparkSession, *paths: str, split: bool, recursive: bool = False) -> DataFrame:
    from pyspark.sql import DataFrame

    jvm: Any = spark._jvm
    session = spark._jsparkSession.newSession()
    settings = {
        "spark.sql.files.maxPartitionBytes": SPLIT_BYTES if split else _NO_LIMIT,
        "spark.sql.files.openCostInBytes": _NO_LIMIT,  # a partition for each file, or split of one
        "spark.sql.files.maxPartitionNum": _MOST,
        "spark.sql.execution.arrow.maxRecordsPerBatch": LINES_AT_ONCE,
    }
    for key, value in settings.items():
        session.conf().set(key, str(value))
    reader = session.read().format("text")
    for key, said in {**_READER, "recursiveFileLookup": str(recursive).lower()}.items():
        reader = reader.option(key, said)
    return DataFrame(reader.load(jvm.PythonUtils.toSeq(list(paths))), spark)


def _check_tasks(files: InputFiles, lines: DataFrame) -> None:
    """Raises InputError unless each file is read by a task of its own: where it begins is known by that."""
    java: Any = lines._jdf
    n_tasks = java.queryExecution().toRdd().getNumPartitions()
    if n_tasks != len(files.with_bytes):
        raise InputError(
            f"Spark reads the {len(files.with_bytes)} files of {files.shown} in {n_tasks} tasks, and not each in its "
            "own. Look for spark.sql.files.… in the settings of the session."
        )


def _placed(lines: DataFrame) -> DataFrame:
    """Bytes, and the path beside the first line of each partition: beside all of them it would be half of the data."""
    number = f"monotonically_increasing_id() & {2**_PLACE_BITS - 1}L"
    placed = lines.selectExpr("cast(value as binary) as line", f"{number} as number", "_metadata.file_path as path")
    return placed.selectExpr("line", "if(number = 0, path, null) as path")


def _handed_over(spark: SparkSession, frame: DataFrame) -> DataFrame:
    """A DataFrame of the second session as one of the user's, planned with the settings of the second."""
    from pyspark.sql import DataFrame

    java: Any = frame._jdf
    rows = java.queryExecution().toRdd()
    return DataFrame(spark._jsparkSession.internalCreateDataFrame(rows, java.schema(), False), spark)
