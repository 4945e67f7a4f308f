"""Fresh Python processes, for what only happens when a session starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]

OURS = ("ARGS", "MAKE", "MFLAGS", "PYTHON", "PYSPARK", "SPARK", "TF_", "VIRTUAL_ENV")
"""Variables of this test run's own make, Python and Spark begin with one of these."""

JVM_OPTIONS = "SPARK_SUBMIT_OPTS"
"""The exception: it starts the JVM of a test in half the time (tests/conftest.py), and changes nothing else."""


def clean_environment() -> dict[str, str]:
    """Return the variables that a newcomer has."""
    return {key: value for key, value in os.environ.items() if key == JVM_OPTIONS or not key.startswith(OURS)}


def run_python(code: str, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `code` in this environment's Python."""
    return run([sys.executable, "-c", code, *arguments], env=env)


def run(command: list[str], *, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder `/`, without this process's Spark settings."""
    full = {**clean_environment(), "PYTHONPATH": str(CHECKOUT), **(env or {})}
    return subprocess.run(command, env=full, cwd="/", capture_output=True, text=True, check=False, timeout=600)
