"""The benchmark runs, from the command line to the pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.material import CHECKOUT

pytestmark = [pytest.mark.slow, pytest.mark.export]


def test_smoke(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--out", str(out), "--work", str(tmp_path / "work")]
    done = subprocess.run(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    measured = {measurement["contender"]: measurement for measurement in results["measurements"]}
    assert set(measured) == {"transformers fp32", "onnxruntime fp32", "sparkclin onnx fp32"}
    assert all(m["timing"]["rows"] == m["n_rows"] > 0 for m in measured.values())
    # A JVM with its Python workers; the raw engine is a single process.
    assert all(m["peak_memory_bytes"] > (2**29 if "onnxruntime" not in name else 2**26) for name, m in measured.items())
    assert (out / "results.png").is_file()
    assert "| notes" in done.stdout
