"""Order of the measurements, and what becomes of one that fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from benchmarks.errors import RunError
from benchmarks.job import Job, Store
from benchmarks.process import EXECUTOR_CLASS, PeakMemory, run_logged
from benchmarks.shape import TINY
from benchmarks.trials import Trial, in_rounds, measure


def trial(folder: Path, *, series: str = "notes", case: str = "stock") -> Trial:
    job = Job(
        contender=case,
        workload="notes",
        store=Store(folder=folder, shape=TINY, models=folder / "models"),
        rows=folder / "rows",
        warm_up=folder / "warm-up",
        cpus=tuple(os.sched_getaffinity(0)),
        master="",
    )
    return Trial(series=series, case=case, job=job, n_rows=1, n_pieces=1, n_windows=1)


def test_cases_of_a_series_take_turns(tmp_path: Path) -> None:
    trials = [trial(tmp_path, series=series, case=case) for series in ("long", "notes") for case in ("a", "b")]
    order = [(t.series, number, t.case) for number, t in in_rounds(trials, rounds={"long": 2, "notes": 1}.__getitem__)]
    of_long = [("long", number, case) for number in (1, 2) for case in ("a", "b")]
    assert order == [*of_long, ("notes", 1, "a"), ("notes", 1, "b")]


def test_a_failure_is_a_measurement_that_names_its_log(tmp_path: Path) -> None:
    found = measure(trial(tmp_path, case="nobody"), number=1)
    assert found.timing is None
    assert "ended with status 1" in found.error
    log = tmp_path / "logs" / "notes-nobody-1.log"
    assert str(log) in found.error
    assert "there is no contender 'nobody'" in log.read_text(encoding="utf-8")


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    # Both wait for input that nobody sends.
    child = f"import os, pathlib; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); input()"
    parent = f"import subprocess; subprocess.Popen([{sys.executable!r}, '-c', {child!r}], stdin=subprocess.PIPE).wait()"
    with pytest.raises(RunError, match="took more than 5 s"):
        run_logged([sys.executable, "-c", parent], log=tmp_path / "hangs.log", limit_s=5)
    pid = int(pid_file.read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


HELD = 200 * 2**20
HOLDING = f"held = bytearray({HELD}); held[::4096] = b'x' * len(held[::4096]); print('ready'); input()"


@contextmanager
def holding_child(*arguments: str) -> Iterator[None]:
    """A process that holds HELD bytes until left."""
    with subprocess.Popen(
        [sys.executable, "-uc", HOLDING, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield
        child.communicate("\n")


def memory_with_child(*arguments: str) -> PeakMemory:
    """Sampled while a child holds HELD bytes, and once more after it ended."""
    memory = PeakMemory()
    with holding_child(*arguments):
        memory.sample()
    memory.sample()
    return memory


def test_memory_of_children_counts_and_our_own_does_not() -> None:
    ours = bytearray(4 * HELD)
    ours[::4096] = b"x" * len(ours[::4096])
    memory = memory_with_child()
    assert HELD <= memory.peak_bytes < 2 * HELD
    assert memory.executor_bytes == 0


def test_memory_of_what_ran_before_does_not_count() -> None:
    """Such as the JVM of the tests' own Spark session."""
    with holding_child(), holding_child(EXECUTOR_CLASS):
        memory = memory_with_child()
    assert HELD <= memory.peak_bytes < 2 * HELD
    assert memory.executor_bytes == 0


def test_memory_of_an_executor_is_known_by_its_class() -> None:
    memory = memory_with_child(EXECUTOR_CLASS)
    assert HELD <= memory.executor_bytes < 2 * HELD
