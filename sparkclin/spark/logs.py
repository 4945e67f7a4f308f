"""The logs of Spark and its JVM: what a JVM that is started from here logs, and a driver that is silent during a run.

PySpark has no API for log4j's filters or Java's standard output, so this module reaches them through the private
`SparkSession._jvm`. PySpark's setLogLevel() does not suffice: a level cannot be read, and so not restored, and classes
whose level a configuration sets keep logging.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from sparkclin.spark.failures import shows_all
from sparkclin.spark.scratch import JAVA_OPTIONS, scratch_folder
from sparkclin.spark.settings import spark_conf_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOG_FILE = "log4j2.properties"

LOGGING = """
# spark-submit logs a thousand lines of its own progress for a job of three rows. Warnings and errors are enough.
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
    """Return the Spark settings by which a JVM that is started from here logs as LOGGING configures it; none if Spark's
    folder for configuration or the settings `chosen` configure its logs."""
    options = chosen.get(JAVA_OPTIONS, "")
    if (spark_conf_folder() / LOG_FILE).exists() or "log4j" in options:
        return {}
    file = scratch_folder() / LOG_FILE
    file.write_text(LOGGING, encoding="utf-8")
    return {JAVA_OPTIONS: f'{options} "-Dlog4j2.configurationFile={file.as_uri()}"'.strip()}


@contextmanager
def silence(spark: SparkSession) -> Iterator[None]:
    """Keep the driver's JVM from logging and printing inside the block. The session's own log settings do not change,
    and calls may nest and overlap in threads: when the last one ends, the JVM logs and prints as before.

    Spark logs the message of an exception that ends a task, which may hold note text, and Spark NLP prints to standard
    output. With unsafe_debug() nothing is silenced.
    """
    if shows_all():
        yield
        return
    silenced = _Silenced.of(spark)
    silenced.begin()
    try:
        yield
    finally:
        # In a thread of its own, because Ctrl-C may have left an unread answer in this thread's connection to Java.
        ending = Thread(target=silenced.end, name="silence")
        ending.start()
        ending.join()


def stay_silent(spark: SparkSession) -> None:
    """Do the same for as long as the JVM of a session runs. For a session that sparkclin itself started."""
    if not shows_all():
        _Silenced.of(spark).begin()


@dataclass
class _StandardOutput:
    """The JVM's standard output: how many blocks silence it, and the stream to restore after the last of them."""

    lock: Lock = field(default_factory=Lock)
    blocks: int = 0
    stream: Any = None


_standard_output = _StandardOutput()


@dataclass(frozen=True)
class _Silenced:
    """A filter of log4j that denies all, and the configuration that has it from begin() to end()."""

    java: Any
    configuration: Any
    filter: Any
    nowhere: Any

    @classmethod
    def of(cls, spark: SparkSession) -> _Silenced:
        jvm: Any = spark._jvm
        core = jvm.org.apache.logging.log4j.core
        return cls(
            java=jvm.java,
            configuration=core.LoggerContext.getContext(False).getConfiguration(),
            filter=core.filter.DenyAllFilter.newBuilder().build(),
            nowhere=jvm.org.apache.commons.io.output.NullOutputStream(),
        )

    def begin(self) -> None:
        self.configuration.addFilter(self.filter)
        with _standard_output.lock:
            if _standard_output.blocks == 0:
                system = self.java.lang.System
                _standard_output.stream = system.out
                system.setOut(self.java.io.PrintStream(self.nowhere))
            _standard_output.blocks += 1

    def end(self) -> None:
        from py4j.protocol import Py4JError

        with _standard_output.lock, suppress(Py4JError, OSError):  # nothing to restore if Java has ended
            _standard_output.blocks -= 1
            if _standard_output.blocks == 0:
                self.java.lang.System.setOut(_standard_output.stream)
            self.configuration.removeFilter(self.filter)
