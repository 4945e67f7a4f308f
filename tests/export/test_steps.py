"""What an export says on a terminal, and what it keeps from it."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest

from sparkclin.export.steps import SILENT, Steps

LOUD = """
import logging, os, sys, warnings
from sparkclin.export.steps import steps_alone
from sparkclin.errors import OptionError

try:
    with steps_alone() as steps:
        os.write(1, b"what the JVM says\\n")
        os.write(2, b"what TensorFlow says\\n")
        warnings.warn("what Python warns of")
        logging.getLogger("tensorflow").warning("what a logger warns of")
        from transformers.utils import logging as of_transformers
        of_transformers.get_logger("transformers.modeling_utils").warning("what transformers warns of")
        list(of_transformers.tqdm([1], desc="Loading weights"))
        print("a download goes on", file=sys.stderr)
        with steps.step("graph built"):
            pass
        {failure}
except OptionError:
    pass
print("the result")
os.write(1, b"and later\\n")
"""


def run(failure: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LOUD.format(failure=failure)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_steps_are_said_and_what_libraries_say_is_not() -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the result\nand later\n"
    assert re.fullmatch(r"a download goes on\n  graph built +\d+\.\d s\n", done.stderr)


def test_an_error_of_ours_speaks_for_itself() -> None:
    done = run("raise OptionError('wrong')")
    assert done.stdout == "the result\nand later\n"
    assert "TensorFlow" not in done.stderr


def test_what_libraries_said_is_shown_where_one_of_them_fails() -> None:
    done = run("raise RuntimeError('the engine fell over')")
    assert done.returncode == 1
    assert "what the JVM says\nwhat TensorFlow says\n" in done.stderr
    assert "RuntimeError: the engine fell over" in done.stderr


def test_elsewhere_than_on_a_terminal_plain_lines_say_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, items = io.StringIO(), [1, 2, 3]
    assert list(Steps(stream).each(items, "batches")) == items
    assert stream.getvalue() == ""  # it was quick
    monkeypatch.setattr("sparkclin.export.steps.PLAIN_LINE_EVERY_S", 0.0)
    assert list(Steps(stream).each(items, "batches")) == items
    assert stream.getvalue().splitlines() == [f"  batches: {done} of 3" for done in range(3)]


def test_nothing_is_said_where_nobody_listens() -> None:
    with SILENT.step("graph built"):
        SILENT.say("a line")
    assert list(SILENT.each([1, 2], "batches")) == [1, 2]
