from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sparkclin.spark import settings
from sparkclin.spark.settings import PACKAGES, SETTINGS, defaults_conf, parse_defaults_conf, settings_for, spark_env

OUR_PACKAGES = ",".join(PACKAGES)
DELTA = "io.delta:delta-spark_2.12:3.3.2"
TABLE = {setting.key: setting.value for setting in SETTINGS}


def test_the_packaged_file_is_what_is_printed() -> None:
    packaged = Path(settings.__file__).with_name("spark-defaults.conf")
    assert packaged.read_text(encoding="utf-8") == defaults_conf()


def test_the_printed_file_says_what_the_table_says() -> None:
    assert parse_defaults_conf(defaults_conf()) == TABLE


def test_every_setting_has_its_reason_and_stands_once() -> None:
    keys = [setting.key for setting in SETTINGS]
    assert len(set(keys)) == len(keys)
    assert [setting.key for setting in SETTINGS if len(setting.reason.split()) < 5] == []


@pytest.mark.parametrize(
    "text", ["a.b c d\n", "a.b=c d\n", "  a.b : c d  \n", "# x\n\n! y\na.b\tc d\n"], ids=["space", "=", ":", "comments"]
)
def test_a_defaults_file_is_read_as_spark_reads_it(text: str) -> None:
    assert parse_defaults_conf(text) == {"a.b": "c d"}


def test_what_is_asked_goes_before_what_is_there_and_that_before_the_table() -> None:
    present = {"spark.driver.memory": "1g", "spark.serializer": "theirs", "spark.master": "spark://host:7077"}
    found = settings_for(asked={"spark.driver.memory": "2g"}, present=present)
    assert found["spark.driver.memory"] == "2g"
    assert "spark.serializer" not in found
    assert "spark.master" not in found
    assert found["spark.driver.maxResultSize"] == "0"


def test_alone_it_is_the_table_and_all_cores() -> None:
    assert settings_for(asked={}, present={}) == TABLE | {"spark.master": "local[*]"}


def test_after_setup_nothing_is_left_to_set_but_the_master() -> None:
    assert settings_for(asked={}, present=TABLE) == {"spark.master": "local[*]"}


@pytest.mark.parametrize("present", [{}, TABLE], ids=["alone", "after setup"])
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, OUR_PACKAGES),
        ({"spark.jars.packages": DELTA}, f"{OUR_PACKAGES},{DELTA}"),
        ({"spark.jars.packages": "a:spark-nlp-gpu_2.12:5.5.3"}, "a:spark-nlp-gpu_2.12:5.5.3"),
        ({"spark.jars": "/jars/a.jar"}, ""),
        ({"spark.driver.extraClassPath": "/jars/*"}, ""),
        ({"spark.driver.extraClassPath": "/jars/*", "spark.jars.packages": DELTA}, DELTA),
    ],
    ids=["ours", "one more", "their Spark NLP", "jars", "class path", "class path and one more"],
)
def test_which_packages_are_fetched(asked: dict[str, str], present: dict[str, str], expected: str) -> None:
    found = present | settings_for(asked=asked, present=present)
    assert found["spark.jars.packages"] == expected
    assert bool(found["spark.jars.excludes"]) is expected.startswith(OUR_PACKAGES)


def test_packages_and_jars_of_the_users_own_file_count_like_asked_ones() -> None:
    found = settings_for(asked={}, present={"spark.jars.packages": DELTA})
    assert found["spark.jars.packages"] == f"{OUR_PACKAGES},{DELTA}"
    found = settings_for(asked={}, present={"spark.jars": "/jars/a.jar"})
    assert found["spark.jars.packages"] == ""


def test_threads_follow_the_cores_of_a_task() -> None:
    key = "spark.jsl.settings.onnx.intraOpNumThreads"
    assert settings_for(asked={"spark.task.cpus": "4"}, present={})[key] == "4"
    assert settings_for(asked={"spark.task.cpus": "4"}, present=TABLE)[key] == "4"
    assert settings_for(asked={"spark.task.cpus": "4", key: "2"}, present={})[key] == "2"


