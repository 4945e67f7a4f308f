"""Order of the measurements, and what becomes of one that fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks import trials, worker
from benchmarks.contenders import STOCK
from benchmarks.errors import RunError
from benchmarks.job import Done, Job, Reading, Running, Store, Timing
from benchmarks.process import EXECUTOR_CLASS, PeakMemory, run_logged
from benchmarks.shape import TINY
from benchmarks.trials import Trial, in_rounds, measure, memory_of, sittings


def trial(folder: Path, *, part: str = "embed", series: str = "notes", case: str = "stock") -> Trial:
    job = Job(
        contender=case,
        store=Store(folder=folder, shape=TINY, models=folder / "models"),
        readings=(Reading(workload="notes", rows=folder / "rows" / series, warm_up=folder / "warm-up"),),
        cpus=tuple(os.sched_getaffinity(0)),
        master="",
    )
    return Trial(part=part, series=series, case=case, job=job, n_rows=1, n_pieces=1, n_windows=1)


def test_contenders_take_turns_and_read_all_workloads_in_theirs(tmp_path: Path) -> None:
    planned = [
        trial(tmp_path, part=part, series=series, case=case)
        for part, of_part in (("embed", ("notes", "long")), ("answer", ("answer notes",)))
        for series in of_part
        for case in ("a", "b")
    ]
    turns = list(in_rounds(sittings(planned), rounds={"embed": 2, "answer": 1}.__getitem__))
    order = [(turn.number, *((t.case, t.series) for t in turn.sitting.trials)) for turn in turns]
    of_embed = [(number, (case, "notes"), (case, "long")) for number in (1, 2) for case in ("a", "b")]
    assert order == [*of_embed, (1, ("a", "answer notes")), (1, ("b", "answer notes"))]


def test_what_differs_in_more_than_its_rows_has_a_process_of_its_own(tmp_path: Path) -> None:
    one = trial(tmp_path)
    fewer = replace(one, job=replace(one.job, cpus=one.job.cpus[:1]))
    on_cluster = replace(one, workers=1)
    elsewhere = trial(tmp_path / "other")
    assert [len(sitting.trials) for sitting in sittings([one, fewer, on_cluster, elsewhere, one])] == [2, 1, 1, 1]


def test_a_failure_is_a_measurement_that_names_its_log(tmp_path: Path) -> None:
    [found] = measure(*sittings([trial(tmp_path, case="nobody")]), number=1)
    assert found.timing is None
    assert "ended with status 1" in found.error
    log = tmp_path / "logs" / "notes-nobody-1.log"
    assert str(log) in found.error
    assert "there is no contender 'nobody'" in log.read_text(encoding="utf-8")


LOADED, BROKEN, SHORT = "loaded", "broken", "short"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A contender in this process, which fails at BROKEN rows and leaves one of SHORT ones out; what it does."""
    done: list[str] = []

    def read(folder: Path, _workload: str) -> int:
        done.append(folder.name)
        if folder.name == BROKEN:
            raise RuntimeError("it fell over")
        return 0 if folder.name == SHORT else 1

    def start(_job: Job) -> Running:
        done.append(LOADED)
        return Running(read=read, settings={})

    def run_here(command: Sequence[str], *, log: Path, **_others: object) -> None:
        try:
            worker.main(command[3:])
        except RuntimeError as error:
            raise RunError(f"{error}; see {log}") from None

    monkeypatch.setattr(worker, "find_contender", lambda _name: replace(STOCK, start=start))
    monkeypatch.setattr(trials, "run_logged", run_here)
    return done


def test_one_process_reads_all_and_loads_once(tmp_path: Path, reads: list[str]) -> None:
    [sitting] = sittings([trial(tmp_path, series=series) for series in ("sentences", "notes", "long")])
    found = list(measure(sitting, number=2))
    assert reads == [LOADED, "warm-up", "sentences", "warm-up", "notes", "warm-up", "long"]
    assert [(m.series, m.round, m.error) for m in found] == [(name, 2, "") for name in ("sentences", "notes", "long")]
    timings = [m.timing for m in found]
    assert all(timing is not None and timing.elapsed_s >= 0 for timing in timings)
    assert [timing is not None and timing.load_s > 0 for timing in timings] == [True, False, False]


def test_a_failure_does_not_lose_the_other_readings(tmp_path: Path, reads: list[str]) -> None:
    [sitting] = sittings([trial(tmp_path, series=series) for series in ("sentences", BROKEN, SHORT, "long")])
    found = {m.series: m for m in measure(sitting, number=1)}
    assert list(found) == ["sentences", BROKEN, SHORT, "long"]
    assert reads.count(LOADED) == 2  # a new process goes on behind what failed
    assert reads.count("sentences") == reads.count("long") == 1
    assert found["sentences"].timing is not None
    assert found["long"].timing is not None
    assert "it fell over" in found[BROKEN].error
    assert found[SHORT].error == "0 of 1 rows got a result"


def test_the_limit_begins_again_with_each_result(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    # Each wait is shorter than the limit, all of them together are longer; the last one never ends.
    script = f"import pathlib, time\nfor i in range(3): time.sleep(1.5); pathlib.Path({str(results)!r}, str(i)).touch()"
    command = [sys.executable, "-c", script]
    run_logged(command, log=tmp_path / "slow.log", limit_s=3, results=results)
    with pytest.raises(RunError, match="took more than 3 s"):
        run_logged(command, log=tmp_path / "slow.log", limit_s=3)


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


def test_memory_of_a_reading_is_that_of_loading_and_its_own() -> None:
    """Not what another reading of the process took."""
    memory = PeakMemory()
    memory.sample()
    begin_s = time.monotonic()
    with holding_child():
        memory.sample()
    end_s = time.monotonic()
    memory.sample()
    timing = Timing(rows=1, load_s=0, warm_up_s=0, elapsed_s=0, settings={})
    first = Done(timing=timing, began_s=begin_s, ended_s=end_s)
    second = Done(timing=timing, began_s=end_s, ended_s=time.monotonic())
    assert memory_of(first, first, memory).peak_bytes >= HELD
    assert memory_of(second, first, memory).peak_bytes < HELD


def test_memory_of_what_ran_before_does_not_count() -> None:
    """Such as the JVM of the tests' own Spark session."""
    with holding_child(), holding_child(EXECUTOR_CLASS):
        memory = memory_with_child()
    assert HELD <= memory.peak_bytes < 2 * HELD
    assert memory.executor_bytes == 0


def test_memory_of_an_executor_is_known_by_its_class() -> None:
    memory = memory_with_child(EXECUTOR_CLASS)
    assert HELD <= memory.executor_bytes < 2 * HELD
