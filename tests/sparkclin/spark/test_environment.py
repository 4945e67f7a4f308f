from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pyspark
import pytest

from sparkclin.errors import SetupError
from sparkclin.spark.environment import Installation, find_installation, set_up
from sparkclin.spark.settings import defaults_conf, parse_defaults_conf
from tests.sparkclin.processes import run

PYSPARK = Path(pyspark.__file__).parent


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """The layout of a pip-installed pyspark: its own `conf` and launcher, the rest by links to the installed one."""
    home, launcher = tmp_path / "lib" / "pyspark", tmp_path / "bin" / "spark-submit"
    home.mkdir(parents=True)
    launcher.parent.mkdir()
    for part in ("bin", "jars", "python"):
        (home / part).symlink_to(PYSPARK / part)
    shutil.copy(PYSPARK / "bin" / "spark-submit", launcher)
    return Installation(spark_home=home, launcher=launcher, python=Path(sys.executable))


def contents(installation: Installation) -> dict[Path, bytes]:
    files = [installation.launcher, *(installation.spark_home / "conf").glob("*")]
    return {path: path.read_bytes() for path in files}


def test_the_running_environments_pyspark_is_found() -> None:
    found = find_installation()
    assert found.spark_home == PYSPARK
    assert found.python == Path(sys.executable)
    assert found.launcher.name == "spark-submit"


def test_a_pyspark_outside_the_environment_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(SetupError, match="not installed by pip into this environment"):
        find_installation()


def test_four_files_are_written_and_the_settings_are_the_tables(installation: Installation) -> None:
    conf = installation.spark_home / "conf"
    written = set_up(installation)
    configuration = [conf / name for name in ("spark-defaults.conf", "spark-env.sh", "log4j2.properties")]
    assert written == [*configuration, installation.launcher]
    assert set(contents(installation)) == set(written)
    table = parse_defaults_conf(defaults_conf())
    del table["spark.jars.packages"]  # the jars are there: nothing is to be resolved
    assert parse_defaults_conf(written[0].read_text()) == table


def test_a_second_run_changes_nothing(installation: Installation) -> None:
    set_up(installation)
    before = contents(installation)
    set_up(installation)
    assert contents(installation) == before


def test_what_an_earlier_version_wrote_is_brought_up_to_date(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("sparkclin.spark.environment.installed_defaults_conf", lambda: "spark.driver.memory 1g\n")
        set_up(installation)
    set_up(installation)
    assert "spark.driver.memory 8g" in (installation.spark_home / "conf" / "spark-defaults.conf").read_text()


def test_files_of_somebody_else_are_named_and_nothing_is_written(installation: Installation) -> None:
    defaults = installation.spark_home / "conf" / "spark-defaults.conf"
    defaults.parent.mkdir()
    defaults.write_text("spark.driver.memory 64g\n", encoding="utf-8")
    installation.launcher.write_text("#!/bin/sh\nexec their-submit\n", encoding="utf-8")
    before = contents(installation)
    with pytest.raises(SetupError, match=r"spark-defaults\.conf, .*spark-submit.*--force"):
        set_up(installation)
    assert contents(installation) == before
    set_up(installation, force=True)
    assert "their-submit" not in installation.launcher.read_text()


def test_an_edited_file_counts_as_somebody_elses(installation: Installation) -> None:
    set_up(installation)
    defaults = installation.spark_home / "conf" / "spark-defaults.conf"
    defaults.write_text(defaults.read_text().replace("8g", "64g"), encoding="utf-8")
    with pytest.raises(SetupError, match=r"spark-defaults\.conf"):
        set_up(installation)
    assert "64g" in defaults.read_text()


def test_without_java_the_launcher_says_what_to_do(installation: Installation) -> None:
    set_up(installation)
    outcome = run([str(installation.launcher), "job.py"], env={"PATH": "/nowhere", "JAVA_HOME": ""})
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("no Java was found on PATH")


JOB = """
import json, os, sys
import sparkclin
spark = sparkclin.spark_session()
worker = spark.sparkContext.parallelize([0], 1).map(lambda _: sys.executable).first()
print("RESULT", json.dumps({
    "driver": sys.executable,
    "worker": worker,
    "home": os.environ["SPARK_HOME"],
    "onednn": spark._jvm.java.lang.System.getenv("TF_ENABLE_ONEDNN_OPTS"),
    "master": spark.sparkContext.master,
    "batch": spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch"),
    "memory": spark.conf.get("spark.driver.memory"),
    "arguments": sys.argv[1:],
}))
"""


@pytest.mark.slow
def test_spark_submit_works_as_typed(installation: Installation, tmp_path: Path) -> None:
    """With another python3 first on PATH; options of spark-submit go before the settings of the file."""
    set_up(installation)
    (tmp_path / "job.py").write_text(JOB, encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "python3").symlink_to("/bin/false")
    outcome = run(
        [
            str(installation.launcher),
            *("--master", "local[1]", "--conf", "spark.driver.memory=1g"),
            *("--conf", "spark.sql.execution.arrow.maxRecordsPerBatch=5"),
            str(tmp_path / "job.py"),
            "two words",
        ],
        env={"PATH": f"{tmp_path / 'other'}:{os.environ['PATH']}"},
    )
    assert "RESULT" in outcome.stdout, outcome.stderr
    assert " INFO " not in outcome.stderr
    assert json.loads(outcome.stdout.split("RESULT")[1]) == {
        "driver": sys.executable,
        "worker": sys.executable,
        "home": str(installation.spark_home),
        "onednn": "1",
        "master": "local[1]",
        "batch": "5",
        "memory": "1g",
        "arguments": ["two words"],
    }
