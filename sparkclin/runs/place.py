"""The place of a run's output, which is whole or not there on every file system.

Where a folder can be renamed in one step (the local disk, HDFS), rows are made in a hidden sibling of the output, and
the folder takes the output's name when they have been checked. Object stores have no such step: there the rows lie in
their place from the start, beside a file that no reader of Parquet gets past, which is removed last.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from sparkclin.errors import IncompleteError, InputError, masked
from sparkclin.runs.delta import check_delta
from sparkclin.runs.report import JSON_FILE
from sparkclin.runs.sink import Sink
from sparkclin.runs.sources.places import HIDDEN, check_outside
from sparkclin.schema import printable
from sparkclin.spark import storage
from sparkclin.spark.interrupts import settled

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RENAMING = frozenset({"file", "hdfs", "viewfs", "webhdfs", "swebhdfs"})
"""The schemes of file systems that rename a folder in one step."""

ROWS, LOCK = "rows", "lock"

UNIQUE_DIGITS = 12
"""Of the folder where rows are made."""

GUARD_FILE = "UNFINISHED.parquet"
GUARD = "The run that writes this output has not finished. If none is running, remove the folder, or run it again.\n"

WILDCARDS = frozenset("[]{}*?")


def check_place(spark: SparkSession, sink: Sink, *, source: str = "") -> None:
    """Says before hours of work what would be said after them.

    Raises InputError where something is at the sink's path already, where it is in the input, `source`, or cannot be
    reached or read again; and SetupError where Delta Lake is missing.
    """
    if sink.format == "delta":
        check_delta(spark)
    check_location(sink, partial(storage.as_spark_means, spark), source=source)
    location = storage.as_spark_means(spark, sink.path)
    if not storage.is_remote(location) and not storage.has_name(storage.encoding_of_names(spark), location):
        raise InputError(f"Java cannot write the name {sink.path}. Start with LC_ALL=C.UTF-8, or choose another.")
    if source:
        parent, prefix = _beside_names(location)
        check_outside(spark, source, location, f"{parent}/{prefix}0")


def check_location(sink: Sink, locate: Callable[[str], str], *, source: str = "") -> None:
    """The same but for Delta Lake. `locate` makes locations of paths; with storage.as_url() that needs no session."""
    name = sink.path.rstrip("/").rpartition("/")[2]
    if not name.strip():
        raise InputError(
            f"the output {sink.path!r} has no name: give --output the path of a folder that is to be made."
        )
    if name.startswith(HIDDEN):
        raise InputError(
            f"the name of {sink.path} begins with _ or a dot: Spark passes over it. Choose another --output."
        )
    if WILDCARDS & set(sink.path):
        raise InputError(
            f"{sink.path} has one of the characters {' '.join(sorted(WILDCARDS))}, which Spark takes for a pattern "
            "when it reads the output. Choose another --output."
        )
    with _writing(sink.path):
        location = locate(sink.path)
        taken = storage.is_taken(location)
        if not taken and not storage.is_remote(location):
            _check_parent(storage.local_path(location))
    with suppress(OSError):  # what is wrong with the input is said when it is looked for
        if source and storage.is_within(location, locate(source)):
            raise InputError(f"{sink.path} is in the input, where the next run would find it. Choose another --output.")
    if taken and not is_unfinished(location):
        _remove_left(*_beside_names(location))
        raise InputError(f"{sink.path} exists already; nothing is overwritten. Choose another --output.")


def _check_parent(path: Path) -> None:
    """Raises OSError where no folder can be made at `path`, or in what is there of the folders above it; and InputError
    where there is no room for the longer name that it has at first."""
    present = next(parent for parent in path.parents if parent.exists())
    if not present.is_dir():
        raise NotADirectoryError(f"{present} is no folder")
    if not os.access(present, os.W_OK | os.X_OK):
        raise PermissionError(f"{present} may not be written to")
    length = len(os.fsencode(path.name))
    most = os.pathconf(present, "PC_NAME_MAX") - len(_beside_names("")[1]) - UNIQUE_DIGITS
    if length > most:
        raise InputError(
            f"the name of the output has {length} bytes: at most {most} are possible in {present}, as the rows have a "
            "longer name until they are whole. Choose a shorter --output."
        )


def check_space(spark: SparkSession, sink: Sink, *, least_bytes: int) -> None:
    """Raises InputError where there is less space than the output takes at the least."""
    location = storage.as_spark_means(spark, sink.path).rstrip("/")
    parent = location.rpartition("/")[0] + "/"
    with _writing(location):
        free = storage.free_bytes(parent)
    if free < least_bytes:
        raise InputError(
            f"the output takes {least_bytes / 1e6:,.0f} MB or more, and {parent} has {free / 1e6:,.0f} MB left. "
            "Choose another --output."
        )


@contextmanager
def whole_or_nothing(spark: SparkSession, sink: Sink, *, tables: Sequence[str] = ()) -> Iterator[Sink]:
    """Where to write what is to be at `sink`. It appears there when the block is left, and nothing does where the block
    raises. What a killed run has left is removed first, or named where it may be another's work.

    `tables` are the folders of the output that readers open by themselves. Raises InputError where the place cannot be
    written, and IncompleteError where what is whole cannot take its name: it is kept then.
    """
    location = storage.as_spark_means(spark, sink.path).rstrip("/")
    if location.partition(":")[0] in RENAMING:
        with _beside(location) as folder, settled(spark.sparkContext):
            yield replace(sink, path=folder)
    else:
        with _guarded(location, tables), settled(spark.sparkContext):
            yield replace(sink, path=location)


def is_unfinished(location: str) -> bool:
    """Whether what is there was left by a run that was killed, or is being written."""
    return storage.exists(f"{location}/{GUARD_FILE}")


@contextmanager
def _beside(location: str) -> Iterator[str]:
    parent, prefix = _beside_names(location)
    with _writing(location):
        _remove_left(parent, prefix)
        folder = f"{parent}/{prefix}{uuid4().hex[:UNIQUE_DIGITS]}"
        storage.make_folder(folder)
    lock = nullcontext() if storage.is_remote(folder) else _locked(storage.local_path(folder) / LOCK)
    with lock:
        try:
            yield f"{folder}/{ROWS}"
        except BaseException:
            _remove(folder)
            raise
        _publish(f"{folder}/{ROWS}", location)
        _remove(folder)


def _beside_names(location: str) -> tuple[str, str]:
    """The folder of an output, and how the names of those begin where its rows are made."""
    parent, _, name = location.rstrip("/").rpartition("/")
    return parent, f".{name}.unfinished-"


def _publish(rows: str, location: str) -> None:
    try:
        storage.rename(rows, location)
    except OSError as error:
        raise IncompleteError(
            f"the rows are whole, but could not be renamed to {location} ({error}). They are in {rows}: move them."
        ) from None


def _remove_left(parent: str, prefix: str) -> None:
    """What killed runs have left of the same output; rows that are whole are named instead. A run on this disk is known
    by its lock, which ended with it."""
    if not storage.exists(f"{parent}/"):
        return
    for name in filter(lambda name: name.startswith(prefix), storage.list_names(f"{parent}/")):
        folder = f"{parent}/{name}"
        if _is_whole(folder):
            _say(f"{folder}/{ROWS} are the whole rows of a run that was ended before they had their name")
        elif storage.is_remote(folder):
            _say(f"{folder} was left by a run that was ended, or belongs to one that runs now")
        else:
            with suppress(BlockingIOError), _locked(storage.local_path(folder) / LOCK):
                _remove(folder)


def _say(left: str) -> None:
    print(f"{printable(masked(left))}: move or remove it", file=sys.stderr)


def _is_whole(folder: str) -> bool:
    """The report is written when all else has been checked."""
    return storage.exists(f"{folder}/{ROWS}/{JSON_FILE}")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Raises BlockingIOError where another process has the lock; the kernel frees that of a process that ends."""
    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextmanager
def _guarded(location: str, tables: Sequence[str]) -> Iterator[None]:
    folders = [location, *(f"{location}/{table}" for table in tables)]
    with _writing(location):
        if is_unfinished(location):
            storage.delete(location)
        for folder in folders:
            storage.make_folder(folder)
            storage.write_text(f"{folder}/{GUARD_FILE}", GUARD)
    try:
        yield
    except BaseException:
        _remove(location)
        raise
    for folder in reversed(folders):
        storage.delete(f"{folder}/{GUARD_FILE}")


@contextmanager
def _writing(location: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"nothing can be written to {location} ({error}). Check --output.") from None


def _remove(folder: str) -> None:
    """What cannot be removed now is removed by the next run."""
    with suppress(Exception):
        storage.delete(folder)
