"""What all tests share: one Spark session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

import sparkclin

pytest_plugins = ["tests.cluster"]


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one session, as a user gets it, with what only tests need on top."""
    session = sparkclin.spark_session(
        master="local[2]",
        app_name="sparkclin tests",
        driver_memory="6g",
        settings={
            "spark.sql.shuffle.partitions": "2",  # a few rows in 200 partitions are 198 empty tasks
            "spark.ui.enabled": "false",  # a port less, and nobody looks
            "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),  # not in the checkout
        },
    )
    yield session
    session.stop()
