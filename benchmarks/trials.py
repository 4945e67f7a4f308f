"""What is measured together: trials, a few rounds of each, a process per contender and round."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.errors import RunError
from benchmarks.job import Done, Job, Timing
from benchmarks.process import PeakMemory, run_logged, watching_memory
from testkit.cluster import ClusterError, standalone_cluster

WORKER_MEMORY = "6g"
LIMIT_S = 1800


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One case of a series, such as a contender on a workload, or a number of cores. `job` has one reading.

    `part` is what contenders take turns in, such as a task with all of its workloads. `start_s` is roughly how long the
    process takes to start and load, `expected_s` how long it takes to warm up and to read.

    `n_windows` is how many forward passes' worth of text there is, `n_flops` what the matrix products of all rows need,
    0 where it was not counted. With `workers` the job runs on a standalone cluster of as many workers, one of the job's
    processors each; without, in local mode.
    """

    part: str
    series: str
    case: str
    job: Job
    n_rows: int
    n_pieces: int
    n_windows: int
    n_flops: float = 0
    workers: int = 0
    start_s: float = 0
    expected_s: float = 0


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measured reading. `error` says in a line why there is no `timing`.

    Memory is the most while the process loaded and while this was read; `executor_memory_bytes` is that of one
    executor with its Python workers, 0 in local mode.
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


@dataclass(frozen=True, kw_only=True)
class Sitting:
    """Trials that one process measures, one after the other: they differ in what is read."""

    part: str
    trials: tuple[Trial, ...]

    @property
    def expected_s(self) -> float:
        """With its start."""
        return self.trials[0].start_s + sum(trial.expected_s for trial in self.trials)


def measure(sitting: Sitting, *, number: int) -> Iterator[Measurement]:
    """Measure each trial once. A failure is a measurement that says so; what is left then gets a new process."""
    left = sitting.trials
    while left:
        measured = measure_in_process(left, number=number)
        yield from measured
        left = left[len(measured) :]


def measure_in_process(trials: Sequence[Trial], *, number: int) -> list[Measurement]:
    """All of them, or those until one failed, that one included."""
    error = ""
    with tempfile.TemporaryDirectory() as results, watching_memory() as memory:
        try:
            run(trials, Path(results), number=number)
        except (RunError, ClusterError) as failure:
            error = str(failure).splitlines()[0]
        done = [
            Done.from_json(file.read_text(encoding="utf-8"))
            for index in range(len(trials))
            if (file := Path(results, f"{index}.json")).is_file()
        ]
    measured = [
        measurement(trial, number=number, memory=memory_of(each, done[0], memory), timing=each.timing)
        for trial, each in zip(trials, done, strict=False)
    ]
    if len(done) < len(trials):
        error = error or "the process ended before it was measured"
        failed = trials[len(done)]
        measured.append(measurement(failed, number=number, memory=memory, error=error))
    return measured


def memory_of(done: Done, first: Done, memory: PeakMemory) -> PeakMemory:
    """While the process started and loaded, and while this was read: not while it read what came before or after."""
    return memory.until(done.ended_s).without(first.began_s, done.began_s)


def measurement(
    trial: Trial, *, number: int, memory: PeakMemory, timing: Timing | None = None, error: str = ""
) -> Measurement:
    """One that says what is wrong where a row was left without a result."""
    if timing is not None and timing.rows != trial.n_rows:
        error = f"{timing.rows} of {trial.n_rows} rows got a result"
        timing = None
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


def run(trials: Sequence[Trial], results: Path, *, number: int) -> None:
    """The process. Raises RunError where it fails."""
    first = trials[0]
    name = f"{first.series}-{first.case}-{number}".replace(" ", "-")
    readings = tuple(reading for trial in trials for reading in trial.job.readings)
    with tempfile.TemporaryDirectory() as folder, master_of(first, Path(folder)) as master:
        job_file = Path(folder, "job.json")
        job_file.write_text(replace(first.job, readings=readings, master=master).to_json(), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.worker", str(job_file), str(results)]
        run_logged(command, log=first.job.store.logs / f"{name}.log", limit_s=LIMIT_S, results=results)


@contextmanager
def master_of(trial: Trial, folder: Path) -> Iterator[str]:
    """Spark's master for the trial: local mode, or a cluster that lives as long as the trial."""
    if not trial.workers:
        yield f"local[{len(trial.job.cpus)}]"
        return
    with standalone_cluster(folder, workers=trial.workers, memory=WORKER_MEMORY, pinned=trial.job.cpus) as cluster:
        yield cluster.url


@dataclass(frozen=True)
class Turn:
    """A sitting, and the number of its round."""

    number: int
    sitting: Sitting


def sittings(trials: Sequence[Trial]) -> list[Sitting]:
    """The trials in the order in which their processes first occur: one for each part, contender, model, processors and
    workers."""
    found: dict[Hashable, list[Trial]] = {}
    for trial in trials:
        job = trial.job
        found.setdefault((trial.part, job.contender, job.store.folder, job.cpus, trial.workers), []).append(trial)
    return [Sitting(part=its[0].part, trials=tuple(its)) for its in found.values()]


def in_rounds(all_of: Sequence[Sitting], *, rounds: Callable[[str], int]) -> Iterator[Turn]:
    """Part after part. In a part every contender has its turn, then every one again, so that drift affects all alike.

    `rounds` says how often, by the name of a part. Rounds count from 1.
    """
    for part in dict.fromkeys(sitting.part for sitting in all_of):
        its = [sitting for sitting in all_of if sitting.part == part]
        for number in range(1, rounds(part) + 1):
            yield from (Turn(number, sitting) for sitting in its)
