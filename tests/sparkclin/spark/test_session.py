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
from sparkclin.spark import java, session
from sparkclin.spark.jars import environment_jars, jar_paths
from sparkclin.spark.settings import PACKAGES, SETTINGS, defaults_conf
from tests.sparkclin.processes import run_python


def test_the_session_has_the_settings_of_the_table(spark: SparkSession) -> None:
    conf = spark.sparkContext.getConf()
    different = {setting.key for setting in SETTINGS if conf.get(setting.key) != setting.value}
    assert different == {"spark.driver.memory", "spark.jars.packages"}  # the tests' own; the environment's jars
    assert not conf.get("spark.jars.packages")


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
    monkeypatch.setattr(java, "JAVA_VERSIONS", (8,))
    monkeypatch.setattr(session, "SPARK_NLP_VERSION", "6.0.0")
    with pytest.raises(SetupError, match=r"(?s)JVM is version 17.*Spark NLP 5\.5\.3") as caught:
        sparkclin.check_session(spark)
    assert len(str(caught.value).splitlines()) == 2


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


WITHOUT_JARS = """
import sparkclin
from pyspark.sql import SparkSession
sparkclin.check_session(SparkSession.builder.master("local[1]").getOrCreate())
"""


@pytest.mark.slow
def test_a_session_without_the_jar_is_told_how_to_get_it(tmp_path: Path) -> None:
    """Built by somebody else, with a Spark that has no configuration of ours."""
    outcome = run_python(WITHOUT_JARS, env={"SPARK_CONF_DIR": str(tmp_path)})
    last = outcome.stderr.strip().splitlines()[-1]
    assert last.startswith("sparkclin.errors.SetupError: the session has no Spark NLP jar"), outcome.stderr
    assert f"--packages {','.join(PACKAGES)}" in last


QUIET = """
import sparkclin
spark = sparkclin.spark_session(master="local[1]")
from sparknlp.base import DocumentAssembler
DocumentAssembler()
jar = spark._jvm.java.lang.Class.forName("com.johnsnowlabs.nlp.DocumentAssembler")
print("RESULT", jar.getProtectionDomain().getCodeSource().getLocation().getPath())
"""


@pytest.mark.slow
def test_a_session_reads_the_environments_jars_and_resolves_nothing(tmp_path: Path) -> None:
    """Without a home, so that a resolver would have nothing; and with no file of `sparkclin setup`."""
    outcome = run_python(QUIET, env={"SPARK_CONF_DIR": str(tmp_path), "HOME": str(tmp_path)})
    assert "RESULT" in outcome.stdout, outcome.stderr
    assert Path(outcome.stdout.split("RESULT")[1].strip()).parent == environment_jars()
    assert [line for line in outcome.stderr.splitlines() if "ivy" in line.lower() or "::" in line] == []
    assert not (tmp_path / ".ivy2").exists()


STARTED = """
import json, sys, sparkclin
spark = sparkclin.spark_session(master="local[1]", settings=json.loads(sys.argv[1]))
environment = spark._jvm.java.lang.System.getenv
python = spark.sparkContext.parallelize([0], 1).map(lambda _: sys.executable).first()
print("RESULT", json.dumps([environment("TF_ENABLE_ONEDNN_OPTS"), python, spark.conf.get("spark.driver.memory")]))
"""


@pytest.mark.slow
def test_jars_on_disk_will_do_and_the_environment_is_set(tmp_path: Path) -> None:
    """Without the internet, with another python3 first on PATH, and with a spark-defaults.conf that the user edited."""
    (tmp_path / "python3").symlink_to("/bin/false")
    defaults = defaults_conf().replace("spark.driver.memory 8g", "spark.driver.memory 1234m")
    (tmp_path / "spark-defaults.conf").write_text(defaults, encoding="utf-8")
    jars = ",".join(map(str, jar_paths(environment_jars())))
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
