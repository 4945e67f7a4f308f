"""A process's folder for the temporary files of Spark and Java: the owner's only, removed when the process ends. What a
killed process left is removed by the next one that makes a folder in the same place.

A folder is in use as long as its process holds the lock on a file in it, and the system takes that lock back however
the process ends.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from sparkclin.errors import SetupError

LOCAL_DIRS = "spark.local.dir"
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_JAVA_FOLDER = "-Djava.io.tmpdir="

PREFIX = "sparkclin-run-"
_LOCK, _ELSEWHERE = "lock", "elsewhere"

_in_use: dict[Path, IO[str]] = {}
"""This process's folders, with their locked files."""


def scratch_settings(chosen: Mapping[str, str], *, starts_java: bool) -> dict[str, str]:
    """The Spark settings by which a session that has the settings `chosen` keeps its temporary files in folders of this
    process: one in each place of `spark.local.dir`. With `starts_java`, what others in the JVM put into Java's folder
    for temporary files, such as Spark NLP, is there too.

    Where the variable SPARK_LOCAL_DIRS is set, as cluster managers do, Spark's files stay there. Raises SetupError
    where no folder can be made.
    """
    settings = {}
    if "SPARK_LOCAL_DIRS" not in os.environ:
        places = chosen.get(LOCAL_DIRS, tempfile.gettempdir()).split(",")
        settings[LOCAL_DIRS] = ",".join(str(scratch_folder(place)) for place in places)
    options = chosen.get(JAVA_OPTIONS, "")
    if starts_java and _JAVA_FOLDER not in options:
        settings[JAVA_OPTIONS] = f'{options} "{_JAVA_FOLDER}{scratch_folder()}"'.strip()
    return settings


def scratch_folder(place: str | Path | None = None) -> Path:
    """This process's folder in `place`, which is the system's folder for temporary files where it is None.

    Raises SetupError where none can be made.
    """
    parent = Path(place or tempfile.gettempdir()).absolute()
    for folder in _in_use:
        if folder.parent == parent:
            return folder
    if not _in_use:
        atexit.register(_end, os.getpid())
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(parent)
        folder, lock = _make(parent)
    except OSError as error:
        raise SetupError(
            f"no folder for temporary files can be made in {parent} ({error.strerror}); name another one with the "
            f"Spark setting {LOCAL_DIRS}, or the variable TMPDIR."
        ) from None
    _in_use[folder] = lock
    return folder


def _make(parent: Path) -> tuple[Path, IO[str]]:
    # Under another name until it is locked, so that nobody takes it for abandoned.
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=parent))
    (made / _ELSEWHERE).mkdir()
    lock = (made / _LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return made.rename(parent / made.name.removeprefix(".")), lock


def remove_with_own(folder: Path) -> None:
    """Have a folder that others made in another place removed too, with one of this process's, if it has any."""
    for own in list(_in_use)[:1]:
        (own / _ELSEWHERE / folder.name).symlink_to(folder)


def remove_abandoned(parent: Path) -> None:
    """Removes the folders of this user's processes that have ended."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another process removes it, or it is another user's
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)


def remove_own() -> None:
    """Removes this process's folders. The Spark session that uses them must have ended."""
    while _in_use:
        folder, lock = _in_use.popitem()
        _remove(folder)
        lock.close()


def _end(process: int) -> None:
    """Ends the Spark session, and removes the folders; not in a process that was forked off."""
    from pyspark import SparkContext

    if os.getpid() != process:
        return
    if (context := SparkContext._active_spark_context) is not None:
        with suppress(Exception):  # the JVM may be gone
            context.stop()
    remove_own()


def _remove(folder: Path) -> None:
    for link in (folder / _ELSEWHERE).glob("*"):
        shutil.rmtree(link.readlink(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
