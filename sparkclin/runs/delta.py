"""Delta Lake, which is not a part of Spark: whether a session has it, and the version of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkclin.errors import SetupError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REMEDY = (
    "add it: spark-submit --packages <those of spark-defaults.conf>,io.delta:delta-spark_2.12:3.3.2 "
    "--conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension "
    "--conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog"
)


def latest_version(spark: SparkSession, location: str) -> int:
    """Return the number of the latest version of a Delta table."""
    from pyspark.sql import DataFrame

    jvm: Any = spark._jvm
    history = DataFrame(jvm.io.delta.tables.DeltaTable.forPath(spark._jsparkSession, location).history(1), spark)
    latest = history.first()
    assert latest is not None  # a table has at least the version that created it
    return int(latest.version)


def check_delta(spark: SparkSession) -> None:
    """Raises SetupError where Delta Lake is missing."""
    from py4j.java_gateway import JavaPackage

    jvm: Any = spark._jvm
    if isinstance(jvm.io.delta.tables.DeltaTable, JavaPackage):
        raise SetupError(f"Delta Lake is not part of this Spark session; {REMEDY}")
