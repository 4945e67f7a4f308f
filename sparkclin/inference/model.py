"""What a model is that runs in this process, whatever its engine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from sparkclin.engines import InWorkers
from sparkclin.errors import ModelError, SetupError
from sparkclin.hashing import sha256_of_file
from sparkclin.text.pieces import Floats, Ints


class RowModel(Protocol):
    """An open model. It is not for several threads at once."""

    def run(self, rows: Ints, wanted: Sequence[str]) -> Floats:
        """The wanted outputs of each segment part of rows, in the order of both: (parts, numbers)

        `rows` (R, P) are tagged ids (`sparkclin.wire.packed`), padded to the longest. They must be on one side of each
        of the model's row limits.
        """

    def states(self, rows: Ints) -> Floats:
        """The last layer's states of such rows: (R, P, W)"""

    @property
    def ran(self) -> str:
        """In which precision this machine computes, as read from what runs; empty where nothing has run yet."""


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """Where a model's graphs lie on this machine's disk, and how they are to run.

    `row_limits` are the longest rows of each graph, ascending; `precision` is one of PRECISIONS, `group_size` how many
    numbers of a state share a scale in int8, `threads` how many a forward pass may use. `sha256` is the manifest's: it
    tells versions apart. `hashes` are pairs of a file's path in the folder and its SHA-256, as the manifest has them.
    """

    folder: str
    sha256: str
    hashes: tuple[tuple[str, str], ...]
    row_limits: tuple[int, ...]
    precision: str
    group_size: int
    threads: int

    def checked(self, name: str) -> Path:
        """A file by its path in the folder, hashed on this machine; raises ModelError where it is not what was
        exported."""
        path = Path(self.folder) / name
        try:
            found = sha256_of_file(path)
        except OSError as error:
            found = type(error).__name__
        expected = dict(self.hashes).get(name, "no such file")
        if found != expected:
            raise ModelError(
                f"{path} on this machine is not what was exported: it has {shortened(found)}, and the manifest says "
                f"{shortened(expected)}. Nothing of it was used: copy the model there again, from where it is whole."
            )
        return path


def shortened(sha256: str) -> str:
    """A hash as an error shows it; other words as they are."""
    return f"SHA-256 {sha256[:12]}…" if len(sha256) == 64 else sha256


def open_model(engine: InWorkers, files: ModelFiles) -> RowModel:
    """Raises SetupError where the engine's library is not installed, and ModelError where the files are not there."""
    if not Path(files.folder).is_dir():
        raise ModelError(
            f"{files.folder} is not on this machine. Every worker reads the model there: put the repository on a disk "
            "that all machines share, or on a file system that Spark reads (hdfs://…, s3a://…)."
        )
    try:
        module = import_module(engine.module)
        found: RowModel = module.open_model(files)
    except ImportError as error:
        raise _without_library(engine, f" ({error})") from None
    return found


def check_library(engine: InWorkers) -> None:
    """Raises SetupError where the engine's library is not installed for this Python; imports nothing."""
    if find_spec(engine.library) is None:
        raise _without_library(engine)


def _without_library(engine: InWorkers, said: str = "") -> SetupError:
    return SetupError(
        f"this machine's Python has no {engine.library}{said}. Install it on every machine, with "
        f"pip install 'sparkclin[{engine.extra}]', or choose another --engine."
    )


_open: dict[ModelFiles, RowModel] = {}
"""The model that this worker has last used. Spark keeps a worker for many tasks, and opening takes a second."""


def worker_model(engine: InWorkers, files: ModelFiles) -> RowModel:
    """As open_model(), once per worker. Another model takes the last one's place, and its memory."""
    if files not in _open:
        _open.clear()
        _open[files] = open_model(engine, files)
    return _open[files]


def processor_name() -> str:
    """Of this machine, as Linux names it; empty where it does not."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return ""
