"""Only what is certain is said of a session before it starts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkclin.spark.beforehand import Beforehand, look_ahead
from sparkclin.spark.options import SessionOptions
from tests.sparkclin.processes import run_python

SHOW = """
import json, sys
from sparkclin.spark.beforehand import look_ahead
from sparkclin.spark.options import SessionOptions
ahead = look_ahead(SessionOptions(**json.loads(sys.argv[1])))
print(json.dumps(vars(ahead)))
"""


def look(options: Mapping[str, object] | None = None, **env: str) -> Beforehand:
    """In a process without a session, and without the environment's own configuration of Spark."""
    done = run_python(SHOW, json.dumps(options or {}), env=env)
    return Beforehand(**json.loads(done.stdout))


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """An empty folder for Spark's configuration."""
    folder = tmp_path / "conf"
    folder.mkdir()
    return folder


def test_one_machine_without_hadoop_is_known(conf: Path) -> None:
    found = look(SPARK_CONF_DIR=str(conf))
    assert found == Beforehand(bare_is_local=True, runs_here=True)
    assert found.is_local("notes")
    assert found.is_local("file:/notes")
    assert not found.is_local("s3a://bucket/notes")


@pytest.mark.parametrize("variable", ["HADOOP_CONF_DIR", "YARN_CONF_DIR", "PYSPARK_SUBMIT_ARGS"])
def test_a_variable_may_lead_to_another_file_system(variable: str, conf: Path) -> None:
    found = look({}, SPARK_CONF_DIR=str(conf), **{variable: "x"})
    assert not found.is_local("notes")
    assert found.is_local("file:///notes")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("core-site.xml", "<configuration/>"),
        ("spark-env.sh", "export HADOOP_CONF_DIR=/etc/hadoop\n"),
        ("spark-defaults.conf", "spark.hadoop.fs.defaultFS hdfs://name\n"),
        ("spark-defaults.conf", "spark.driver.extraClassPath /etc/hadoop\n"),
    ],
)
def test_so_may_a_file_of_sparks_configuration(file: str, content: str, conf: Path) -> None:
    (conf / file).write_text(content)
    assert not look(SPARK_CONF_DIR=str(conf)).bare_is_local


def test_so_may_a_folder_on_the_class_path(conf: Path) -> None:
    assert look(SPARK_CONF_DIR=str(conf), SPARK_DIST_CLASSPATH="/nowhere/*").bare_is_local
    assert not look(SPARK_CONF_DIR=str(conf), SPARK_DIST_CLASSPATH=f"/nowhere/*:{conf}").bare_is_local


def test_and_a_setting(conf: Path) -> None:
    for file_system, local in (("hdfs://name", False), ("file:///", True)):
        asked = {"settings": {"spark.hadoop.fs.defaultFS": file_system}}
        assert look(asked, SPARK_CONF_DIR=str(conf)).bare_is_local is local


@pytest.mark.parametrize(
    ("master", "here"), [("local[2]", True), ("local[*]", True), ("spark://name:7077", False), ("yarn", False)]
)
def test_tasks_run_here_with_a_local_master(master: str, here: bool, conf: Path) -> None:  # noqa: FBT001
    assert look({"master": master}, SPARK_CONF_DIR=str(conf)).runs_here is here


def test_and_with_this_python_only(conf: Path) -> None:
    assert look(SPARK_CONF_DIR=str(conf), PYSPARK_PYTHON=sys.executable).runs_here
    assert not look(SPARK_CONF_DIR=str(conf), PYSPARK_PYTHON="python3").runs_here


def test_a_running_session_is_asked(spark: SparkSession) -> None:
    assert look_ahead(SessionOptions(master="yarn")) == Beforehand(
        bare_is_local=True, runs_here=os.environ.get("PYSPARK_PYTHON", sys.executable) == sys.executable
    )
    conf = spark._jsc.hadoopConfiguration()
    before = conf.get("fs.defaultFS")
    conf.set("fs.defaultFS", "viewfs://storage/")
    try:
        assert not look_ahead(SessionOptions()).is_local("notes")
    finally:
        conf.set("fs.defaultFS", before)
