"""The standalone cluster of testkit/cluster.py, once for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pyspark.sql import SparkSession

from testkit.cluster import StandaloneCluster, standalone_cluster


@pytest.fixture(scope="session")
def cluster(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneCluster]:
    """One cluster of two workers for all tests, with the jars that the shared session resolved."""
    jars = [Path(urlsplit(jar).path) for jar in spark.sparkContext.getConf().get("spark.jars", "").split(",") if jar]
    with standalone_cluster(tmp_path_factory.mktemp("cluster"), jars=jars) as running:
        yield running
