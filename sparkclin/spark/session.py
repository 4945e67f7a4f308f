"""The Spark session: started with Spark NLP's jars and our settings, or checked where somebody else built it."""

from __future__ import annotations

import os
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkclin.errors import SetupError
from sparkclin.spark.jars import check_jars, environment_jars, jar_paths, set_up_jars
from sparkclin.spark.java import installed_java, version_problems
from sparkclin.spark.logs import log_settings
from sparkclin.spark.scratch import scratch_settings
from sparkclin.spark.settings import (
    BATCH_SETTING,
    DIST_CLASS_PATH,
    ENVIRONMENT,
    EXCLUDES,
    MAX_ROWS_AT_ONCE,
    PACKAGES,
    SPARK_NLP_VERSION,
    brings_spark_nlp,
    settings_for,
    settings_of_file,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MOST_OF_A_LINE, NO_LIMIT = "mapreduce.input.linerecordreader.line.maxlength", str(2**31 - 1)
"""Hadoop's setting by which longer lines are left out, and its default."""


def spark_session(
    *,
    master: str | None = None,
    app_name: str = "sparkclin",
    driver_memory: str | None = None,
    settings: Mapping[str, str] | None = None,
    spark_nlp: bool = True,
) -> SparkSession:
    """A checked Spark session with Spark NLP: the running one where there is one, else a new one.

    `master` is `local[*]` where neither it nor Spark's own configuration says otherwise. `settings` are Spark settings;
    they go before those of SETTINGS. The jars are those of `sparkclin setup`; the first session of an environment
    without them fetches them there. Packages in `spark.jars.packages` come on top of ours, or in place of ours where
    they name another Spark NLP. Where `spark.jars` names Spark NLP, or `spark.driver.extraClassPath` is set, ours are
    not used. Without `spark_nlp` a new session has no jars of ours, and a running one needs none: that is enough for
    models that run in Python workers.

    A running session is left as it is; a warning names what could not be applied to it.
    Raises SetupError for a missing or wrong Java, Spark or Spark NLP.
    """
    asked = dict(settings or {})
    if master is not None:
        asked["spark.master"] = master
    if driver_memory is not None:
        asked["spark.driver.memory"] = driver_memory
    running = running_session()
    if running is None:
        _check_python_side()
        running = _start(asked, app_name, spark_nlp=spark_nlp)
    elif ignored := sorted(key for key, value in asked.items() if running.conf.get(key, None) != value):
        warnings.warn(f"a Spark session is already running; it was left without {', '.join(ignored)}", stacklevel=2)
    check_session(running, spark_nlp=spark_nlp)
    if spark_nlp:
        free_spark_nlp(running)
    return running


def check_session(spark: SparkSession, *, spark_nlp: bool = True) -> None:
    """Raise SetupError, naming every problem and its remedy, where `spark` cannot run Spark NLP models; or, without
    `spark_nlp`, models that run in Python workers."""
    if not hasattr(spark, "_jvm"):
        raise SetupError(
            "this is a Spark Connect session, which neither Spark NLP nor sparkclin can use. "
            "Build a classic one: sparkclin.spark_session(), or SparkSession.builder without .remote()."
        )
    jvm: Any = spark._jvm
    problems = [
        *_spark_problems(spark.version),
        *version_problems(str(jvm.java.lang.System.getProperty("java.version")), whose="the session's JVM"),
        *(_spark_nlp_problems(spark) if spark_nlp else []),
        *_hadoop_problems(spark),
    ]
    if problems:
        raise SetupError("\n".join(problems))


def check_batch_setting(spark: SparkSession) -> None:
    """Raise SetupError for a session whose Arrow batches would not fit a Python worker."""
    found = int(spark.conf.get(BATCH_SETTING, "10000") or 0)
    if not 0 < found <= MAX_ROWS_AT_ONCE:
        raise SetupError(
            f"{BATCH_SETTING} is {found}: that many rows, of up to {4096 * 768 * 4 / 1e6:.1f} MB a window, would be "
            f"held at once. Set it to {MAX_ROWS_AT_ONCE} or less: spark.conf.set({BATCH_SETTING!r}, 8)"
        )


def running_session() -> SparkSession | None:
    """The session of this process; None where there is none. Starts nothing."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is None and SparkContext._active_spark_context is not None:  # built in another thread
        return SparkSession.builder.getOrCreate()
    return active


def free_spark_nlp(spark: SparkSession) -> None:
    """Make Spark NLP look for the running session again where it holds one that was stopped.

    Spark NLP 5.5.3 keeps the first session of a JVM for good (`ResourceHelper.spark` is a lazy val): after
    `spark.stop()` no model can be loaded in the same process. Clearing the lazy val's flag lets it look again.
    """
    jvm: Any = spark._jvm
    helper = scala_object(jvm, "com.johnsnowlabs.nlp.util.io.ResourceHelper")
    if helper.spark().sparkContext().isStopped():
        flag = helper.getClass().getDeclaredField("bitmap$0")
        flag.setAccessible(True)
        flag.setBoolean(helper, False)


def scala_object(jvm: Any, name: str) -> Any:
    """The instance of a Scala `object`."""
    return getattr(getattr(jvm, f"{name}$"), "MODULE$")


def _start(asked: Mapping[str, str], app_name: str, *, spark_nlp: bool) -> SparkSession:
    from pyspark.sql import SparkSession

    present = settings_present()
    if "spark.pyspark.python" not in {**present, **asked}:
        # Else Spark runs the `python3` it finds on PATH, which is another one where the environment is not activated.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for variable in ENVIRONMENT:
        os.environ.setdefault(variable.key, variable.value)
    jars = _local_jars({**present, **asked}) if spark_nlp else []
    if jars:
        _extend_class_path(jars[0].parent)
    builder = SparkSession.builder.appName(app_name)
    found = settings_for(asked=asked, present=present, jars=jars, spark_nlp=spark_nlp)
    if not under_spark_submit():
        found |= log_settings({**present, **found})
    found |= scratch_settings({**present, **found}, starts_java=not under_spark_submit())
    for key, value in found.items():
        builder = builder.config(key, value)
    started = builder.getOrCreate()
    _take_jars_off_python_path(started)
    return started


def _extend_class_path(folder: Path) -> None:
    """Spark's scripts put this variable after Spark's own jars, some of which are newer than those of Spark NLP."""
    entry, present = f"{folder}/*", os.environ.get(DIST_CLASS_PATH, "")
    if entry not in present.split(os.pathsep):
        os.environ[DIST_CLASS_PATH] = os.pathsep.join(filter(None, [present, entry]))


def _take_jars_off_python_path(spark: SparkSession) -> None:
    """Spark puts all jars of `spark.jars.packages` on Python's path, and every task's workers list them again: with our
    102 jars that takes longer than a short note. Those that hold Python code stay.
    """
    from pyspark import SparkFiles

    includes: list[str] = spark.sparkContext._python_includes or []
    for name in [name for name in includes if name.endswith(".jar")]:
        jar = SparkFiles.get(name)
        if not _holds_python(Path(jar)):
            includes.remove(name)
            sys.path[:] = [entry for entry in sys.path if entry != jar]


def _holds_python(jar: Path) -> bool:
    with zipfile.ZipFile(jar) as archive:
        return any(name.endswith((".py", ".pyc")) for name in archive.namelist())


def settings_present() -> dict[str, str]:
    """The settings that Spark has or will find by itself."""
    from pyspark import SparkConf, SparkContext

    if under_spark_submit():  # its options and spark-defaults.conf are in the JVM
        SparkContext._ensure_initialized()
        return dict(SparkConf().getAll())
    return settings_of_file()


def under_spark_submit() -> bool:
    """Whether spark-submit has started this process: its JVM runs already."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _local_jars(settings: Mapping[str, str]) -> list[Path]:
    """The jars of the environment where they are, or will be, on the driver's class path; empty where Spark has to get
    Spark NLP in another way."""
    folder = environment_jars()
    if under_spark_submit():
        on_class_path = f"{folder}/*" in os.environ.get(DIST_CLASS_PATH, "").split(os.pathsep)
        if not on_class_path or brings_spark_nlp(settings):
            return []
    elif brings_spark_nlp(settings) or not (folder.exists() or _may_write(folder)):
        return []
    elif not folder.exists():
        print(f"sparkclin: fetching Spark NLP's jars into {folder}, once (some 400 MB)", file=sys.stderr)
        set_up_jars(folder)
    check_jars(folder)
    return jar_paths(folder)


def _may_write(folder: Path) -> bool:
    """Whether `folder` could be made: Spark's own way of getting packages needs no place in the environment."""
    present = next(parent for parent in folder.parents if parent.exists())
    return os.access(present, os.W_OK)


def _check_python_side() -> None:
    """What can be found wrong before a JVM is started; Spark's own messages for these are obscure."""
    import pyspark

    problems = _spark_problems(pyspark.__version__)
    if not under_spark_submit():  # else the JVM runs already
        problems += installed_java().problems()
    if problems:
        raise SetupError("\n".join(problems))


def _spark_problems(version: str) -> list[str]:
    if version.startswith("3."):
        return []
    return [
        f"Spark {version} was found; Spark NLP {SPARK_NLP_VERSION} is built for Scala 2.12 and needs Spark 3.x. "
        "Install pyspark 3.5 (pip install 'pyspark>=3.5,<4'), or use a cluster with Spark 3.5."
    ]


def _hadoop_problems(spark: SparkSession) -> list[str]:
    """Spark NLP reads vocabularies as lines, by the configuration of the whole session."""
    jsc: Any = spark._jsc
    found = jsc.hadoopConfiguration().get(MOST_OF_A_LINE)
    if found in (None, NO_LIMIT):
        return []
    return [
        f"{MOST_OF_A_LINE} is {found}: Hadoop leaves out longer lines of a model's files and says nothing. Start with "
        f"--conf spark.hadoop.{MOST_OF_A_LINE}={NO_LIMIT}"
    ]


def _spark_nlp_problems(spark: SparkSession) -> list[str]:
    from py4j.java_gateway import JavaClass

    jvm: Any = spark._jvm
    if not isinstance(jvm.com.johnsnowlabs.nlp.DocumentAssembler, JavaClass):
        return [
            "the session has no Spark NLP jar (class com.johnsnowlabs.nlp.DocumentAssembler not found). Start it from "
            f"a fresh Python with sparkclin.spark_session(), or with `spark-submit --packages {','.join(PACKAGES)} "
            f"--exclude-packages {','.join(EXCLUDES)}`; without the internet, give the same jars in spark.jars."
        ]
    found = str(jvm.com.johnsnowlabs.util.Build.version())
    if found.split(".")[:2] == SPARK_NLP_VERSION.split(".")[:2]:
        return []
    return [
        f"the session has Spark NLP {found}; the models' ids and vectors are proven with {SPARK_NLP_VERSION} only. "
        f"Use com.johnsnowlabs.nlp:spark-nlp_2.12:{SPARK_NLP_VERSION}."
    ]
