"""Fresh Python processes, for what only happens when a session starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def run_python(code: str, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `code` in this environment's Python."""
    return run([sys.executable, "-c", code, *arguments], env=env)


def run(command: list[str], *, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder `/`, without this process's Spark settings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYSPARK", "SPARK", "TF_"))}
    full = {**clean, "PYTHONPATH": str(CHECKOUT), **(env or {})}
    return subprocess.run(command, env=full, cwd="/", capture_output=True, text=True, check=False, timeout=600)
