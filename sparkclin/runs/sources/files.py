"""The files of an input: which are read, and which are not.

Spark's readers pass over names that begin with `_` or `.` or end in `._COPYING_`, over files without a byte, and over
what Java cannot name, and say nothing. So the files are listed here first, whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sparkclin.errors import InputError
from sparkclin.runs.sources.places import Place, plain, without_scheme
from sparkclin.schema import named
from sparkclin.spark import storage
from sparkclin.spark.storage import Entry

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

HIDDEN_FILES = ("refuse", "skip")

_BOOKKEEPING = re.compile(
    r"_SUCCESS|_committed_(vacuum)?\d+|_started_\d+|_report\.(json|md|html)|_delta_log|_metadata|_common_metadata"
    r"|\.DS_Store"
)
"""What Spark, Databricks, Delta Lake, a run of ours or a desktop leaves beside data."""


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """`path` is a URL in which nothing is percent-encoded, `size` its bytes, `changed` when it was last changed. `name`
    is relative to the input, and `below` to what of the input it lies in: a glob may match folders."""

    path: str
    name: str
    below: str
    size: int
    changed: int


@dataclass(frozen=True, kw_only=True)
class InputFiles:
    """What lies in an input. `path` is how Spark takes it, `shown` how the user gave it; ids of files are relative to
    the folder `base`. `roots` are the files and folders that it is or, as a glob, matches. `read` are the files to
    read, `not_read` the names of the others."""

    path: str
    shown: str
    base: str
    roots: tuple[str, ...]
    read: tuple[InputFile, ...]
    not_read: tuple[str, ...]
    recursive: bool = False

    @property
    def with_bytes(self) -> tuple[InputFile, ...]:
        """Those that Spark's readers give."""
        return tuple(file for file in self.read if file.size)

    def without_records(self, having: Collection[str]) -> tuple[str, ...]:
        """The names of files that have none, by the paths, as in messages, of those that have."""
        return tuple(file.name for file in self.read if plain(file.path) not in having)


def find_files(spark: SparkSession | None, place: Place, *, recursive: bool, hidden_files: str) -> InputFiles:
    """All files of an input. `hidden_files` says what is done with those that Spark does not read: `refuse` or `skip`.
    Without a session, names are not looked at.

    Raises InputError for such files, for names that Java cannot read, and where there is no file at all.
    """
    path, base = place.shown, place.base
    try:
        files = [_input_file(entry, base, root) for root in place.found for entry in _files(root)]
    except OSError as error:
        raise InputError(f"{path} cannot be looked into ({error}). Check that all of it may be read.") from None
    if spark is not None:
        _check_names(spark, path, files)
    hidden = [file for file in files if is_hidden(file.below)]
    present = {file.path for file in files}
    unknown = [file.name for file in hidden if not _is_bookkeeping(file, present)]
    if unknown and hidden_files == "refuse":
        raise InputError(
            f"{len(unknown)} files of {path} are not read by Spark, because of their names ({named(unknown)}): it "
            "passes over what begins with _ or . or ends in ._COPYING_. Rename or remove them, or leave them out with "
            "--hidden-files skip."
        )
    read = tuple(file for file in files if not is_hidden(file.below))
    if not read:
        raise InputError(f"there is no file to read in {path} ({len(hidden)} that Spark passes over). Check --input.")
    return InputFiles(
        path=place.path,
        shown=path,
        base=base,
        roots=tuple(root.path for root in place.found),
        read=read,
        not_read=tuple(sorted(file.name for file in hidden)),
        recursive=recursive,
    )


def is_hidden(name: str) -> bool:
    """Whether Spark passes over a file, because of its name or of that of a folder it is in."""
    return any(map(_is_hidden_part, name.split("/")))


def _is_hidden_part(part: str) -> bool:
    return (part.startswith("_") and "=" not in part) or part.startswith(".") or part.endswith("._COPYING_")


def _is_bookkeeping(file: InputFile, present: Collection[str]) -> bool:
    """Whether all that hides a file is a known name, or Hadoop's for the checksums of one that is `present`."""
    parts = [part for part in file.below.split("/") if _is_hidden_part(part)]
    if storage.checked_file(file.path) in present:
        parts.remove(file.path.rpartition("/")[2])
    return all(_BOOKKEEPING.fullmatch(part) for part in parts)


