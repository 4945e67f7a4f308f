import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkclin.runs import progress

CHILD = """
from sparkclin.runs.progress import terminal_or_stderr
with terminal_or_stderr() as stream:
    print("live" if stream.isatty() else "plain", file=stream, flush=True)
"""
# As spark-submit does: a process between the terminal and the program, whose output is a pipe.
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}], stdout=-1, stderr=-1)"


# Tasks that are longer than the line waits.
IN_A_NOTEBOOK = """
import time
from sparkclin.runs.progress import Work, shown
from sparkclin.spark.session import spark_session

def slowly(batches):
    time.sleep(2)
    yield from batches

spark = spark_session(master="local[2]", spark_nlp=False, settings={"spark.ui.enabled": "false"})
frame = spark.range(8).repartition(4).mapInArrow(slowly, "id long")
with shown(spark.sparkContext, Work(name="count", group="a cell", n_notes=8, n_tasks=4)):
    frame.toPandas()
"""


def test_a_line_says_how_far_the_rate_and_what_is_left() -> None:
    assert progress.line("embed", 24, 60, elapsed_s=12.0) == "embed  40%  24/60 [00:12<00:18,  2.00note/s]"


UNDER_SPARK_SUBMIT = {**os.environ, "PYSPARK_GATEWAY_PORT": "1"}


def test_the_terminal_behind_spark_submit_is_found() -> None:
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", PARENT], stderr=theirs, env=UNDER_SPARK_SUBMIT, check=True)
    os.close(theirs)
    assert os.read(ours, 100).strip() == b"live"


def test_without_a_terminal_lines_go_to_stderr_and_its_file_is_not_touched(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("a") as stream:
        parent = [sys.executable, "-c", PARENT.replace("stderr=-1", "stderr=2")]
        subprocess.run(parent, stderr=stream, env=UNDER_SPARK_SUBMIT, check=True)
    assert log.read_text() == "before\nplain\n"


def test_a_command_that_spark_submit_did_not_start_writes_where_its_stderr_goes(tmp_path: Path) -> None:
    """Whatever its parent, such as a shell, has for its own."""
    ours, theirs = pty.openpty()
    for stderr, shown in ((f"open({str(tmp_path / 'log')!r}, 'w')", "plain"), ("2", "live")):
        parent = PARENT.replace("stderr=-1", f"stderr={stderr}")
        subprocess.run([sys.executable, "-c", parent], stderr=theirs, check=True)
        if shown == "live":
            os.close(theirs)
            assert os.read(ours, 100).strip() == b"live"
    assert (tmp_path / "log").read_text() == "plain\n"


def test_in_a_notebook_the_line_is_below_the_cell() -> None:
    """And not on the terminal of its server, where there is one."""
    nbformat = pytest.importorskip("nbformat", reason="needs a notebook's packages")
    nbclient = pytest.importorskip("nbclient", reason="needs a notebook's packages")
    cell = nbformat.v4.new_code_cell(IN_A_NOTEBOOK)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    ours, theirs = pty.openpty()
    before = os.dup(2)
    os.dup2(theirs, 2)  # the kernel's parent, this process, has a terminal
    try:
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    finally:
        os.dup2(before, 2)
        for opened in (before, theirs):
            os.close(opened)
    shown = "".join(output.text for output in cell.outputs if output.name == "stderr")
    assert re.search(r"\rcount .*/8 \[", shown)
    os.set_blocking(ours, False)
    with suppress(BlockingIOError, OSError):
        assert b"count" not in os.read(ours, 10_000)
    os.close(ours)


def test_elsewhere_is_no_notebook() -> None:
    assert not progress.in_notebook()


def test_notes_are_counted_by_the_tasks_that_ended(spark: SparkSession) -> None:
    work = progress.Work(name="count", group="counted", n_notes=50, n_tasks=5)
    assert work.notes_done(spark.sparkContext) == 0
    with progress.shown(spark.sparkContext, work):
        spark.range(50).repartition(5).write.format("noop").mode("overwrite").save()
    assert work.notes_done(spark.sparkContext) == 50


@pytest.mark.parametrize("adaptive", ["true", "false"])
def test_only_the_stage_that_does_the_work_counts(spark: SparkSession, adaptive: str) -> None:
    """The notes are read by as many tasks before, and other jobs of the group have stages of other numbers of tasks."""
    work = progress.Work(name="count", group=f"one stage, {adaptive}", n_notes=50, n_tasks=5)
    before = spark.conf.get("spark.sql.adaptive.enabled", "true")
    assert before is not None
    spark.conf.set("spark.sql.adaptive.enabled", adaptive)
    try:
        with progress.shown(spark.sparkContext, work):
            read = spark.range(0, 50, 1, 5)
            read.write.format("noop").mode("overwrite").save()
            read.repartition(3).write.format("noop").mode("overwrite").save()
            assert work.notes_done(spark.sparkContext) == 0
            read.repartition(5).write.format("noop").mode("overwrite").save()
            assert work.notes_done(spark.sparkContext) == 50
    finally:
        spark.conf.set("spark.sql.adaptive.enabled", before)


@pytest.mark.parametrize("mine", [("my group", "my jobs"), (None, None)], ids=["a group", "none"])
def test_the_thread_s_own_job_group_is_restored(spark: SparkSession, mine: tuple[str | None, str | None]) -> None:
    context, names = spark.sparkContext, ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")
    for name, value in zip(names, (*mine, None), strict=True):
        context.setLocalProperty(name, value)  # type: ignore[arg-type]
    with progress.shown(context, progress.Work(name="count", group="ours", n_notes=1, n_tasks=1)):
        assert context.getLocalProperty("spark.jobGroup.id") == "ours"
    assert [context.getLocalProperty(name) for name in names] == [*mine, None]
