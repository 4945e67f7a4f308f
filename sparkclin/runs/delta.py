"""Whether a session can read and write Delta Lake, which is not a part of Spark."""

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


def check_delta(spark: SparkSession) -> None:
    """Raises SetupError where Delta Lake is missing."""
    from py4j.java_gateway import JavaPackage

    jvm: Any = spark._jvm
    if isinstance(jvm.io.delta.tables.DeltaTable, JavaPackage):
        raise SetupError(f"Delta Lake is not part of this Spark session; {REMEDY}")
