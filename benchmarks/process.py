"""Run a command with its output in a file, and watch the memory of all that it starts."""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.errors import RunError
from testkit.material import CHECKOUT

SAMPLE_EVERY_S = 0.25
LIMIT_S = 3600
EXECUTOR_CLASS = "org.apache.spark.executor.CoarseGrainedExecutorBackend"


def run_logged(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    limit_s: float = LIMIT_S,
    results: Path | None = None,
) -> None:
    """Run a command from the checkout. Raises RunError, naming the log, where it fails or takes over `limit_s`, which
    begins again with each file that the command puts into the folder `results`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            status = wait(process, limit_s=limit_s, results=results)
        except subprocess.TimeoutExpired:
            raise RunError(f"{log.stem} took more than {limit_s:.0f} s and was ended; see {log}") from None
        finally:
            end_tree(process)
    if status:
        raise RunError(f"{log.stem} ended with status {status}; see {log}")


def wait(process: subprocess.Popen[bytes], *, limit_s: float, results: Path | None) -> int:
    """Its status. Raises TimeoutExpired where neither it ends nor a result comes within `limit_s`."""
    n_results = 0
    while True:
        try:
            return process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            found = len(list(results.iterdir())) if results else 0
            if found == n_results:
                raise
            n_results = found


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process, and whatever of its children still runs, and wait until their memory is free."""
    children: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    process.kill()
    process.wait()
    psutil.wait_procs(children, timeout=10)


@dataclass(frozen=True, kw_only=True)
class Resident:
    """Bytes at a moment of the machine's monotonic clock: of all processes together, and of the largest executor of a
    cluster with its Python workers, 0 where there is none."""

    at_s: float
    total_bytes: int
    executor_bytes: int


class PeakMemory:
    """The largest resident memory, in bytes, that all processes together had which this one started since, and that
    one executor of a cluster had with its Python workers: 0 where there is none.

    What ran before, such as another session's JVM, does not count, nor does anything below it. The figure is a sum of
    resident sizes, sampled four times per second. Pages that forked processes share count in each of them: for Spark's
    Python workers these are the interpreter and its libraries, not a model.
    """

    def __init__(self) -> None:
        self._ran_before = set(psutil.Process().children())
        self._samples: list[Resident] = []

    def sample(self) -> None:
        started = set(psutil.Process().children()) - self._ran_before
        processes = [process for child in started for process in family(child)]
        executors = [sum(map(resident_bytes, family(executor))) for executor in filter(is_executor, processes)]
        self._samples.append(
            Resident(
                at_s=time.monotonic(),
                total_bytes=sum(map(resident_bytes, processes)),
                executor_bytes=max(executors, default=0),
            )
        )

    @property
    def peak_bytes(self) -> int:
        return max((found.total_bytes for found in self._samples), default=0)

    @property
    def executor_bytes(self) -> int:
        return max((found.executor_bytes for found in self._samples), default=0)

    def without(self, begin_s: float, end_s: float) -> PeakMemory:
        """The same without what was resident from `begin_s` to `end_s`."""
        other = PeakMemory()
        other._samples = [found for found in self._samples if not begin_s <= found.at_s < end_s]
        return other

    def until(self, end_s: float) -> PeakMemory:
        """The same without what came later."""
        return self.without(end_s, math.inf)


def resident_bytes(process: psutil.Process) -> int:
    """0 for a process that ended while we looked."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return int(process.memory_info().rss)
    return 0


def is_executor(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return EXECUTOR_CLASS in process.cmdline()
    return False


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all below it."""
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


@contextmanager
def watching_memory() -> Iterator[PeakMemory]:
    """Samples until left."""
    memory, done = PeakMemory(), threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_EVERY_S):
            memory.sample()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield memory
    finally:
        done.set()
        watcher.join()
