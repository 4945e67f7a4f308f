"""Ctrl-C, and a JVM that is killed: a line and a status, no traceback, nothing left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sparkclin.errors import INTERRUPTED, OptionError
from sparkclin.runs.corpus import NoteSource
from sparkclin.runs.run import RunRequest
from sparkclin.runs.sink import Sink
from tests.sparkclin.processes import clean_environment, run_python

PLANTED = "Quackenbush"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """More than a minute of work."""
    file = tmp_path / "notes.jsonl"
    text = f"{PLANTED}, fever and chills. " * 1500
    file.write_text("".join(json.dumps({"note_id": str(n), "text": text}) + "\n" for n in range(2000)))
    return file


def started(notes: Path, errors: Path, *options: str) -> subprocess.Popen[bytes]:
    """A run, when its work has begun."""
    command = ["-m", "sparkclin", "embed", "--input", str(notes), "--output", str(notes.parent / "out"), *options]
    with errors.open("wb") as stream:
        run = subprocess.Popen(
            [sys.executable, *command], stdout=stream, stderr=stream, env=clean_environment(), start_new_session=True
        )
    deadline = time.monotonic() + 240
    writing = ".out.unfinished-*/rows/_temporary"
    while not any(notes.parent.glob(writing)) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(3)  # in the midst of it
    assert run.poll() is None, errors.read_text()
    return run


def what_is_said(run: subprocess.Popen[bytes], errors: Path) -> str:
    """In the end, beside the run's own lines and, after 30 s, its progress; no other file is there."""
    run.wait(timeout=120)
    said = errors.read_text()
    assert "Traceback" not in said
    assert PLANTED not in said
    assert sorted(path.name for path in errors.parent.iterdir()) == ["err", "notes.jsonl"]
    own = re.compile(r"\[\d\d:\d\d\] | {8}|embed +\d+%  ")
    lines = [line for line in re.split("[\r\n]+", said) if line.strip() and not own.match(line)]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("whole_group", [False, True], ids=["the driver", "as a terminal does"])
def test_ctrl_c_ends_a_run_in_a_line(notes: Path, tmp_path: Path, *, whole_group: bool) -> None:
    run = started(notes, tmp_path / "err")
    (os.killpg if whole_group else os.kill)(run.pid, signal.SIGINT)
    assert what_is_said(run, tmp_path / "err") == "interrupted: no output is left"
    assert run.returncode == INTERRUPTED


@pytest.mark.parametrize(
    "level", [*(pytest.param(level, marks=pytest.mark.release) for level in ("document", "sentence")), "token"]
)
def test_ctrl_c_ends_a_very_long_note(tmp_path: Path, level: str) -> None:
    """One of 2 million characters, which a single call of a worker reads. No worker is left."""
    file, text = tmp_path / "notes.jsonl", f"{PLANTED}, fever and chills. " * 70_000
    file.write_text(json.dumps({"note_id": "long", "text": text}) + "\n")
    run = started(file, tmp_path / "err", "--level", level)
    below = psutil.Process(run.pid).children(recursive=True)
    assert any("python" in process.name() for process in below)
    run.send_signal(signal.SIGINT)
    assert what_is_said(run, tmp_path / "err") == "interrupted: no output is left"
    assert run.returncode == INTERRUPTED
    assert psutil.wait_procs(below, timeout=30)[1] == []


def test_a_jvm_that_is_killed_is_said(notes: Path, tmp_path: Path) -> None:
    run = started(notes, tmp_path / "err")
    [java] = [child for child in psutil.Process(run.pid).children() if "java" in child.name()]
    java.kill()
    line = what_is_said(run, tmp_path / "err")
    assert line.startswith("error: JavaEnded while computing and writing; the process of Java, where Spark runs, was")
    assert run.returncode == 1


AFTER_JAVA = """
from contextlib import suppress
import logging, psutil
from py4j.protocol import Py4JError
from sparkclin.spark.interrupts import without_tracebacks
from sparkclin.spark.session import spark_session

with suppress(Py4JError, OSError), without_tracebacks():
    spark = spark_session(app_name="x", master="local[1]", spark_nlp=False)
    [java] = [child for child in psutil.Process().children() if "java" in child.name()]
    java.kill()
    java.wait()
    spark.range(1).count()
logging.exception("what a finalizer of py4j says of it")
"""


def test_after_java_was_killed_nothing_more_is_said_of_it() -> None:
    """As at the end of Python, when its objects in Java are given up."""
    ran = run_python(AFTER_JAVA)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("partitions", [0, -1, 1_000_001, 99_999_999_999])
def test_no_run_has_so_many_partitions(partitions: int) -> None:
    with pytest.raises(OptionError, match=r"there is at least one, and at most 1,000,000"):
        RunRequest(source=NoteSource(path="x"), sink=Sink(path="y"), partitions=partitions)
