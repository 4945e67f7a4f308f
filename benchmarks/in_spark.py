"""What the contenders that run in Spark share: the session, reading rows, and writing what is found to nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.job import Job, Running
from benchmarks.tasks import Task
from sparkclin.schema import QUESTION
from sparkclin.spark.session import spark_session
from sparkclin.spark.settings import ENVIRONMENT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROW_SCHEMA = "note_id string, text string"
"""Given, so that no job of Spark's reads it from each file."""

SHOWN = ("spark.master", "spark.driver.memory", "spark.executor.memory", "spark.jsl.settings.onnx.intraOpNumThreads")


def open_session(job: Job, *, spark_nlp: bool = True) -> SparkSession:
    """As sparkclin's users get it, without Spark NLP's jars where a model needs none. oneDNN is on, for every
    contender."""
    spark = spark_session(
        master=job.master,
        app_name=f"benchmark {job.contender}",
        settings={
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": str(len(job.cpus)),
            "spark.driver.host": "127.0.0.1",
        },
        spark_nlp=spark_nlp,
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def running(
    spark: SparkSession, process: Callable[[DataFrame, str], DataFrame], *, done: str, settings: Mapping[str, str]
) -> Running:
    """A contender that is a function from a DataFrame of rows, and what they are of, to one with what is found in them.

    `done` is a condition in SQL that one row of what is found meets for each row that was read.
    """
    conf = {key: spark.conf.get(key) or "" for key in SHOWN}
    environment = {variable.key: variable.value for variable in ENVIRONMENT}
    return Running(
        read=lambda folder, workload: count_done(process(read_rows(spark, folder), workload), done=done),
        settings={**conf, **environment, **settings},
    )


def with_question(rows: DataFrame, task: Task) -> DataFrame:
    """The rows, for a task that has a question with a column of it."""
    from pyspark.sql import functions as F

    return rows.withColumn(QUESTION, F.lit(task.question)) if task.question else rows


def read_rows(spark: SparkSession, folder: Path) -> DataFrame:
    """(note_id, text), one partition per file; Spark by itself would put small files into one partition."""
    reader = spark.read.schema(ROW_SCHEMA)
    files = (reader.parquet(str(file)).coalesce(1) for file in sorted(folder.iterdir()))
    return reduce(lambda frame, other: frame.unionAll(other), files)


def count_done(found: DataFrame, *, done: str) -> int:
    """Compute all columns of all rows, keep none, and return how many meet the condition."""
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    seen = Observation("done")
    observed = found.observe(seen, F.count(F.when(F.expr(done), 1)).alias("rows"))
    observed.write.format("noop").mode("overwrite").save()
    return int(seen.get["rows"])
