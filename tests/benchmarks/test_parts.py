"""The tasks and the attentions are measured, from the command line to the pictures: in this process and its session,
where test_smoke.py starts a process per measurement."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ours, process, stock, trials
from benchmarks.__main__ import main
from benchmarks.attention import ATTENTION, PATTERNS, row_lengths
from benchmarks.errors import RunError
from benchmarks.run import RunOptions
from benchmarks.shape import TINY
from benchmarks.tasks import EMBED, TASKS

pytestmark = [pytest.mark.release, pytest.mark.export, pytest.mark.usefixtures("spark", "_here")]

WITH_A_HEAD = [task for task in TASKS if task != EMBED]
ENVIRONMENT = RunOptions.work / "stock-environment"


def run_here(command: Sequence[str], *, log: Path, **others: Any) -> None:
    """As run_logged(), but what is a module of ours runs in this process."""
    if command[1] != "-m" or command[2] == "pip":
        process.run_logged(command, log=log, **others)
    elif import_module(command[2]).main(command[3:]):
        raise RunError(f"{command[2]} failed")


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ours, stock, trials):
        monkeypatch.setattr(module, "run_logged", run_here)


def measured(out: Path, *only: str, work: Path) -> Mapping[tuple[str, str], Any]:
    """What a smoke run of these parts measures, by series and case."""
    assert main(["--smoke", "--only", *only, "--out", str(out), "--work", str(work)]) == 0
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    found = {(m["series"], m["case"]): m for m in results["measurements"]}
    assert all(m["timing"]["rows"] == m["n_rows"] > 0 for m in found.values())
    return found


@pytest.mark.filterwarnings("ignore:a Spark session is already running")
def test_tasks_and_attentions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contenders = ["transformers fp32", "sparkclin onnx fp32"]
    names = [task.name for task in WITH_A_HEAD]
    found = measured(tmp_path / "out", *contenders, *names, ATTENTION, work=tmp_path / "work")
    of_tasks = [(task.of(w), contender) for task in WITH_A_HEAD for contender in contenders for w in task.workloads]
    of_attention = [(ATTENTION, pattern.case(length)) for pattern in PATTERNS for length in row_lengths(TINY)]
    assert list(found) == [*of_tasks, *of_attention]
    assert all(m["n_flops"] > 0 for (series, _), m in found.items() if series == ATTENTION)
    assert {file.name for file in (tmp_path / "out").glob("*.png")} == {"tasks.png", "attention.png"}
    text = capsys.readouterr().out
    assert "| sparkclin onnx fp32 ÷ transformers fp32 " in text
    assert "| bigbird " in text


@pytest.mark.skipif(
    not (ENVIRONMENT / "ready").is_file() or not stock.SCRIPT.is_file(),
    reason="needs the stock peer's script, and its environment, which make bench makes",
)
@pytest.mark.filterwarnings("ignore:a Spark session is already running")
def test_the_stock_annotators_with_a_head(tmp_path: Path) -> None:
    """Their export takes half a minute each; what it made is kept beside the environment."""
    found = measured(tmp_path / "out", "stock", *(task.name for task in WITH_A_HEAD), work=RunOptions.work)
    assert list(found) == [(task.of(workload), "stock") for task in WITH_A_HEAD for workload in task.workloads]
