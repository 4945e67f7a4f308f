"""`make demo` as a newcomer types it: a clean clone, a fresh environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_demo_runs_in_a_clean_clone(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is nothing to clone")
    clone = tmp_path / "sparkclin"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    # Nothing of this test run's own make, Python or Spark.
    ours = ("MAKE", "MFLAGS", "PYTHON", "PYSPARK", "SPARK", "TF_", "VIRTUAL_ENV")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    done = subprocess.run(
        ["make", "demo"],
        cwd=clone,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "out/demo" in done.stdout
    assert "notes: 60, all accounted for (without a vector: none)" in done.stdout
    report = json.loads((clone / "out" / "demo" / "_report.json").read_text())
    assert (report["counts"]["notes"], report["rows"]) == (60, 60)
    heavy = {path.name for path in clone.glob(".venv/lib/python3.11/site-packages/*")} & {"torch", "tensorflow"}
    assert heavy == set()
