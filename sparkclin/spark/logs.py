"""What Spark and its JVM log on a terminal: only what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping

from sparkclin.spark.scratch import JAVA_OPTIONS, scratch_folder
from sparkclin.spark.settings import spark_conf_folder

LOG_FILE = "log4j2.properties"

LOGGING = """
# spark-submit logs a thousand lines of its own progress for a job of three rows. What goes wrong is enough.
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex

# Warnings that ask for nothing: no native Hadoop library, the machine's address, a taken port of the Spark UI.
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.utils.name = org.apache.spark.util.Utils
logger.utils.level = error

# A cluster manager may have local folders of its own; and the key of encrypted files goes to executors as safely as the
# network is (docs/how-to/clusters.md).
logger.conf.name = org.apache.spark.SparkConf
logger.conf.level = error
logger.env.name = org.apache.spark.SparkEnv
logger.env.level = error
"""


def log_settings(chosen: Mapping[str, str]) -> dict[str, str]:
    """The Spark settings by which a JVM that is started from here logs as LOGGING says; none where Spark's folder for
    configuration, or the settings `chosen`, say how it logs."""
    options = chosen.get(JAVA_OPTIONS, "")
    if (spark_conf_folder() / LOG_FILE).exists() or "log4j" in options:
        return {}
    file = scratch_folder() / LOG_FILE
    file.write_text(LOGGING, encoding="utf-8")
    return {JAVA_OPTIONS: f'{options} "-Dlog4j2.configurationFile={file.as_uri()}"'.strip()}
