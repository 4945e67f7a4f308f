"""What is measured together: trials, a few rounds of each, a fresh process per measurement."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.errors import RunError
from benchmarks.job import Job, Timing
from benchmarks.process import run_logged, watching_memory
from testkit.cluster import ClusterError, standalone_cluster

WORKER_MEMORY = "6g"
LIMIT_S = 1800


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One case of a series, such as a contender on a workload, or a number of cores.

    `n_windows` is how many forward passes' worth of text there is, `n_flops` what the matrix products of all rows need,
    0 where it was not counted. With `workers` the job runs on a standalone cluster of as many workers, one of the job's
    processors each; without, in local mode.
    """

    series: str
    case: str
    job: Job
    n_rows: int
    n_pieces: int
    n_windows: int
    n_flops: float = 0
    workers: int = 0


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measured run. `error` says in a line why there is no `timing`.

    Memory includes loading; `executor_memory_bytes` is that of one executor with its Python workers, 0 in local mode.
    """

    series: str
    case: str
    contender: str
    round: int
    n_rows: int
    n_pieces: int
    n_windows: int
    peak_memory_bytes: int
    executor_memory_bytes: int
    n_flops: float = 0
    timing: Timing | None = None
    error: str = ""

    @property
    def elapsed_s(self) -> float:
        """Raises ValueError for a measurement that failed."""
        if self.timing is None:
            raise ValueError(f"{self.series}, {self.case} was not measured: {self.error}")
        return self.timing.elapsed_s

    @property
    def pieces_per_s(self) -> float:
        return self.n_pieces / self.elapsed_s

    @property
    def gflops(self) -> float:
        """GFLOP/s, by the operations that the rows need, not those that were made of them."""
        return self.n_flops / self.elapsed_s / 1e9

    @property
    def rows_per_s(self) -> float:
        return self.n_rows / self.elapsed_s

    @property
    def windows_per_s(self) -> float:
        return self.n_windows / self.elapsed_s


def measure(trial: Trial, *, number: int) -> Measurement:
    """Measure once, in a new process; a failure is a measurement that says so, and the others go on."""
    timing, error = None, ""
    with watching_memory() as memory:
        try:
            timing = run(trial, number=number)
        except (RunError, ClusterError) as failure:
            error = str(failure).splitlines()[0]
    return Measurement(
        series=trial.series,
        case=trial.case,
        contender=trial.job.contender,
        round=number,
        n_rows=trial.n_rows,
        n_pieces=trial.n_pieces,
        n_windows=trial.n_windows,
        peak_memory_bytes=memory.peak_bytes,
        executor_memory_bytes=memory.executor_bytes,
        n_flops=trial.n_flops,
        timing=timing,
        error=error,
    )


def run(trial: Trial, *, number: int) -> Timing:
    """Raises RunError where the process fails, or a row is left without a result."""
    name = f"{trial.series}-{trial.case}-{number}".replace(" ", "-")
    with tempfile.TemporaryDirectory() as folder, master_of(trial, Path(folder)) as master:
        job_file, timing_file = Path(folder, "job.json"), Path(folder, "timing.json")
        job_file.write_text(replace(trial.job, master=master).to_json(), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.worker", str(job_file), str(timing_file)]
        run_logged(command, log=trial.job.store.logs / f"{name}.log", limit_s=LIMIT_S)
        timing = Timing(**json.loads(timing_file.read_text(encoding="utf-8")))
    if timing.rows != trial.n_rows:
        raise RunError(f"{timing.rows} of {trial.n_rows} rows got a result")
    return timing


@contextmanager
def master_of(trial: Trial, folder: Path) -> Iterator[str]:
    """Spark's master for the trial: local mode, or a cluster that lives as long as the trial."""
    if not trial.workers:
        yield f"local[{len(trial.job.cpus)}]"
        return
    with standalone_cluster(folder, workers=trial.workers, memory=WORKER_MEMORY, pinned=trial.job.cpus) as cluster:
        yield cluster.url


def in_rounds(trials: Sequence[Trial], *, rounds: Callable[[str], int]) -> Iterator[tuple[int, Trial]]:
    """Series after series. In a series every case runs once, then every case again, so that drift affects all alike.

    `rounds` says how often, by the name of a series. Rounds count from 1.
    """
    for series in dict.fromkeys(trial.series for trial in trials):
        cases = [trial for trial in trials if trial.series == series]
        yield from ((number, trial) for number in range(1, rounds(series) + 1) for trial in cases)
