"""What goes wrong while input is read, in one line: what Spark and the JVM say of it may show a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparkclin.errors import InputError

_REMEDIES = {
    "EOFException": "A compressed file is cut off or damaged: copy it again.",
    "ZipException": "A compressed file is damaged, or is none: copy it again, or name it without .gz.",
    "FileNotFoundException": "A file went away while it was read: run again when nothing changes there.",
    "AccessControlException": "It may not be read: look at its permissions.",
}


@contextmanager
def reading(path: str, *, remedy: str = "Check --input and --input-format.") -> Iterator[None]:
    """Raises InputError, with the class of the first cause, the path and a remedy, for what Spark and the JVM raise.

    An error of ours that was raised in a task passes, for errors_of_tasks().
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        if "sparkclin.errors." in str(error):
            raise
        kind = _kind(error)
        raise InputError(f"{path} cannot be read ({kind}). {_REMEDIES.get(kind, remedy)}") from None


def _kind(error: Any) -> str:
    """The class of the first cause in the JVM, else Spark's own class of errors, or Python's."""
    cause = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    if cause is not None:
        return str(cause.getClass().getSimpleName())
    return getattr(error, "getErrorClass", lambda: None)() or type(error).__name__
