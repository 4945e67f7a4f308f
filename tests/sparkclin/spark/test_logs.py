from __future__ import annotations

import re
from pathlib import Path

import pytest

from sparkclin.spark.logs import LOG_FILE, LOGGING, log_settings
from sparkclin.spark.scratch import JAVA_OPTIONS


@pytest.fixture(autouse=True)
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Spark's folder for configuration, which is empty."""
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    return tmp_path


def test_a_jvm_that_nobody_configures_logs_what_goes_wrong() -> None:
    found = log_settings({JAVA_OPTIONS: "-Xss2m"})[JAVA_OPTIONS]
    file = re.fullmatch(r'-Xss2m "-Dlog4j2\.configurationFile=file://(/.+)"', found)
    assert file
    assert Path(file[1]).read_text(encoding="utf-8") == LOGGING


def test_a_configured_one_is_left_alone(conf: Path) -> None:
    assert log_settings({JAVA_OPTIONS: "-Dlog4j2.configurationFile=mine"}) == {}
    (conf / LOG_FILE).touch()
    assert log_settings({}) == {}
