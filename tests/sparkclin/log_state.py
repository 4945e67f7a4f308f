"""The logs and streams of a session's JVM, to compare before and after a run."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession


def log_state(spark: SparkSession) -> dict[str, str]:
    """Return all that a run might change: the levels and filters of log4j's configuration, and Java's streams."""
    jvm: Any = spark._jvm
    configuration = jvm.org.apache.logging.log4j.core.LoggerContext.getContext(False).getConfiguration()
    loggers = configuration.getLoggers().values()
    system = jvm.java.lang.System
    return {
        **{f"level of {logger.getName()!r}": str(logger.getExplicitLevel()) for logger in loggers},
        "configuration": str(configuration.hashCode()),
        "filter": str(configuration.getFilter()),
        "out": f"{system.out.getClass().getName()} {system.identityHashCode(system.out)}",
        "err": f"{system.err.getClass().getName()} {system.identityHashCode(system.err)}",
    }


def logs_errors(spark: SparkSession, name: str = "org.apache.spark.util.Utils") -> bool:
    """Return whether a class of the JVM logs errors."""
    jvm: Any = spark._jvm
    return bool(jvm.org.apache.logging.log4j.LogManager.getLogger(name).isErrorEnabled())
