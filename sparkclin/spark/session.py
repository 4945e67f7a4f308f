"""The one place that knows jars and Spark settings.

`SETTINGS` and `ENVIRONMENT` are the tables; `spark_session()`, the packaged `spark-defaults.conf` and what
`sparkclin setup` writes are all made from them. A setting that is already there (in a `spark-defaults.conf`, given to
`spark-submit`, or part of a session that somebody else built) is never overruled by a table.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkclin.errors import SetupError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPARK_NLP_VERSION = "5.5.3"
JAVA_VERSIONS = (8, 11, 17)
JAVA_REMEDY = "Spark 3.5 needs Java 8, 11 or 17. Install Java 17 (a JRE is enough) and set JAVA_HOME to its folder."

PACKAGES = (f"com.johnsnowlabs.nlp:spark-nlp_2.12:{SPARK_NLP_VERSION}", "org.tensorflow:tensorflow-core-platform:0.4.2")
EXCLUDES = (
    "com.johnsnowlabs.nlp:tensorflow-cpu_2.12",
    "com.johnsnowlabs.nlp:jsl-llamacpp-cpu_2.12",
    "com.johnsnowlabs.nlp:jsl-openvino-cpu_2.12",
)
BROUGHT_JARS_KEYS = ("spark.jars", "spark.driver.extraClassPath")
"""A user who sets one of these brings the jars."""


@dataclass(frozen=True)
class Setting:
    """A Spark setting or environment variable, its value, and why it has that value."""

    key: str
    value: str
    reason: str


BATCH_SETTING = "spark.sql.execution.arrow.maxRecordsPerBatch"
MAX_ROWS_AT_ONCE = 64
"""Rows of an Arrow batch: each may hold 4,096 vectors of 768 floats (12.6 MB) and more, and all must fit a worker."""

ENVIRONMENT = (
    Setting(
        "TF_ENABLE_ONEDNN_OPTS",
        "1",
        "TensorFlow 2.7 runs 1.3 to 1.6 times as fast with oneDNN. It reads this from the environment of its process.",
    ),
    Setting(
        "TF_CPP_MIN_LOG_LEVEL",
        "2",
        "Errors only: TensorFlow 2.7 warns of costs it cannot estimate, in hundreds of long lines for every model.",
    ),
)
"""Variables that the JVMs that run a model must have; for executors they are among SETTINGS."""

SETTINGS = (
    Setting(
        "spark.jars.packages",
        ",".join(PACKAGES),
        "Spark NLP, and the TensorFlow runtime that takes the place of Spark NLP's own build of it.",
    ),
    Setting(
        "spark.jars.excludes",
        ",".join(EXCLUDES),
        "Spark NLP's own TensorFlow build would collide with the one above; nothing here uses the other two.",
    ),
    Setting(
        "spark.serializer",
        "org.apache.spark.serializer.KryoSerializer",
        "Spark NLP's annotators are made to travel by Kryo.",
    ),
    Setting(
        "spark.kryoserializer.buffer.max",
        "2000M",
        "A model's graph travels to the executors as one object, larger than the 64 MB that Spark allows.",
    ),
    Setting(
        "spark.driver.maxResultSize",
        "0",
        "No limit: the piece vectors of eighty long notes pass the 1 GB that Spark allows a collected result.",
    ),
    Setting(
        "spark.driver.memory",
        "8g",
        "In local mode the driver runs the model. It holds a graph (500 MB) twice while loading it, beside the notes.",
    ),
    Setting(
        "spark.executor.memory",
        "4g",
        "An executor holds the graph (500 MB, twice while it is loaded) and the vectors of the notes in hand.",
    ),
    Setting(
        "spark.executor.memoryOverhead",
        "3g",
        "Outside the heap: the engine, with weights and two tasks' longest windows (2 GB in fp32), and Python workers.",
    ),
    Setting(
        BATCH_SETTING,
        "8",
        "One row can be a note of 4,096 pieces with 768 floats each (12 MB); 10,000 such rows fit no Python worker.",
    ),
    Setting(
        "spark.jsl.settings.onnx.intraOpNumThreads",
        "1",
        "As many threads as a task has cores (spark.task.cpus); Spark NLP takes 6.",
    ),
    *(Setting(f"spark.executorEnv.{variable.key}", variable.value, variable.reason) for variable in ENVIRONMENT),
)


def spark_session(
    *,
    master: str | None = None,
    app_name: str = "sparkclin",
    driver_memory: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> SparkSession:
    """A checked Spark session with Spark NLP: the running one where there is one, else a new one.

    `master` is `local[*]` where neither it nor Spark's own configuration says otherwise. `settings` are Spark settings;
    they go before those of SETTINGS. Packages in `spark.jars.packages` come on top of ours, or in place of ours where
    they name Spark NLP. Where `spark.jars` or `spark.driver.extraClassPath` is set, nothing is fetched: the jars are
    there already.

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
        running = _start(asked, app_name)
    elif ignored := sorted(key for key, value in asked.items() if running.conf.get(key, None) != value):
        warnings.warn(f"a Spark session is already running; it was left without {', '.join(ignored)}", stacklevel=2)
    check_session(running)
    free_spark_nlp(running)
    return running


