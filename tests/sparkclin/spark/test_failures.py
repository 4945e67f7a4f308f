"""What is said of exceptions that are not ours."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from py4j.protocol import Py4JNetworkError
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkclin.errors import InputError, StepError
from sparkclin.runs.sources.reading import reading
from sparkclin.spark.failures import in_task, in_udf, plain, step, unsafe_debug
from sparkclin.text.pieces import PieceEncoder

TEXT = "fever since Monday"


def broken(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        try:
            raise KeyError(TEXT)
        except KeyError as error:
            failure = ValueError(str(batch.to_pydict()))
            failure.add_note(TEXT)
            raise failure from error
    yield from ()


def shown(error: BaseException) -> str:
    """All that a traceback would show."""
    return "".join(traceback.format_exception(error))


def batches() -> Iterator[pa.RecordBatch]:
    return iter([pa.RecordBatch.from_pydict({"text": [TEXT]})])


def test_what_leaves_a_task_is_class_and_place() -> None:
    with pytest.raises(StepError, match=r"^ValueError in a task at .*\.py:\d+; --unsafe-debug shows what") as caught:
        list(in_task(broken)(batches()))
    assert TEXT not in shown(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_the_place_is_the_innermost_of_ours() -> None:
    with pytest.raises(StepError, match=r"^Exception in a task at sparkclin/text/pieces\.py:\d+; "):
        in_udf(PieceEncoder)(TEXT)


def test_an_error_of_ours_leaves_a_task_without_what_it_was_raised_of() -> None:
    def refused(_: object) -> Iterator[pa.RecordBatch]:
        try:
            raise KeyError(TEXT)
        except KeyError as error:
            raise InputError("3 notes cannot be read") from error
        yield

    with pytest.raises(InputError, match=r"^3 notes cannot be read$") as caught:
        list(in_task(refused)(batches()))
    assert TEXT not in shown(caught.value)


def test_in_unsafe_debug_nothing_is_changed() -> None:
    with unsafe_debug(), pytest.raises(ValueError, match=TEXT):
        list(in_task(broken)(batches()))
    with unsafe_debug(), pytest.raises(AnalysisException, match=TEXT), step("here"):
        raise AnalysisException(TEXT)


@pytest.mark.parametrize(
    ("error", "said"),
    [(AnalysisException(TEXT), "AnalysisException here; "), (Py4JNetworkError(TEXT), "Py4JNetworkError here; ")],
)
def test_what_spark_raises_leaves_as_class_and_step(error: Exception, said: str) -> None:
    with pytest.raises(StepError, match=f"^{said}") as caught, step("here"):
        raise error
    assert TEXT not in shown(caught.value)


def fill_in_python() -> None:
    Path("/dev/full").write_bytes(b"x")


def fill_in_java() -> None:
    SparkSession.active()._jvm.java.io.FileOutputStream("/dev/full").write(1)  # type: ignore[union-attr]


def fill_in_a_task() -> None:
    def full(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        fill_in_python()
        yield from batches

    SparkSession.active().range(1).mapInArrow(in_task(full), "id bigint").collect()


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("fill", [fill_in_python, fill_in_java, fill_in_a_task])
def test_a_full_disk_is_named_wherever_it_is_met(fill: Callable[[], None]) -> None:
    named = r"^NoSpaceLeft .*; a disk was full: make room for --output and in spark\.local"
    with pytest.raises(StepError, match=named), step("here"):
        fill()


@pytest.mark.usefixtures("spark")
def test_a_full_disk_is_no_fault_of_the_input() -> None:
    with pytest.raises(StepError, match=r"^NoSpaceLeft while the input was read; a disk was full"), reading("notes"):
        fill_in_java()


def test_what_the_file_system_raises_leaves_as_class_and_step() -> None:
    with pytest.raises(StepError, match=r"^FileNotFoundError here at .*; "), step("here"):
        Path(f"/nowhere/{TEXT}").read_text(encoding="utf-8")


def test_a_bug_of_ours_passes_a_step() -> None:
    with pytest.raises(KeyError), step("here"):
        raise KeyError(TEXT)


def test_of_an_exception_in_the_jvm_the_first_cause_is_named(spark: SparkSession) -> None:
    failing = spark.range(1).select(F.expr(f"raise_error('{TEXT}')"))
    with pytest.raises(StepError, match=r"^RuntimeException here; ") as caught, step("here"):
        failing.collect()
    assert TEXT not in shown(caught.value)


def test_of_an_exception_in_a_worker_python_s_class_is_named(spark: SparkSession) -> None:
    """One that was not guarded, such as a package that is missing there."""

    def missing(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import a_package_that_is_missing  # type: ignore[import-not-found]  # noqa: F401

        yield from batches

    with pytest.raises(StepError, match=r"^ModuleNotFoundError here at .*; a Python package is"), step("here"):
        spark.range(1).mapInArrow(missing, "id bigint").collect()  # type: ignore[arg-type]


def test_plain_keeps_the_kind_of_an_error_of_ours() -> None:
    assert repr(plain(InputError("3 notes"))) == "InputError('3 notes')"
