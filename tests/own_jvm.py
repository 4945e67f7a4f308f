"""Tests that need other jars than the session that all tests share, and so a JVM of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def check_tests(file: Path, **environment: str) -> None:
    """Run the tests of a file in a process of its own, and fail as they do."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "--show-capture=no", str(file)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
