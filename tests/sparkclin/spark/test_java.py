from __future__ import annotations

from pathlib import Path

import pytest

from sparkclin.spark.java import installed_java


def fake_java(folder: Path, version: str) -> Path:
    """A folder that is a JAVA_HOME whose Java says it is `version`."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-01' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    return folder


@pytest.mark.parametrize("version", ["8.0", "1.8.0_392", "11.0.22", "17.0.15", "17"])
def test_these_javas_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, version)))
    assert installed_java().problems() == []


@pytest.mark.parametrize("version", ["21.0.1", "1.7.0_80", "9", "24-ea"])
def test_other_javas_are_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, version)))
    (problem,) = installed_java().problems()
    assert version in problem
    assert str(tmp_path) in problem
    assert "Install Java 17" in problem
