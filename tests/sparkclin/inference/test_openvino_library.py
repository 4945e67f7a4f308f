"""OpenVINO's telemetry stays out: a hospital's machine reports nothing to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SEEN = """
import sys
import {module}
print(*sorted(name for name, module in sys.modules.items() if module and name.startswith("openvino_telemetry")))
"""


def imported_telemetry(module: str, *, home: Path) -> list[str]:
    """The modules of it that a fresh process has after importing `module`."""
    command = [sys.executable, "-c", SEEN.format(module=module)]
    environment = {**os.environ, "HOME": str(home), "CI": "true"}  # with which it would send nothing in this test
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("module", ["sparkclin.inference.openvino", "sparkclin.export.graph.openvino"])
def test_it_is_not_imported(module: str, tmp_path: Path) -> None:
    assert imported_telemetry(module, home=tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_openvino_by_itself_imports_it(tmp_path: Path) -> None:
    """Else there would be nothing to keep out."""
    assert "openvino_telemetry.main" in imported_telemetry("openvino", home=tmp_path)
