"""What the contenders that run in Spark share: the session, reading rows, and embedding them into nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.job import Job, Running
from sparkclin.spark.session import spark_session
from sparkclin.spark.settings import ENVIRONMENT

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ROW_SCHEMA = "note_id string, text string"
"""Given, so that no job of Spark's reads it from each file."""

SHOWN = ("spark.master", "spark.driver.memory", "spark.executor.memory", "spark.jsl.settings.onnx.intraOpNumThreads")


def open_session(job: Job) -> SparkSession:
    """As sparkclin's users get it. oneDNN is on, for every contender."""
    spark = spark_session(
        master=job.master,
        app_name=f"benchmark {job.contender}",
        settings={
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": str(len(job.cpus)),
            "spark.driver.host": "127.0.0.1",
        },
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def running(
    spark: SparkSession, embed: Callable[[DataFrame], DataFrame], *, vector: Column, settings: Mapping[str, str]
) -> Running:
    """A contender that is a function from a DataFrame of rows to one with vectors.

    `vector` is null, or an empty array, in rows without a vector.
    """
    conf = {key: spark.conf.get(key) or "" for key in SHOWN}
    environment = {variable.key: variable.value for variable in ENVIRONMENT}
    return Running(
        embed=lambda folder: count_vectors(embed(read_rows(spark, folder)), vector=vector),
        settings={**conf, **environment, **settings},
    )


def read_rows(spark: SparkSession, folder: Path) -> DataFrame:
    """(note_id, text), one partition per file; Spark by itself would put small files into one partition."""
    reader = spark.read.schema(ROW_SCHEMA)
    files = (reader.parquet(str(file)).coalesce(1) for file in sorted(folder.iterdir()))
    return reduce(lambda frame, other: frame.unionAll(other), files)


def count_vectors(embedded: DataFrame, *, vector: Column) -> int:
    """Compute all columns of all rows, keep none, and return how many rows have a vector."""
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    seen = Observation("vectors")
    observed = embedded.observe(seen, F.count(F.when(F.size(vector) > 0, 1)).alias("rows"))
    observed.write.format("noop").mode("overwrite").save()
    return int(seen.get["rows"])
