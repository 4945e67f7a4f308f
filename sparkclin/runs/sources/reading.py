"""What goes wrong while input is read, in one line: what Spark and the JVM say of it may show a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sparkclin.errors import InputError
from sparkclin.spark.failures import first_cause, full_disk, ours, shows_all

_REMEDIES = {
    "EOFException": "A compressed file is cut off or damaged: copy it again.",
    "IOException": "If it is compressed, it is damaged or has more behind its end: copy it again.",
    "ZipException": "A compressed file is damaged, or is none: copy it again, or name it without .gz.",
    "FileNotFoundException": "A file went away while it was read: run again when nothing changes there.",
    "AccessControlException": "It may not be read: look at its permissions.",
}


@contextmanager
def reading(path: str, *, remedy: str = "Check --input and --input-format.") -> Iterator[None]:
    """Raises InputError, with the class of the first cause, the path and a remedy, for what Spark and the JVM raise;
    StepError where a disk was full.

    An error of ours that was raised in a task leaves as itself.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        if shows_all():
            raise
        if known := ours(error) or full_disk(error, "while the input was read"):
            raise known from None
        kind = getattr(error, "getErrorClass", lambda: None)() or first_cause(error)
        told = _REMEDIES.get(kind, remedy)
        raise InputError(f"{path} cannot be read by Spark ({kind}). {told}") from None
