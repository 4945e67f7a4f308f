"""The tables of jars and Spark settings, and what follows from them beside the settings of others.

`SETTINGS` and `ENVIRONMENT` are the tables; `spark_session()`, the packaged `spark-defaults.conf` and what
`sparkclin setup` writes are all made from them. A setting that is already there (in a `spark-defaults.conf`, given to
`spark-submit`, or part of a session that somebody else built) is never overruled by a table.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparkclin.errors import SetupError

SPARK_NLP_VERSION = "5.5.3"

PACKAGES = (f"com.johnsnowlabs.nlp:spark-nlp_2.12:{SPARK_NLP_VERSION}", "org.tensorflow:tensorflow-core-platform:0.4.2")
EXCLUDES = (
    "com.johnsnowlabs.nlp:tensorflow-cpu_2.12",
    "com.johnsnowlabs.nlp:jsl-llamacpp-cpu_2.12",
    "com.johnsnowlabs.nlp:jsl-openvino-cpu_2.12",
)

PACKAGES_KEY = "spark.jars.packages"
JARS_KEY = "spark.jars"
DRIVER_CLASS_PATH_KEY = "spark.driver.extraClassPath"
EXECUTOR_CLASS_PATH_KEY = "spark.executor.extraClassPath"

DIST_CLASS_PATH = "SPARK_DIST_CLASSPATH"
"""The variable with what Spark's scripts put on the class path after Spark's own jars."""


@dataclass(frozen=True)
class Setting:
    """A Spark setting or environment variable, its value, and why it has that value."""

    key: str
    value: str
    reason: str


BATCH_SETTING = "spark.sql.execution.arrow.maxRecordsPerBatch"
MAX_ROWS_AT_ONCE = 64
"""Rows of an Arrow batch: each may hold 4,096 vectors of 768 floats (12.6 MB) and more, and all must fit a worker."""

IN_A_URL = "(?<=://)[^/:@ ]*:(?![0-9]+/)[^ ]*@"
"""What matches user and password. A properties file takes a backslash away."""

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
        "spark.sql.execution.arrow.pyspark.enabled",
        "true",
        "toPandas() and createDataFrame() of pandas go by Arrow: vectors become float32 arrays, no lists of objects.",
    ),
    Setting(
        "spark.jsl.settings.onnx.intraOpNumThreads",
        "1",
        "As many threads as a task has cores (spark.task.cpus); Spark NLP takes 6.",
    ),
    Setting(
        "spark.io.encryption.enabled",
        "true",
        "Spark writes notes to local disks when it deals them out or its memory is full, and they stay after a kill.",
    ),
    Setting(
        "spark.hadoop.fs.permissions.umask-mode",
        "077",
        "What a run writes is its owner's only, where the file system knows owners; 027 lets the group read it.",
    ),
    Setting(
        "spark.redaction.regex",
        f"(?i)secret|password|token|access[.]?key|{IN_A_URL}",
        "Spark's own, and passwords in URLs: the event log and Spark's pages do not show settings that match.",
    ),
    Setting(
        "spark.sql.redaction.string.regex",
        IN_A_URL,
        "Passwords in URLs: the event log and Spark's pages do not show them in a plan.",
    ),
    *(Setting(f"spark.executorEnv.{variable.key}", variable.value, variable.reason) for variable in ENVIRONMENT),
)


def settings_for(
    *, asked: Mapping[str, str], present: Mapping[str, str], jars: Sequence[Path] = (), spark_nlp: bool = True
) -> dict[str, str]:
    """What spark_session() has to set: `asked`, then what somebody else has put into `present`, then SETTINGS.

    `present` is what Spark finds without us: spark-defaults.conf, or the options of spark-submit. `jars` are those that
    the driver has on its class path, where it has them; without them our packages are fetched, unless `spark_nlp` is
    False: then the session gets no jars of ours. What is right in `present` already is left out of the result.
    """
    table = {setting.key: setting.value for setting in SETTINGS} | {"spark.master": "local[*]"}
    chosen = {key: value for key, value in present.items() if table.get(key) != value} | dict(asked)
    threads = {"spark.jsl.settings.onnx.intraOpNumThreads": chosen.get("spark.task.cpus", "1")}
    if not spark_nlp:
        jar_settings = {PACKAGES_KEY: ",".join(_other_packages(chosen))}
    else:
        jar_settings = _settings_of_local_jars(chosen, jars) if jars else _settings_of_packages(chosen)
    wanted = table | threads | chosen | jar_settings
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def brings_spark_nlp(settings: Mapping[str, str]) -> bool:
    """Whether the settings, or Spark itself, name a Spark NLP other than that of PACKAGES: a package, a jar, or a class
    path of the driver that may hold anything."""
    return (
        any(":spark-nlp" in package for package in _other_packages(settings))
        or any("spark-nlp" in jar for jar in _listed(settings, JARS_KEY))
        or bool(settings.get(DRIVER_CLASS_PATH_KEY))
        or any((spark_home() / "jars").glob("spark-nlp*.jar"))
    )


def _settings_of_local_jars(chosen: Mapping[str, str], jars: Sequence[Path]) -> dict[str, str]:
    """Nothing of ours is fetched; packages of others come on top. Executors on other machines copy the jars, unless
    `spark.executor.extraClassPath` says where they have them."""
    settings = {PACKAGES_KEY: ",".join(_other_packages(chosen))}
    local = re.fullmatch(r"local(\[.*\])?", chosen.get("spark.master", "local"))
    if not local and not chosen.get(EXECUTOR_CLASS_PATH_KEY):
        settings[JARS_KEY] = ",".join([*_listed(chosen, JARS_KEY), *(jar.as_uri() for jar in jars)])
    return settings


def _settings_of_packages(chosen: Mapping[str, str]) -> dict[str, str]:
    """Packages to fetch: ours and the chosen ones, or only the chosen ones where others bring the jars."""
    packages = _other_packages(chosen)
    if brings_spark_nlp(chosen) or chosen.get(JARS_KEY):
        return {PACKAGES_KEY: ",".join(packages), "spark.jars.excludes": chosen.get("spark.jars.excludes", "")}
    return {PACKAGES_KEY: ",".join([*PACKAGES, *packages])}


def _other_packages(settings: Mapping[str, str]) -> list[str]:
    return [package for package in _listed(settings, PACKAGES_KEY) if package not in PACKAGES]


def _listed(settings: Mapping[str, str], key: str) -> list[str]:
    return [part for part in settings.get(key, "").split(",") if part]


def settings_of_file() -> dict[str, str]:
    """What the spark-defaults.conf says that a Spark started from here would read."""
    file = spark_conf_folder() / "spark-defaults.conf"
    return parse_defaults_conf(file.read_text(encoding="utf-8")) if file.is_file() else {}


def spark_conf_folder() -> Path:
    """Where a Spark that is started from here looks for its configuration."""
    return Path(os.environ.get("SPARK_CONF_DIR") or spark_home() / "conf")


def spark_home() -> Path:
    """The folder of the Spark that a session started from here would be."""
    from pyspark.find_spark_home import _find_spark_home

    check_working_directory()
    return Path(str(_find_spark_home()))  # type: ignore[no-untyped-call]


def check_working_directory() -> None:
    """Raises SetupError where the working directory is gone: no path in it can be told, and neither Spark nor Java
    starts there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise SetupError("the working directory is not there any more. Change to another one.") from None


