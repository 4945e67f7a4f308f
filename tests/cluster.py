"""The standalone cluster of testkit/cluster.py, once for all tests that need one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkclin.spark.jars import environment_jars, jar_paths, set_up_jars
from testkit.cluster import StandaloneCluster, standalone_cluster

FETCH_JARS = Path(__file__).parents[1] / "docker" / "fetch_jars.py"


@pytest.fixture(scope="session")
def jars(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the jars of the image, with those for `s3a://`, fetched as its build fetches them."""
    folder = tmp_path_factory.mktemp("jars")
    subprocess.run([sys.executable, FETCH_JARS, folder], check=True, stdin=subprocess.DEVNULL)
    return sorted(folder.glob("*.jar"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneCluster]:
    """One cluster of two workers for all tests, with the jars of the environment."""
    set_up_jars(environment_jars())
    with standalone_cluster(tmp_path_factory.mktemp("cluster"), jars=jar_paths(environment_jars())) as running:
        yield running
