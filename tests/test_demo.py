"""`make demo` as a newcomer types it: a clean clone, a fresh environment."""

from __future__ import annotations

import json

import pytest

from tests.installation import Demo

pytestmark = pytest.mark.slow


def test_the_demo_runs_in_a_clean_clone(demo: Demo) -> None:
    assert demo.make.returncode == 0, (demo.make.stdout + demo.make.stderr)[-3000:]
    assert "\nout/demo\n- notes: 60, all accounted for (without text: none)\n" in demo.make.stdout
    report = json.loads((demo.clone / "out" / "demo" / "_report.json").read_text(encoding="utf-8"))
    assert (report["counts"]["notes"], report["rows"]) == (60, 60)


def test_the_demo_installs_no_library_that_only_export_and_training_need(demo: Demo) -> None:
    packages = {path.name for path in demo.clone.glob(".venv/lib/python*/site-packages/*")}
    assert "pyspark" in packages
    assert packages & {"torch", "tensorflow", "transformers", "onnx", "onnxruntime"} == set()
