"""The progress of a long run: notes done, rate, time left; a live line on a terminal and in a notebook, else plain
lines."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

from sparkclin.runs.pace import Pace
from sparkclin.spark.session import under_spark_submit

if TYPE_CHECKING:
    from pyspark import SparkContext

OF_A_GROUP = ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")
"""The properties of a thread that setJobGroup() sets."""

POLL_S = 1.0
PLAIN_LINE_EVERY_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """`n_notes` notes spread evenly over the `n_tasks` tasks that end the work `name`, in the job group `group`."""

    name: str
    group: str
    n_notes: int
    n_tasks: int

    def notes_done(self, context: SparkContext) -> int:
        """Return the number by the tasks that have ended: a task's notes count when all of them are written."""
        tracker = context.statusTracker()
        jobs = [job for number in tracker.getJobIdsForGroup(self.group) if (job := tracker.getJobInfo(number))]
        # The notes are dealt out first: with adaptive execution by a job of its own, of a single stage. The last stage
        # of a job of several does the work. Delta Lake writes its log by other jobs, of other numbers of tasks.
        stages = [tracker.getStageInfo(max(job.stageIds)) for job in jobs if len(job.stageIds) > 1]
        done = max((stage.numCompletedTasks for stage in stages if stage and stage.numTasks == self.n_tasks), default=0)
        return round(self.n_notes * done / self.n_tasks)


@contextmanager
def shown(context: SparkContext, work: Work) -> Iterator[Pace]:
    """Show the progress of the Spark jobs that this thread starts inside the block, and yield its record. The thread's
    own job group is restored at the end."""
    before = {name: context.getLocalProperty(name) for name in OF_A_GROUP}
    context.setJobGroup(work.group, f"sparkclin: {work.n_notes} notes")
    finished, pace = threading.Event(), Pace()
    with terminal_or_stderr() as stream:
        began_s, last = time.monotonic(), ""
        thread = threading.Thread(target=_show, args=(context, work, stream, finished, pace), daemon=True)
        thread.start()
        try:
            yield pace
            last = line(work.name, work.n_notes, work.n_notes, elapsed_s=time.monotonic() - began_s)
        finally:
            finished.set()
            thread.join()
            if is_live(stream):
                print(f"\r{last}", file=stream, flush=True)
            with suppress(OSError):  # Java has ended, and the block has raised that
                for name, value in before.items():
                    context.setLocalProperty(name, value)  # type: ignore[arg-type]  # None removes it


@contextmanager
def terminal_or_stderr() -> Iterator[TextIO]:
    """Yield the stream for progress. spark-submit runs a Python program with a pipe for its output, and keeps the
    terminal."""
    terminal = _open_terminal(Path(f"/proc/{os.getppid()}/fd/2")) if under_spark_submit() else None
    if terminal is None:
        yield sys.stderr
        return
    with terminal:
        yield terminal


def is_live(stream: TextIO) -> bool:
    """Return whether a line on it can be written over."""
    return stream.isatty() or in_notebook()


def in_notebook() -> bool:
    """Return whether a notebook's kernel runs this process: its stderr is shown below the cell."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config


def _open_terminal(device: Path) -> TextIO | None:
    """`device` for writing where it is a terminal that may be written to; None elsewhere, or without /proc."""
    with suppress(OSError):
        if device.is_char_device():  # to open a log file for writing would empty it
            stream = device.open("w")
            if stream.isatty():
                return stream
            stream.close()
    return None


def _show(context: SparkContext, work: Work, stream: TextIO, finished: threading.Event, pace: Pace) -> None:
    from py4j.protocol import Py4JError

    live = is_live(stream)
    started_s = last_line_s = time.monotonic()
    while not finished.wait(POLL_S):
        now_s = time.monotonic()
        try:
            done = work.notes_done(context)
        except (Py4JError, OSError):  # Java has ended: the run reports that
            break
        pace.add(now_s - started_s, done)
        if live or now_s - last_line_s >= PLAIN_LINE_EVERY_S:
            last_line_s = now_s
            text = line(work.name, done, work.n_notes, elapsed_s=now_s - started_s)
            print(f"\r{text}" if live else text, end="" if live else "\n", file=stream, flush=True)


def line(name: str, done: int, total: int, *, elapsed_s: float) -> str:
    """`embed  40%  24/60 [00:12<00:18, 2.00 note/s]`"""
    meter = tqdm.format_meter(
        done,
        total,
        elapsed_s,
        unit="note",
        bar_format="{percentage:3.0f}%  {n}/{total} [{elapsed}<{remaining}, {rate_fmt}]",
    )
    return f"{name} {meter}"
