"""Where an input is: a path or URL that exists, or else a glob; and how places are named in messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sparkclin.errors import InputError
from sparkclin.schema import named, printable
from sparkclin.spark import storage
from sparkclin.spark.storage import Entry

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_GLOB = re.compile(r"[\[\]{}*?\\]")
_NO_GLOB = re.compile(r"(?:[^\[\]{}*?\\]|\\.)*", re.DOTALL)
"""What of a pattern is no wildcard: a backslash takes the meaning of the next character away."""

HIDDEN = ("_", ".")
"""What names begin with that Spark passes over."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an input is: `shown` as the user gave it, `path` as Spark takes it. `found` is what is there: a file, a
    folder, or all that a glob matches."""

    shown: str
    path: str
    found: tuple[Entry, ...]

    @property
    def itself(self) -> Entry | None:
        """The file or folder that it is, unless it is a glob."""
        return self.found[0] if escaped(self.found[0].path) == self.path else None

    @property
    def base(self) -> str:
        """The folder that names are relative to: itself, the one that a file is in, or what of a glob is none."""
        if self.itself is None:
            return _fixed_folder(self.path)
        return self.itself.path if self.itself.is_folder else self.itself.path.rpartition("/")[0]


def locate(spark: SparkSession, path: str) -> Place:
    """Finds an input.

    A path that exists is itself, whatever characters it has. Raises InputError where nothing is there, or it cannot be
    looked at.
    """
    with _reaching(path):
        location = storage.as_spark_means(spark, path)
        if itself := _itself(path, location):
            return itself
        pattern = location if storage.is_remote(location) else _pattern_on_disk(path)
        found = storage.matching(spark, pattern) if pattern and _GLOB.search(pattern) else []
    if not pattern or not found:
        raise _nothing_there(path)
    _check_matches(path, pattern, found)
    return Place(shown=printable(path), path=pattern, found=tuple(found))


def locate_on_disk(path: str) -> Place | None:
    """As locate() for a path on this machine's disk, without Spark; None for a glob, which is Hadoop's to read.

    Raises InputError for a glob too where the folder is not there that it begins with.
    """
    with _reaching(path):
        location = storage.as_url(path)
        if itself := _itself(path, location):
            return itself
        pattern = _pattern_on_disk(path)
        if not pattern or not storage.exists(_fixed_folder(pattern) + "/"):
            raise _nothing_there(path)
    return None


def check_outside(spark: SparkSession, path: str, *places: str) -> None:
    """Raises InputError where an input is a glob that would match one of the places, which need not be there yet, or a
    folder that one is in."""
    with _reaching(path):
        location = storage.as_spark_means(spark, path)
        if storage.exists(location):
            return
        pattern = location if storage.is_remote(location) else _pattern_on_disk(path)
        matched = [place for place in places if pattern and storage.would_match(spark, pattern, place)]
    if matched:
        raise InputError(f"{path} matches {plain(matched[0])}, which this run would make. Choose another --output.")


def _itself(path: str, location: str) -> Place | None:
    """The file or folder at a location; None where there is none."""
    if not storage.exists(location):
        return None
    entry = storage.entry_at(location)
    return Place(shown=printable(path), path=escaped(entry.path), found=(entry,))


def _pattern_on_disk(path: str) -> str | None:
    """A glob as a location, the folder before its first wildcard as this machine finds it (storage.as_url()); None for
    a path without a wildcard. A folder that exists is itself, whatever characters it has."""
    parts = storage.local_path(path).parts
    n_fixed = next((n for n, part in enumerate(parts) if _GLOB.search(part) and not _is_there(parts[: n + 1])), None)
    if n_fixed is None:
        return None
    folder, pattern = Path(*parts[:n_fixed]), parts[n_fixed:]
    if ".." in pattern:
        raise InputError(f"{path} has .. behind a wildcard, which takes the name before it away. Write it without.")
    return "/".join([escaped(storage.as_url(str(folder))).rstrip("/"), *pattern])


def _is_there(parts: Sequence[str]) -> bool:
    return Path(*parts).exists()


def _fixed_folder(pattern: str) -> str:
    """What of a glob's folders is none, as it is named."""
    fixed = _NO_GLOB.match(pattern)
    return re.sub(r"\\(.)", r"\1", fixed[0] if fixed else "").rpartition("/")[0]


def _check_matches(path: str, pattern: str, found: Sequence[Entry]) -> None:
    """Raises InputError where a wildcard matches hidden folders: Spark reads those, unlike what is hidden in a folder.
    A run's own place, before its output takes its name, is such a folder."""
    if pattern.rpartition("/")[2].startswith(HIDDEN):
        return
    folders = [entry.path.rpartition("/")[2] for entry in found if entry.is_folder]
    if hidden := [name for name in folders if name.startswith(HIDDEN) and "=" not in name]:
        raise InputError(
            f"{path} matches {len(hidden)} hidden folders too ({named(hidden)}). Put [!._] before a * that begins a "
            "name, or choose an --output elsewhere if they are a run's own."
        )


@contextmanager
def _reaching(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be reached ({error}). {_remedy(str(error))}") from None


def _nothing_there(path: str) -> InputError:
    glob = " (its * ? [ ] { } are wildcards where no such name is there)" if _GLOB.search(path) else ""
    return InputError(f"nothing is there: {path}{glob}. Check --input.")


def escaped(path: str) -> str:
    """A path as a glob that matches it alone."""
    return _GLOB.sub(r"\\\g<0>", path)


def plain(url: str) -> str:
    """How a file is named in a message: a local one by its path."""
    return printable(url if storage.is_remote(url) else str(storage.local_path(url)))


def without_scheme(path: str) -> str:
    """The path of a URL: `/a/b` of `s3a://bucket/a/b`, of `file:/a/b` and of `file:///a/b`."""
    return re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*:(//[^/]*)?", "", path).rstrip("/")


def folders_above(location: str) -> Iterator[str]:
    """Return the folders that a location is in, the nearest first, without the file system's root."""
    folder, _, name = location.rstrip("/").rpartition("/")
    while name and without_scheme(folder):
        yield folder
        folder, _, name = folder.rpartition("/")


def _remedy(message: str) -> str:
    if "ClassNotFoundException" in message and "S3AFileSystem" in message:
        return "For s3a:// add the jars of org.apache.hadoop:hadoop-aws in the version of Spark's Hadoop (--packages)."
    if "ClassNotFoundException" in message:
        return "Add the jars of this file system (--packages)."
    if "No FileSystem for scheme" in message:
        return "Check --input: Spark knows no such scheme."
    return "Check --input."
