"""The location of a run's output: a finished run publishes all of it, a failed run leaves none of it.

On file systems that rename a folder in one step (the local disk, HDFS), a run writes into a hidden folder next to the
output. Once the rows are verified, that folder takes the output's name. Object stores have no such step. There a run
writes into the output from the start, together with a guard file that no reader of Parquet accepts. The run deletes
that file last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sparkclin.errors import IncompleteError, InputError
from sparkclin.runs.claims import Claim, claimed, names_of_traces, remove_unlocked
from sparkclin.runs.delta import check_delta
from sparkclin.runs.leftovers import clear, clear_folders, is_whole
from sparkclin.runs.sink import Sink
from sparkclin.runs.sources.places import HIDDEN, check_outside, folders_above
from sparkclin.spark import storage
from sparkclin.spark.interrupts import settled

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RENAMING = frozenset({"file", "hdfs", "viewfs", "webhdfs", "swebhdfs"})
"""The schemes of file systems that rename a folder in one step."""

GUARD_FILE = "UNFINISHED.parquet"
GUARD = "The run that writes this output has not finished. If none is running, remove the folder, or run it again.\n"

WILDCARDS = frozenset("[]{}*?")


def check_place(spark: SparkSession, sink: Sink, *, source: str = "") -> None:
    """Check the output before hours of work.

    Raises InputError if the sink's path exists, is in the input `source`, or cannot be reached or read again, and
    SetupError if Delta Lake is missing.
    """
    if sink.format == "delta":
        check_delta(spark)
    check_location(sink, partial(storage.as_spark_means, spark), source=source)
    location = storage.as_spark_means(spark, sink.path)
    if not storage.is_remote(location) and not storage.has_name(storage.encoding_of_names(spark), location):
        raise InputError(f"Java cannot write the name {sink.path}. Start with LC_ALL=C.UTF-8, or choose another.")
    if source:
        check_outside(spark, source, location, *names_of_traces(location))


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
    with suppress(OSError):  # read_corpus() reports problems of the input
        if source and storage.is_within(location, locate(source)):
            raise InputError(f"{sink.path} is in the input, where the next run would find it. Choose another --output.")
    if taken and not is_unfinished(location):
        if not storage.is_remote(location):
            with suppress(OSError):
                remove_unlocked(location)
                clear_folders(location)
        raise _taken(sink.path)


def _taken(path: str) -> InputError:
    return InputError(f"{path} exists already; nothing is overwritten. Choose another --output.")


def _check_parent(path: Path) -> None:
    """Raise OSError if no folder can be made at `path`, and InputError if the longer name that a run uses before it
    publishes is too long."""
    present = next(parent for parent in path.parents if parent.exists())
    if not present.is_dir():
        raise NotADirectoryError(f"{present} is not a folder")
    if not os.access(present, os.W_OK | os.X_OK):
        raise PermissionError(f"{present} may not be written to")
    length = len(os.fsencode(path.name))
    most = os.pathconf(present, "PC_NAME_MAX") - max(len(name.rpartition("/")[2]) for name in names_of_traces("/"))
    if length > most:
        raise InputError(
            f"the name of the output has {length} bytes: at most {most} are possible in {present}, as the rows have a "
            "longer name until they are whole. Choose a shorter --output."
        )


def check_space(spark: SparkSession, sink: Sink, *, least_bytes: int) -> None:
    """Raise InputError if there is less space than the output needs."""
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
    """Return where to write the output of `sink`. The output appears when the block ends, and never if it raises.

    Leftovers of killed runs are named on stderr, and removed unless they are whole. `tables` are the folders of the
    output that readers open on their own.

    Raises InputError if the location cannot be written, holds an output or is being written by another run, and
    IncompleteError if the finished output cannot take its name (its rows are kept) or another run has taken it over.
    """
    location = storage.as_spark_means(spark, sink.path).rstrip("/")
    renames = location.partition(":")[0] in RENAMING
    with (
        _claimed(spark, location) as claim,
        _renamed(claim) if renames else _guarded(claim, tables) as folder,
        settled(spark.sparkContext),
    ):
        yield replace(sink, path=folder)


def is_unfinished(location: str) -> bool:
    """Return whether the output has a guard file: a run is writing it, or was killed."""
    return storage.exists(f"{location}/{GUARD_FILE}")


@contextmanager
def _claimed(spark: SparkSession, location: str) -> Iterator[Claim]:
    with ExitStack() as stack:
        with _writing(location):
            claim = stack.enter_context(claimed(location, on_loss=spark.sparkContext.cancelAllJobs))
        yield claim


@contextmanager
def _renamed(claim: Claim) -> Iterator[str]:
    with _writing(claim.location):
        clear_folders(claim.location)
        if storage.is_taken(claim.location):
            raise _taken(claim.location)
        storage.make_folder(claim.folder)
    try:
        yield claim.rows
    except BaseException:
        _remove(claim.folder)
        raise
    try:
        claim.beat()
        storage.rename(claim.rows, claim.location)
    except OSError as error:
        raise IncompleteError(
            f"the rows are whole, but could not be renamed to {claim.location} ({error}). They are in {claim.rows}: "
            "move them."
        ) from None
    _remove(claim.folder)


@contextmanager
def _guarded(claim: Claim, tables: Sequence[str]) -> Iterator[str]:
    location = claim.location
    folders = [location, *(f"{location}/{table}" for table in tables)]
    with _writing(location):
        _clear_unfinished(claim)
        claim.beat()  # a run that was suspended until here may have lost the output
        for folder in folders:
            storage.make_folder(folder)
            storage.write_text(f"{folder}/{GUARD_FILE}", GUARD)
    try:
        yield location
    except BaseException:
        if _is_held(claim):
            _remove(location)
        raise
    try:
        claim.beat()
        for folder in reversed(folders):
            storage.delete(f"{folder}/{GUARD_FILE}")
    except OSError as error:
        raise IncompleteError(
            f"the rows in {location} are whole, but {GUARD_FILE} could not be removed there ({error}). Remove it in "
            "each folder."
        ) from None


def _clear_unfinished(claim: Claim) -> None:
    """Remove what a killed run left at the output's location.

    Raises InputError if the output is finished but perhaps for its guard file, or is inside an unfinished one, and
    IncompleteError if another run has taken the output over.
    """
    location = claim.location
    for folder in folders_above(location):
        with suppress(OSError):  # a user may see only a part of a store
            if is_unfinished(folder):
                raise InputError(f"{location} is inside {folder}, an unfinished output. Choose another --output.")
    if not storage.is_taken(location):
        return
    if not is_unfinished(location):
        raise _taken(location)
    if is_whole(location):
        raise InputError(
            f"{location} holds the whole rows of a run that was killed just before it removed {GUARD_FILE}. Remove "
            "that file in each folder to keep them, or the output to run again."
        )
    claim.beat()
    clear(location, rows=location)


def _is_held(claim: Claim) -> bool:
    """Return whether the output is certainly still this run's own; False if the file system or Java does not answer."""
    with suppress(Exception):
        claim.beat()
        return True
    return False


@contextmanager
def _writing(location: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"nothing can be written to {location} ({error}). Check --output.") from None


def _remove(folder: str) -> None:
    """Remove a folder of this run; the next run removes what cannot be removed now."""
    with suppress(Exception):
        storage.delete(folder)