def check_session(spark: SparkSession) -> None:
    """Raise SetupError, naming every problem and its remedy, where `spark` cannot run Spark NLP models."""
    if not hasattr(spark, "_jvm"):
        raise SetupError(
            "this is a Spark Connect session, which Spark NLP cannot use. "
            "Build a classic one: sparkclin.spark_session(), or SparkSession.builder without .remote()."
        )
    jvm: Any = spark._jvm
    problems = [
        *_spark_problems(spark.version),
        *_java_problems(str(jvm.java.lang.System.getProperty("java.version")), "the session's JVM"),
        *_spark_nlp_problems(spark),
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


def defaults_conf() -> str:
    """The text of `spark-defaults.conf`: SETTINGS with their reasons."""
    blocks = (f"# {setting.reason}\n{setting.key} {setting.value}\n" for setting in SETTINGS)
    return "# Spark settings for sparkclin, printed by `sparkclin spark-defaults`.\n\n" + "\n".join(blocks)


def spark_env() -> str:
    """The text of `spark-env.sh`: ENVIRONMENT with its reasons; a variable that is already set keeps its value."""
    blocks = (f'# {v.reason}\nexport {v.key}="${{{v.key}:-{v.value}}}"\n' for v in ENVIRONMENT)
    return "# Environment of Spark's processes for sparkclin.\n\n" + "\n".join(blocks)


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


def _start(asked: Mapping[str, str], app_name: str) -> SparkSession:
    from pyspark.sql import SparkSession

    present = _settings_present()
    if "spark.pyspark.python" not in {**present, **asked}:
        # Else Spark runs the `python3` it finds on PATH, which is another one where the environment is not activated.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for variable in ENVIRONMENT:
        os.environ.setdefault(variable.key, variable.value)
    builder = SparkSession.builder.appName(app_name)
    for key, value in settings_for(asked=asked, present=present).items():
        builder = builder.config(key, value)
    started = builder.getOrCreate()
    _take_jars_off_python_path(started)
    return started


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


def settings_for(*, asked: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """What spark_session() has to set: `asked`, then what somebody else has put into `present`, then SETTINGS.

    `present` is what Spark finds without us: spark-defaults.conf, or the options of spark-submit. What is right there
    already is left out of the answer.
    """
    table = {setting.key: setting.value for setting in SETTINGS} | {"spark.master": "local[*]"}
    chosen = {key: value for key, value in present.items() if table.get(key) != value} | dict(asked)
    threads = {"spark.jsl.settings.onnx.intraOpNumThreads": chosen.get("spark.task.cpus", "1")}
    wanted = table | threads | chosen | _jar_settings(chosen)
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def _jar_settings(chosen: Mapping[str, str]) -> dict[str, str]:
    """Packages to fetch: ours and the chosen ones, or only the chosen ones where Spark NLP is there without ours."""
    packages = chosen.get("spark.jars.packages", "")
    if ":spark-nlp" in packages or _brings_jars(chosen):
        return {"spark.jars.packages": packages, "spark.jars.excludes": chosen.get("spark.jars.excludes", "")}
    return {"spark.jars.packages": ",".join([*PACKAGES, packages]).rstrip(",")}


def _brings_jars(chosen: Mapping[str, str]) -> bool:
    return any(chosen.get(key) for key in BROUGHT_JARS_KEYS) or any(_spark_home_jars().glob("spark-nlp*.jar"))


def _spark_home_jars() -> Path:
    from pyspark.find_spark_home import _find_spark_home

    return Path(str(_find_spark_home())) / "jars"  # type: ignore[no-untyped-call]


def _settings_present() -> dict[str, str]:
    """The settings that Spark has or will find by itself."""
    from pyspark import SparkConf, SparkContext

    if "PYSPARK_GATEWAY_PORT" in os.environ:  # under spark-submit: its options and spark-defaults.conf are in the JVM
        SparkContext._ensure_initialized()
        return dict(SparkConf().getAll())
    home = _spark_home_jars().parent
    file = Path(os.environ.get("SPARK_CONF_DIR", home / "conf")) / "spark-defaults.conf"
    return parse_defaults_conf(file.read_text(encoding="utf-8")) if file.is_file() else {}


def parse_defaults_conf(text: str) -> dict[str, str]:
    """Keys and values of a `spark-defaults.conf`: `key value`, `key=value` or `key: value` lines, `#` comments."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (
        re.split(r"\s*[=:]\s*|\s+", line, maxsplit=1) for line in lines if line and not line.startswith(("#", "!"))
    )
    return {pair[0]: pair[1] if len(pair) > 1 else "" for pair in pairs}


def _check_python_side() -> None:
    """What can be found wrong before a JVM is started; Spark's own messages for these are obscure."""
    import pyspark

    problems = _spark_problems(pyspark.__version__)
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # else the JVM runs already
        problems += _installed_java_problems()
    if problems:
        raise SetupError("\n".join(problems))


def _spark_problems(version: str) -> list[str]:
    if version.startswith("3."):
        return []
    return [
        f"Spark {version} was found; Spark NLP {SPARK_NLP_VERSION} is built for Scala 2.12 and needs Spark 3.x. "
        "Install pyspark 3.5 (pip install 'pyspark>=3.5,<4'), or use a cluster with Spark 3.5."
    ]


def _installed_java_problems() -> list[str]:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(Path(home, "bin", "java")) if home else shutil.which("java")
    place = f"in JAVA_HOME ({home})" if home else "on PATH"
    if java is None:
        return [f"no Java was found {place}; {JAVA_REMEDY}"]
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "([^"]+)"', answer)
    return _java_problems(version[1] if version else "unknown", f"the Java {place}")


def _java_problems(version: str, whose: str) -> list[str]:
    """Problems of a `java.version` such as 17.0.15 or 1.8.0_392."""
    digits = re.findall(r"\d+", version)
    major = int(digits[1] if digits[:1] == ["1"] else digits[0]) if digits else None
    return [] if major in JAVA_VERSIONS else [f"{whose} is version {version}; {JAVA_REMEDY}"]


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
