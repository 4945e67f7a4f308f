"""The example of docs/how-to/restart.md: vectors in runs of different partitions are equal up to rounding."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from sparkclin.cli import main
from testkit.demo import DEMO_NOTES

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "restart.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\.venv/bin/sparkclin (embed .*)$", PAGE, re.MULTILINE)
[CODE] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ROUNDING = 1e-6


@pytest.mark.release
def test_the_partitions_change_vectors_by_rounding_only(
    spark: SparkSession,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 2
    for command in COMMANDS:
        words = [str(DEMO_NOTES) if word.endswith("notes.jsonl") else word for word in shlex.split(command)]
        words = [str(tmp_path / word) if word.startswith("in_") else word for word in words]  # Java's folder is another
        assert main(words) == 0
    found: dict[str, Any] = {}
    exec(CODE, found)
    assert found["difference"].shape == (60, 192)
    assert found["difference"].max() <= ROUNDING