def check_folders(files: InputFiles, *, partitions: bool = False) -> None:
    """Raises InputError for files in folders below the input, which only --recursive reads; `partitions` are folders
    named `key=value`, as Spark writes them."""
    nested = [file.name for file in files.read if "/" in file.below and not (partitions and _in_partitions(file.below))]
    if nested and not files.recursive:
        raise InputError(
            f"{len(nested)} files of {files.shown} are in folders below it ({named(nested)}). Take them with "
            "--recursive, or name the files themselves."
        )


def _in_partitions(name: str) -> bool:
    return all("=" in folder for folder in name.split("/")[:-1])


def check_listing(files: InputFiles, frame: DataFrame) -> None:
    """Compares the files that Spark has found for a DataFrame with those that lie there, by their names.

    Raises InputError, with counts, where they differ.
    """
    jvm: Any = frame.sparkSession._jvm
    urls = str(jvm.org.apache.hadoop.util.StringUtils.join("\0", frame._jdf.inputFiles())).split("\0")
    paths = (without_scheme(unquote(url)) for url in urls if url)
    found = Counter(path for path in paths if not _is_hidden_part(path.rpartition("/")[2]))
    there = Counter(without_scheme(file.path) for file in files.read)
    if found != there:
        missing = [path for path in there if path not in found]
        raise InputError(
            f"{there.total()} files lie in {files.shown}, and Spark finds {found.total()}, without {len(missing)} of "
            f"these ({named(missing)}). Check that nothing is written there, and that all of it may be read."
        )


def check_unchanged(spark: SparkSession, files: InputFiles) -> tuple[str, ...]:
    """Return the names of files that were added to the input since it was listed; they are not read.

    Raises InputError if a file that is read has changed: the output may contain both of its versions.
    """
    try:
        roots = storage.matching(spark, files.path)
        now = {without_scheme(e.path): _input_file(e, files.base, root) for root in roots for e in _files(root)}
    except OSError:
        raise InputError(
            f"{files.shown} cannot be looked into any more. Run again when nothing changes there."
        ) from None
    then = [(file, now.get(without_scheme(file.path))) for file in files.read]
    changed = [f.name for f, entry in then if entry is None or (entry.size, entry.changed) != (f.size, f.changed)]
    if changed:
        raise InputError(
            f"{len(changed)} of {len(files.read)} files of {files.shown} have changed since the run began "
            f"({named(changed)}): rows may be of both versions. Run again when nothing changes there."
        )
    return _added(files, now)


def _added(files: InputFiles, now: Mapping[str, InputFile]) -> tuple[str, ...]:
    """Return the names of files that were not listed, except those that other programs keep next to data."""
    known, present = {*(file.name for file in files.read), *files.not_read}, {file.path for file in now.values()}
    added = [file for file in now.values() if file.name not in known]
    return tuple(sorted(f.name for f in added if not (is_hidden(f.below) and _is_bookkeeping(f, present))))


def first_failing(files: Sequence[InputFile], fails: Callable[[Sequence[InputFile]], bool]) -> InputFile | None:
    """A file for which `fails(files)` holds, which it does for all of them; None if it has come right meanwhile."""
    while len(files) > 1:
        half = files[: len(files) // 2]
        files = half if fails(half) else files[len(half) :]
    return files[0] if files and fails(files) else None


def _files(root: Entry) -> Iterator[Entry]:
    return storage.files_below(root.path) if root.is_folder else iter([root])


def _input_file(entry: Entry, base: str, root: Entry) -> InputFile:
    folder = root.path if root.is_folder else root.path.rpartition("/")[0]
    return InputFile(
        path=entry.path,
        name=_relative(entry.path, base),
        below=_relative(entry.path, folder),
        size=entry.size,
        changed=entry.changed,
    )


def _relative(path: str, folder: str) -> str:
    return without_scheme(path)[len(without_scheme(folder)) :].lstrip("/")


def _check_names(spark: SparkSession, path: str, files: Sequence[InputFile]) -> None:
    """Of local files: Hadoop leaves out those whose names Java cannot decode, and opens none with a colon."""
    encoding = storage.encoding_of_names(spark)
    local = [file for file in files if not storage.is_remote(file.path)]
    if unnamed := sum(not storage.has_name(encoding, file.path) for file in local):
        raise InputError(
            f"{unnamed} files of {path} have names that Java cannot read in the encoding {encoding}. Rename them, or "
            "start with LC_ALL=C.UTF-8 if they are UTF-8."
        )
    if colons := [file.name for file in local if ":" in file.path.rpartition("/")[2]]:
        raise InputError(
            f"{len(colons)} files of {path} have a colon in their names ({named(colons)}): Hadoop opens no such file "
            "on a local disk. Rename them."
        )