JARS = [Path("/jars/a.jar"), Path("/jars/b.jar")]


@pytest.mark.parametrize("present", [{}, TABLE], ids=["alone", "with the printed file"])
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ""),
        ({"spark.jars.packages": DELTA}, DELTA),
        ({"spark.jars.packages": f"{OUR_PACKAGES},{DELTA}"}, DELTA),
        ({"spark.jars": "/theirs.jar", "spark.jars.packages": DELTA}, DELTA),
    ],
    ids=["ours", "one more", "ours by name, and one more", "a jar and one more"],
)
def test_with_jars_in_place_none_of_our_packages_is_fetched(
    asked: dict[str, str], present: dict[str, str], expected: str
) -> None:
    found = present | settings_for(asked=asked, present=present, jars=JARS)
    assert found["spark.jars.packages"] == expected
    assert found["spark.jars.excludes"] == TABLE["spark.jars.excludes"]
    assert found.get("spark.jars") == asked.get("spark.jars")


@pytest.mark.parametrize("master", ["spark://host:7077", "yarn", "local-cluster[2,1,1024]"])
def test_executors_elsewhere_copy_the_jars_unless_they_have_them(master: str) -> None:
    found = settings_for(asked={"spark.master": master, "spark.jars": "/theirs.jar"}, present={}, jars=JARS)
    assert found["spark.jars"] == "/theirs.jar,file:///jars/a.jar,file:///jars/b.jar"
    there = {"spark.executor.extraClassPath": "/jars/*"}
    assert "spark.jars" not in settings_for(asked={"spark.master": master}, present=there, jars=JARS)


@pytest.mark.parametrize("master", ["local", "local[4]", "local[*]", "local[2,3]"])
def test_in_local_mode_nothing_is_copied(master: str) -> None:
    assert "spark.jars" not in settings_for(asked={"spark.master": master}, present={}, jars=JARS)


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ({}, False),
        ({"spark.jars.packages": OUR_PACKAGES}, False),
        ({"spark.jars.packages": DELTA, "spark.jars": "/a.jar", "spark.executor.extraClassPath": "/a/*"}, False),
        ({"spark.jars.packages": "com.johnsnowlabs.nlp:spark-nlp-gpu_2.12:5.5.3"}, True),
        ({"spark.jars": "/a.jar,/jars/spark-nlp-assembly-5.5.3.jar"}, True),
        ({"spark.driver.extraClassPath": "/jars/*"}, True),
    ],
)
def test_who_brings_spark_nlp_is_known(theirs: dict[str, str], *, expected: bool) -> None:
    assert settings.brings_spark_nlp(theirs) is expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("org.apache.spark.deploy.SparkSubmit --packages io.delta:delta-spark_2.12:3.3.2 job.py", "/opt/the jars/*"),
        ("SparkSubmit job.py --input /data/spark-nlp/notes.parquet", "/opt/the jars/*"),
        (f"SparkSubmit --packages {OUR_PACKAGES},{DELTA} job.py", ""),
        ("SparkSubmit --jars /x/spark-nlp-assembly-5.5.3.jar job.py", ""),
    ],
)
def test_spark_env_puts_the_jars_after_what_is_there(tmp_path: Path, arguments: str, expected: str) -> None:
    script = tmp_path / "spark-env.sh"
    script.write_text(spark_env(Path("/opt/the jars"), python=Path("/no/python")), encoding="utf-8")
    for before in ("", "/theirs/*"):
        sourced = subprocess.run(
            ["bash", "-c", f'set -a -- {arguments}; . "{script}"; printenv SPARK_DIST_CLASSPATH'],
            env={"PATH": "/usr/bin:/bin", "SPARK_DIST_CLASSPATH": before},
            capture_output=True,
            text=True,
            check=False,
        )
        assert sourced.stdout.strip() == ":".join(filter(None, [before, expected]))
