from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import sparkclin
from sparkclin.errors import SetupError
from sparkclin.spark import session
from sparkclin.spark.session import PACKAGES, SETTINGS, defaults_conf, parse_defaults_conf, settings_for
from tests.sparkclin.processes import run_python

OUR_PACKAGES = ",".join(PACKAGES)
DELTA = "io.delta:delta-spark_2.12:3.3.2"
TABLE = {setting.key: setting.value for setting in SETTINGS}


def fake_java(folder: Path, version: str) -> Path:
    """A folder that is a JAVA_HOME whose Java says it is `version`."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-01' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    return folder


def test_the_packaged_file_is_what_is_printed() -> None:
    packaged = Path(session.__file__).with_name("spark-defaults.conf")
    assert packaged.read_text(encoding="utf-8") == defaults_conf()


def test_the_printed_file_says_what_the_table_says() -> None:
    assert parse_defaults_conf(defaults_conf()) == TABLE


def test_every_setting_has_its_reason_and_stands_once() -> None:
    keys = [setting.key for setting in SETTINGS]
    assert len(set(keys)) == len(keys)
    assert [setting.key for setting in SETTINGS if len(setting.reason.split()) < 5] == []


def test_the_session_has_the_settings_of_the_table(spark: SparkSession) -> None:
    conf = spark.sparkContext.getConf()
    different = {key for key, value in TABLE.items() if conf.get(key) != value}
    assert different == {"spark.driver.memory"}  # the tests' own


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


def test_a_running_session_is_returned_as_it_is(spark: SparkSession, recwarn: pytest.WarningsRecorder) -> None:
    assert sparkclin.spark_session(settings={"spark.sql.shuffle.partitions": "2"}).sparkContext is spark.sparkContext
    assert not [warning for warning in recwarn if "already running" in str(warning.message)]
    with pytest.warns(UserWarning, match=r"left without spark\.executor\.cores, spark\.master"):
        sparkclin.spark_session(master="local[7]", settings={"spark.executor.cores": "3"})
    assert spark.sparkContext.master == "local[2]"


def test_a_session_of_ours_passes_the_check(spark: SparkSession) -> None:
    sparkclin.check_session(spark)


def test_workers_have_no_jars_on_their_python_path_but_sparks_own(spark: SparkSession) -> None:
    """Every task lists what is there again."""
    path = spark.sparkContext.parallelize([0], 1).mapPartitions(lambda _: sys.path).collect()
    assert [Path(entry).name for entry in path if entry.endswith(".jar") and "spark-core" not in entry] == []
    assert [entry for entry in sys.path if entry.endswith(".jar")] == []


@pytest.mark.parametrize(("member", "found"), [("graphs/frame.py", True), ("org/Some.class", False)])
def test_a_jar_with_python_code_is_known(tmp_path: Path, member: str, *, found: bool) -> None:
    jar = tmp_path / "some.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr(member, "")
    assert session._holds_python(jar) is found


def test_a_session_without_a_jvm_is_refused() -> None:
    class Remote:
        """Like a Spark Connect session: no `_jvm`."""

    with pytest.raises(SetupError, match="Spark Connect"):
        sparkclin.check_session(Remote())  # type: ignore[arg-type]


def test_all_problems_come_in_one_error(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "JAVA_VERSIONS", (8,))
    monkeypatch.setattr(session, "SPARK_NLP_VERSION", "6.0.0")
    with pytest.raises(SetupError, match=r"(?s)JVM is version 17.*Spark NLP 5\.5\.3") as caught:
        sparkclin.check_session(spark)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("version", ["8.0", "1.8.0_392", "11.0.22", "17.0.15", "17"])
def test_these_javas_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, version)))
    assert session._installed_java_problems() == []


@pytest.mark.parametrize("version", ["21.0.1", "1.7.0_80", "9", "24-ea"])
def test_other_javas_are_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path, version)))
    (problem,) = session._installed_java_problems()
    assert version in problem
    assert str(tmp_path) in problem
    assert "Install Java 17" in problem


@pytest.mark.parametrize("home", ["", "/nowhere"])
def test_without_java_the_error_says_so_before_spark_is_started(tmp_path: Path, home: str) -> None:
    outcome = run_python("import sparkclin; sparkclin.spark_session()", env={"PATH": str(tmp_path), "JAVA_HOME": home})
    assert outcome.returncode == 1
    assert outcome.stderr.splitlines()[-1].startswith("sparkclin.errors.SetupError: no Java was found")


@pytest.mark.parametrize("version", ["4.0.1", "2.4.8"])
def test_another_spark_is_refused_with_the_remedy(version: str) -> None:
    (problem,) = session._spark_problems(version)
    assert f"Spark {version} was found" in problem
    assert "pyspark>=3.5,<4" in problem


@pytest.mark.slow
def test_a_session_without_the_jar_is_told_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "empty.jar").write_bytes(b"PK\x05\x06" + bytes(18))  # an archive without entries
    outcome = run_python(
        "import sys, sparkclin; sparkclin.spark_session(master='local[1]', settings={'spark.jars': sys.argv[1]})",
        str(tmp_path / "empty.jar"),
    )
    last = outcome.stderr.strip().splitlines()[-1]
    assert last.startswith("sparkclin.errors.SetupError: the session has no Spark NLP jar"), outcome.stderr
    assert f"--packages {OUR_PACKAGES}" in last


STARTED = """
import json, sys, sparkclin
spark = sparkclin.spark_session(master="local[1]", settings=json.loads(sys.argv[1]))
environment = spark._jvm.java.lang.System.getenv
python = spark.sparkContext.parallelize([0], 1).map(lambda _: sys.executable).first()
print("RESULT", json.dumps([environment("TF_ENABLE_ONEDNN_OPTS"), python, spark.conf.get("spark.driver.memory")]))
"""


@pytest.mark.slow
def test_jars_on_disk_will_do_and_the_environment_is_set(spark: SparkSession, tmp_path: Path) -> None:
    """Without the internet, with another python3 first on PATH, and with a spark-defaults.conf that the user edited."""
    (tmp_path / "python3").symlink_to("/bin/false")
    defaults = defaults_conf().replace("spark.driver.memory 8g", "spark.driver.memory 1234m")
    (tmp_path / "spark-defaults.conf").write_text(defaults, encoding="utf-8")
    jars = spark.conf.get("spark.jars")
    outcome = run_python(
        STARTED,
        json.dumps({"spark.jars": jars}),
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "SPARK_CONF_DIR": str(tmp_path)},
    )
    assert "RESULT" in outcome.stdout, outcome.stderr
    assert json.loads(outcome.stdout.split("RESULT")[1]) == ["1", sys.executable, "1234m"]
    assert ":: resolving dependencies ::" not in outcome.stderr


AGAIN = """
import sys, sparkclin
from sparknlp.annotator import LongformerEmbeddings
for _ in range(2):
    spark = sparkclin.spark_session(master="local[1]")
    sparkclin.use_models(spark, sys.argv[1])
    model = LongformerEmbeddings.pretrained("clinical_longformer", "en")
    spark.stop()
print("RESULT")
"""


@pytest.mark.slow
def test_models_load_in_a_second_session_of_the_same_process(echo_models: Path) -> None:
    """Spark NLP itself keeps the first session for good."""
    outcome = run_python(AGAIN, str(echo_models))
    assert "RESULT" in outcome.stdout, outcome.stderr


def test_importing_the_package_starts_and_loads_nothing() -> None:
    code = "import sys, sparkclin; print([name for name in sys.modules if name in ('pyspark', 'sparknlp', 'numpy')])"
    assert run_python(code).stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    assert [name for name in sparkclin.__all__ if getattr(sparkclin, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = sparkclin.nonsense