def defaults_conf() -> str:
    """The text of `spark-defaults.conf`: SETTINGS with their reasons."""
    blocks = (_block(setting) for setting in SETTINGS)
    return "# Spark settings for sparkclin, printed by `sparkclin spark-defaults`.\n\n" + "\n".join(blocks)


def installed_defaults_conf() -> str:
    """The text of the `spark-defaults.conf` of an environment that has the jars: no packages are fetched."""
    blocks = (_block(setting) for setting in SETTINGS if setting.key != PACKAGES_KEY)
    return "# Spark settings for sparkclin; the jars are named in spark-env.sh.\n\n" + "\n".join(blocks)


def spark_env(jars: Path, *, python: Path) -> str:
    """The text of `spark-env.sh`: ENVIRONMENT with its reasons; a variable that is already set keeps its value. And the
    folder `jars` on the class path, once `sparkclin setup --check` has found the pinned jars in it; `python` runs that.
    """
    folder = shlex.quote(f"{jars}/*")
    blocks = (f'# {v.reason}\nexport {v.key}="${{{v.key}:-{v.value}}}"\n' for v in ENVIRONMENT)
    class_path = f"""
# The jars of `sparkclin setup`, after Spark's own; not for a command that names a Spark NLP of its own. No JVM starts
# with a jar that is not the pinned one. Where spark_session() starts Spark, it has compared them and named the folder.
case "$* :${{{DIST_CLASS_PATH}:-}}:" in
  *:spark-nlp* | *spark-nlp*.jar* | *:{folder}:*) ;;
  *)
    [ ! -d {shlex.quote(str(jars))} ] || {shlex.quote(str(python))} -m sparkclin setup --check >/dev/null || exit 1
    export {DIST_CLASS_PATH}="${{{DIST_CLASS_PATH}:+${DIST_CLASS_PATH}:}}"{folder}
    ;;
esac
"""
    return "# Environment of Spark's processes for sparkclin.\n\n" + "\n".join(blocks) + class_path


def _block(setting: Setting) -> str:
    return f"# {setting.reason}\n{setting.key} {setting.value}\n"


def parse_defaults_conf(text: str) -> dict[str, str]:
    """Keys and values of a `spark-defaults.conf`: `key value`, `key=value` or `key: value` lines, `#` comments."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (
        re.split(r"\s*[=:]\s*|\s+", line, maxsplit=1) for line in lines if line and not line.startswith(("#", "!"))
    )
    return {pair[0]: pair[1] if len(pair) > 1 else "" for pair in pairs}
