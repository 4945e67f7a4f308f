"""What is said of an exception that is not ours: its class, and where it was raised. What it says itself may show note
text, and does not get into errors, logs or Spark's event log.

With unsafe_debug() all of it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from errno import EDQUOT, ENOSPC
from functools import partial
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, TypeVar

from sparkclin import errors
from sparkclin.errors import SparkclinError, StepError

if TYPE_CHECKING:
    import pyarrow as pa

    Batches = Iterator[pa.RecordBatch]

Result = TypeVar("Result")

NO_SPACE_LEFT = "NoSpaceLeft"

REMEDIES = {
    NO_SPACE_LEFT: "a disk was full: make room for --output and in spark.local.dir (by default $TMPDIR or /tmp), which "
    "Spark uses beside memory, or name other places",
    "JavaEnded": "the process of Java, where Spark runs, was killed or has crashed, often because the machine's memory "
    "was full: lower spark.driver.memory, or run fewer tasks at once, as with --master 'local[2]'",
    "ParquetDecodingException": "a Parquet file of the input is damaged: copy it again",
    "OutOfMemoryError": "Java's memory was full: raise spark.executor.memory, or spark.driver.memory in local mode",
    "ExecutorLostFailure": "an executor was lost, often because its machine's memory was full: raise "
    "spark.executor.memoryOverhead, or give an executor fewer cores",
    "ModuleNotFoundError": "a Python package is missing where the tasks run: install sparkclin and its packages on all "
    "machines, see docs/how-to/clusters.md",
    "EOFException": "a Python worker ended, often because the machine's memory was full: raise "
    "spark.executor.memoryOverhead, or run fewer tasks at once",
}
"""By the name of a class."""

_FULL = re.compile("No space left on device|Disk quota exceeded|QuotaExceededException")
"""What Linux and HDFS say of a full disk; Java has no class of its own for it."""

_unsafe_debug: ContextVar[bool] = ContextVar("unsafe_debug", default=False)


@contextmanager
def unsafe_debug(*, shown: bool = True) -> Iterator[None]:
    """While it holds, exceptions and logs are shown as they are, in tasks that begin in it too."""
    before = _unsafe_debug.set(shown)
    try:
        yield
    finally:
        _unsafe_debug.reset(before)


def shows_all() -> bool:
    """Whether unsafe_debug() holds."""
    return _unsafe_debug.get()


@contextmanager
def step(doing: str) -> Iterator[None]:
    """What Spark, Java or a file system raises inside leaves as StepError; `doing` names the step, as in `while reading
    the notes`.

    An error of ours that ended a Spark task leaves as itself.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, OSError) as error:
        if _unsafe_debug.get():
            raise
        raise ours(error) or _of_spark(error, doing) from None


def plain(error: Exception, doing: str = "") -> SparkclinError:
    """An error of ours as it is, without what it was raised of; another by its class and place."""
    if isinstance(error, SparkclinError):
        return type(error)(*error.args)
    frames = [(frame.filename, frame.lineno) for frame in extract_tb(error.__traceback__)]
    full = isinstance(error, OSError) and _is_full(error)
    return _step_error(NO_SPACE_LEFT if full else type(error).__name__, doing, _innermost(frames))


def in_task(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of Arrow batches for a task. What it raises leaves the worker as plain(): Spark writes an exception of
    a task, with its message, into the executor's log and the event log."""
    return function if _unsafe_debug.get() else partial(_batches, function)


def in_udf(function: Callable[..., Result]) -> Callable[..., Result]:
    """The same for a function of a row's values."""
    return function if _unsafe_debug.get() else partial(_value, function)


def _batches(function: Callable[[Batches], Batches], batches: Batches) -> Batches:
    try:
        yield from function(batches)
        return
    except Exception as error:  # noqa: BLE001  # none is lost: it is raised below
        failure = plain(error, "in a task")
    raise failure  # here it has no context to be shown


def _value(function: Callable[..., Result], *values: object) -> Result:
    try:
        return function(*values)
    except Exception as error:  # noqa: BLE001
        failure = plain(error, "in a task")
    raise failure


def ours(error: Exception) -> SparkclinError | None:
    """The error of ours that ended a Spark task, by what PySpark raises of it; None where it was none of ours."""
    found = re.search(r"^sparkclin\.errors\.(\w+): (.+)$", str(error), flags=re.MULTILINE)
    if found is None:
        return None
    kind: type[SparkclinError] = getattr(errors, found[1])
    return kind(found[2])


def _of_spark(error: Exception, doing: str) -> SparkclinError:
    if java_has_ended():
        return _step_error("JavaEnded", doing, "")
    if full := full_disk(error, doing):
        return full
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        return plain(error, doing)
    frames = re.findall(r'File "([^"\n]*)", line (\d+)', str(error))
    return _step_error(first_cause(error), doing, _innermost(frames))


def full_disk(error: Exception, doing: str) -> StepError | None:
    """What is said of it where a disk was full; None where none was. It is not the fault of what was read then."""
    return _step_error(NO_SPACE_LEFT, doing, "") if _is_full(error) else None


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT):
        return True
    said = [str(error), *(str(cause.toString()) for cause in _causes(error))]
    return any(map(_FULL.search, said))


def java_has_ended() -> bool:
    """Whether the JVM that this process has started, or was started by, is gone."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext

    jvm: Any = SparkContext._jvm
    try:
        return jvm is not None and not jvm.java.lang.System.nanoTime()
    except (Py4JError, OSError):
        return True


def first_cause(error: Exception) -> str:
    """The class of what began it all, in a Python worker or in the JVM."""
    said = str(error)
    # In a Python worker: the line below the last frame of a traceback.
    if found := re.findall(r"^  .*\n([\w.]+(?:Error|Exception))(?::|$)", said, flags=re.MULTILINE):
        return str(found[-1]).rpartition(".")[2]
    # What ended a task on another machine is known by its name only.
    if found := re.findall(r"(?:^Caused by: |Lost task [^\n]*?\): )([\w.$]+)", said, flags=re.MULTILINE):
        return str(found[-1]).rpartition(".")[2]
    causes = _causes(error)
    return str(causes[-1].getClass().getSimpleName()) if causes else type(error).__name__


def _causes(error: Exception) -> list[Any]:
    """Java's exception that one of py4j or PySpark stands for, its cause, and so on."""
    java: Any = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    found = []
    while java is not None:
        found.append(java)
        java = java.getCause()
    return found


def _step_error(name: str, doing: str, place: str) -> StepError:
    where = " ".join(filter(None, [doing, f"at {place}" if place else ""]))
    remedy = REMEDIES.get(name, "--unsafe-debug shows what it says, where note text may be seen")
    return StepError(f"{' '.join(filter(None, [name, where]))}; {remedy}.")


def _innermost(frames: Sequence[tuple[str, object]]) -> str:
    """The last of the frames, (file, line), in our code, such as `sparkclin/text/pieces.py:41`; "" where none is."""
    ours = [(file.rpartition("/sparkclin/"), line) for file, line in frames if file != __file__]
    places = [f"sparkclin/{file}:{line}" for (_, found, file), line in ours if found]
    return places[-1] if places else ""
