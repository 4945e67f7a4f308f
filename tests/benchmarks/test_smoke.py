"""The benchmark runs, from the command line to the pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import memory, profile, shapes
from benchmarks.profile import LINEAR
from benchmarks.workloads import WORKLOADS
from testkit.material import CHECKOUT

pytestmark = [pytest.mark.release, pytest.mark.export]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the checkpoint and the bundle that all runs share."""
    return tmp_path_factory.mktemp("work")


def test_smoke(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--out", str(out), "--work", str(work)]
    done = subprocess.run(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    measured = results["measurements"]
    contenders = ("transformers fp32", "onnxruntime fp32", "sparkclin onnx fp32")
    assert [(m["contender"], m["series"]) for m in measured] == [(c, w) for c in contenders for w in WORKLOADS]
    assert all(m["timing"]["rows"] == m["n_rows"] > 0 for m in measured)
    # Each contender loads once, before its first workload.
    assert [m["timing"]["load_s"] > 0 for m in measured] == [True, False, False] * len(contenders)
    # A JVM with its Python workers; the raw engine is a single process.
    assert all(m["peak_memory_bytes"] > (2**29 if "onnxruntime" not in m["contender"] else 2**26) for m in measured)
    assert (out / "results.png").is_file()
    assert "| notes" in done.stdout
    assert "embed: 9 cases in 3 processes, 1 of each" in done.stdout


def test_the_profile_of_the_same_models(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert profile.main(["--smoke", "--work", str(work)]) == 0
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["share of the time", "sentences fp32"]
    shares = dict(row for row in rows[2:-1])
    assert int(shares[LINEAR].rstrip("%")) > 0
    assert sum(int(share.rstrip("%")) for share in shares.values()) == pytest.approx(100, abs=len(shares))


def test_the_memory_by_shapes(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shapes.main(["--smoke", "--work", str(work), "--shapes", "100"]) == 0
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]
    named = [(cells[0], cells[1]) for cells in table if cells[0].endswith("fp32")]
    bounded = [("openvino fp32", f"{capacity:,}") for capacity in shapes.CAPACITIES]
    assert named == [*bounded, ("onnx fp32", "–"), ("tensorflow fp32", "–")]


def test_the_memory_of_workers(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert memory.main(["--smoke", "--work", str(work)]) == 0
    assert "| bf16 " in capsys.readouterr().out
