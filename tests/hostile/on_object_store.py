"""Outputs on an object store: tests that need a JVM with the jars for `s3a://`, run by test_object_store.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pyarrow.fs import FileSelector, S3FileSystem
from pyspark.sql import SparkSession

import sparkclin
from sparkclin.errors import IncompleteError, InputError
from sparkclin.runs import claims
from sparkclin.runs.place import check_place, whole_or_nothing
from sparkclin.runs.sink import Sink, read_rows, write_rows
from sparkclin.runs.sources import places
from testkit.s3 import s3_server

BUCKET = "notes"


@pytest.fixture(scope="session")
def files() -> Iterator[S3FileSystem]:
    os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    with s3_server() as server:
        os.environ["STORE"] = server.url
        files = server.file_system()
        files.create_dir(BUCKET)
        yield files


@pytest.fixture(scope="session")
def spark(files: S3FileSystem) -> SparkSession:  # noqa: ARG001
    return sparkclin.spark_session(
        master="local[2]",
        spark_nlp=False,
        settings={
            "spark.driver.extraClassPath": f"{os.environ['JARS']}/*",
            "spark.hadoop.fs.s3a.endpoint": os.environ["STORE"],
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.ui.enabled": "false",
        },
    )


@pytest.fixture
def sink(request: pytest.FixtureRequest) -> Sink:
    return Sink(path=f"s3a://{BUCKET}/{request.node.name}/out")


def names(files: S3FileSystem, sink: Sink, *, above: bool = False) -> list[str]:
    """The names of all objects of an output, or of the folder above it."""
    folder = sink.path.removeprefix("s3a://")
    selector = FileSelector(folder.rpartition("/")[0] if above else folder, recursive=True, allow_not_found=True)
    return sorted(info.base_name for info in files.get_file_info(selector) if info.is_file)


def fail(spark: SparkSession, sink: Sink) -> None:
    with whole_or_nothing(spark, sink) as output:
        write_rows(spark.range(3), output)
        raise ValueError("half-way")


def test_a_second_run_is_refused_and_leaves_the_first_alone(spark: SparkSession, sink: Sink) -> None:
    with whole_or_nothing(spark, sink, tables=("spans",)) as output:
        write_rows(spark.range(10), output.within("spans"))
        with pytest.raises(InputError, match=r"another run is writing s3a://.*/out: process \d+ on "):
            fail(spark, sink)
        assert read_rows(spark, output.within("spans")).count() == 10
    assert spark.read.parquet(f"{sink.path}/spans").count() == 10


def test_a_run_that_starts_after_another_has_published_leaves_it_alone(spark: SparkSession, sink: Sink) -> None:
    check_place(spark, sink)  # the second run looks before the first has begun
    with whole_or_nothing(spark, sink) as output:
        write_rows(spark.range(10), output)
    with pytest.raises(InputError, match="exists already"):
        fail(spark, sink)
    assert spark.read.parquet(sink.path).count() == 10


def test_a_finished_run_leaves_its_rows_alone(spark: SparkSession, sink: Sink, files: S3FileSystem) -> None:
    with whole_or_nothing(spark, sink) as output:
        write_rows(spark.range(1), output)
        assert [name for name in names(files, sink, above=True) if name.startswith(".out.run-")]
    assert all(name == "_SUCCESS" or name.startswith("part-") for name in names(files, sink, above=True))


def test_a_failed_run_leaves_nothing(spark: SparkSession, sink: Sink, files: S3FileSystem) -> None:
    with pytest.raises(ValueError, match="half"):
        fail(spark, sink)
    assert names(files, sink, above=True) == []


def test_a_run_that_was_taken_over_before_it_writes_leaves_the_other_alone(
    spark: SparkSession, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that is suspended right after it has claimed the output."""
    original = places.folders_above
    with ExitStack() as other:

        def take_over(location: str) -> Iterator[str]:
            monkeypatch.setattr("sparkclin.runs.place.folders_above", original)
            with monkeypatch.context() as late:
                late.setattr(claims, "STALE_AFTER_S", -1.0)
                write_rows(spark.range(5), other.enter_context(whole_or_nothing(spark, sink)))
            return original(location)

        monkeypatch.setattr("sparkclin.runs.place.folders_above", take_over)
        with pytest.raises(IncompleteError, match="another run has taken over"), whole_or_nothing(spark, sink):
            pass
    assert spark.read.parquet(sink.path).count() == 5


def test_a_run_that_was_taken_over_removes_nothing_of_the_other(
    spark: SparkSession, sink: Sink, files: S3FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a suspended one, which comes back."""

    def take_over() -> None:
        with monkeypatch.context() as late:
            late.setattr(claims, "STALE_AFTER_S", -1.0)
            with whole_or_nothing(spark, sink) as output:
                write_rows(spark.range(5), output)

    def work() -> None:
        with whole_or_nothing(spark, sink) as output:
            write_rows(spark.range(10), output)
            take_over()

    with pytest.raises(IncompleteError, match="another run has taken over"):
        work()
    assert spark.read.parquet(sink.path).count() == 5
    assert not [name for name in names(files, sink, above=True) if name.startswith(".out")]
