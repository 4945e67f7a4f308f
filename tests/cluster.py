"""The standalone cluster of testkit/cluster.py, once for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sparkclin.spark.jars import environment_jars, jar_paths, set_up_jars
from testkit.cluster import StandaloneCluster, standalone_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneCluster]:
    """One cluster of two workers for all tests, with the jars of the environment."""
    set_up_jars(environment_jars())
    with standalone_cluster(tmp_path_factory.mktemp("cluster"), jars=jar_paths(environment_jars())) as running:
        yield running
