from __future__ import annotations

import sys
import time

import pytest
from pyspark.sql import SparkSession

from sparkclin.runs.console import Console
from tests.sparkclin.processes import run, run_python

AGE = "from sparkclin.runs.console import Console; print(Console.of_command().wall_s)"


def test_lines_have_the_time_since_the_command_began(capsys: pytest.CaptureFixture[str]) -> None:
    Console(began_s=time.monotonic() - 125).say("60 notes", "in 8 tasks")
    assert capsys.readouterr().err == "[02:05] 60 notes\n        in 8 tasks\n"


def test_a_command_begins_with_its_process() -> None:
    """Which began before Python could look at a clock."""
    slow = "import time; began = time.monotonic(); time.sleep(0.5)\n"
    age_s, since_s = map(float, run_python(f"{slow}{AGE}\nprint(time.monotonic() - began)").stdout.split())
    assert since_s <= age_s + 0.02  # the kernel counts in hundredths
    assert age_s < since_s + 20


def test_with_spark_submit_it_begins_with_that() -> None:
    """Its launchers are scripts that end with the next one, and Java last: one process, Python's parent."""
    script = f'sleep 0.5; PYSPARK_GATEWAY_PORT=1 "$0" -c "{AGE}"; exit'
    done = run(["sh", "-c", script, sys.executable])
    assert float(done.stdout) >= 0.5


def test_where_spark_runs_already_it_begins_now(spark: SparkSession) -> None:
    assert spark.version
    assert Console.of_command().wall_s < 1
