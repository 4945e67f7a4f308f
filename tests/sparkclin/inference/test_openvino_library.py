"""OpenVINO sends no telemetry: a hospital's machine must not report to anybody. The cache of oneDNN is bounded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

CACHE_VARIABLE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"

SEEN = """
import sys
import {module}
print(*sorted(name for name, module in sys.modules.items() if module and name.startswith("openvino_telemetry")))
"""


def imported_telemetry(module: str, *, home: Path) -> list[str]:
    """Return the modules of it that a fresh process has after importing `module`."""
    environment = {**os.environ, "HOME": str(home), "CI": "true"}  # with which it would send nothing in this test
    return printed(SEEN.format(module=module), environment)


def printed(code: str, environment: Mapping[str, str]) -> list[str]:
    """Return the words that a fresh process prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("module", ["sparkclin.inference.openvino", "sparkclin.export.graph.openvino"])
def test_it_is_not_imported(module: str, tmp_path: Path) -> None:
    assert imported_telemetry(module, home=tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("given", "expected"), [(None, "64"), ("7", "7")], ids=["default", "the user's"])
def test_onednn_keeps_a_bounded_number_of_primitives(given: str | None, expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != CACHE_VARIABLE}
    environment |= {CACHE_VARIABLE: given} if given else {}
    code = f"import os, sparkclin.inference.openvino; print(os.environ[{CACHE_VARIABLE!r}])"
    assert printed(code, environment) == [expected]


def test_openvino_by_itself_imports_it(tmp_path: Path) -> None:
    """Else there would be nothing to keep out."""
    assert "openvino_telemetry.main" in imported_telemetry("openvino", home=tmp_path)
