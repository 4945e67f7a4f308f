"""What is known of a session before it starts: which places are on this machine's disk, and where tasks run.

A JVM takes seconds to start. What is wrong with an input, an output or a model on the local disk is said before that.
Where Hadoop or a cluster has a say, nothing is known, and the session is asked later.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkclin.spark import storage
from sparkclin.spark.options import ONE_PROCESS, SessionOptions
from sparkclin.spark.session import running_session, settings_present, under_spark_submit
from sparkclin.spark.settings import DIST_CLASS_PATH, DRIVER_CLASS_PATH_KEY, spark_conf_folder

FILE_SYSTEM_KEYS = ("spark.hadoop.fs.defaultFS", "spark.hadoop.fs.default.name")
HADOOP_FILES = ("core-site.xml", "hdfs-site.xml")
HADOOP_VARIABLES = ("HADOOP_CONF_DIR", "YARN_CONF_DIR", "PYSPARK_SUBMIT_ARGS")
"""With any of these Hadoop may be told what a path without a scheme means."""


@dataclass(frozen=True, kw_only=True)
class Beforehand:
    """`bare_is_local`: whether a path without a scheme certainly means this machine's disk. `runs_here`: whether tasks
    certainly run on this machine, by this Python."""

    bare_is_local: bool
    runs_here: bool

    def is_local(self, path: str) -> bool:
        """Whether a path that a user gives certainly is one of this machine's disk."""
        return not storage.is_remote(path) and (self.bare_is_local or storage.is_disk(path))


def look_ahead(options: SessionOptions) -> Beforehand:
    """Of the session that these options and Spark's own configuration would start; or of the one that runs."""
    running = running_session()
    if running is not None and not hasattr(running, "_jvm"):  # Spark Connect's, which check_session() refuses
        return Beforehand(bare_is_local=False, runs_here=False)
    if running is not None:
        settings = dict(running.sparkContext.getConf().getAll())
        default: Any = running._jsc.hadoopConfiguration().get("fs.defaultFS")
        return Beforehand(bare_is_local=storage.is_disk(str(default)), runs_here=_runs_here(settings))
    settings = {**settings_present(), **options.as_settings()}
    return Beforehand(bare_is_local=_bare_is_local(settings), runs_here=_runs_here(settings))


def _runs_here(settings: Mapping[str, str]) -> bool:
    python = settings.get("spark.pyspark.python") or os.environ.get("PYSPARK_PYTHON") or sys.executable
    return bool(ONE_PROCESS.fullmatch(settings.get("spark.master", "local"))) and python == sys.executable


def _bare_is_local(settings: Mapping[str, str]) -> bool:
    if under_spark_submit():  # whose JVM runs, and has read all there is
        from pyspark import SparkContext

        jvm: Any = SparkContext._jvm
        return storage.is_disk(str(jvm.org.apache.spark.deploy.SparkHadoopUtil.get().conf().get("fs.defaultFS")))
    said = [settings[key] for key in FILE_SYSTEM_KEYS if key in settings]
    return all(map(storage.is_disk, said)) and not _hadoop_is_configured(settings)


def _hadoop_is_configured(settings: Mapping[str, str]) -> bool:
    """Whether something may be there that Hadoop reads its configuration from."""
    folder = spark_conf_folder()
    script = folder / "spark-env.sh"
    exported = script.read_text(encoding="utf-8", errors="replace") if script.is_file() else ""
    class_path = filter(None, os.environ.get(DIST_CLASS_PATH, "").split(os.pathsep))
    return (
        any(variable in os.environ or variable in exported for variable in HADOOP_VARIABLES)
        or any((folder / name).exists() for name in HADOOP_FILES)
        or any(Path(entry).is_dir() for entry in class_path)  # jars are named, or their folder with a `*`
        or bool(settings.get(DRIVER_CLASS_PATH_KEY))
    )
