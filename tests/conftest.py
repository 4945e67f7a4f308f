"""What all tests share: one Spark session, and a repository with a tiny model that echoes its ids."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from pyspark.sql import SparkSession
from xdist.scheduler import LoadScopeScheduling

import sparkclin
from sparkclin.models import pretrained
from sparkclin.spark.settings import BATCH_SETTING
from testkit.echo import SAMPLE_TEXTS, build_echo_bundle
from testkit.tokenizers import train_tokenizer
from tests.sparkclin.processes import JVM_OPTIONS

pytest_plugins = ["tests.cluster", "tests.installation"]

# A JVM of a test lives for seconds: what the optimizing compiler and parallel garbage collection cost never comes back.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
for variable in (JVM_OPTIONS, "SPARK_DAEMON_JAVA_OPTS"):
    os.environ.setdefault(variable, SHORT_LIVED)

# A pause of a busy machine is no failure.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


SHARE = {
    "tests/test_cluster.py": "cluster",
    "tests/test_pipeline.py": "cluster",
    "tests/hostile/test_no_text_leaks.py": "cluster",
    "tests/test_demo.py": "installation",
    "tests/test_wheel.py": "installation",
}
"""Files that share a fixture which is dear to make, such as a cluster."""


class BySharedFixtures(LoadScopeScheduling):  # type: ignore[misc]
    """With pytest-xdist one process runs the tests of a file, and of all files that SHARE names together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return SHARE.get(file, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> BySharedFixtures:
    return BySharedFixtures(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones begin, so that two processes end at about the same time."""
    items.sort(key=lambda item: item.nodeid.partition("::")[0] not in SHARE)


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


@pytest.fixture(autouse=True)
def _no_models_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins as a fresh process does, with no models in use, whatever tests ran before it."""
    monkeypatch.setattr(pretrained, "_in_use", None)
    monkeypatch.setattr(pretrained, "_failed", None)
    monkeypatch.delenv(pretrained.MODELS_VARIABLE, raising=False)


@pytest.fixture
def spark_of_large_batches(spark: SparkSession) -> Iterator[SparkSession]:
    """The session with Spark's own number of rows in an Arrow batch."""
    before = spark.conf.get(BATCH_SETTING, "8")
    assert before is not None
    spark.conf.set(BATCH_SETTING, 10_000)
    yield spark
    spark.conf.set(BATCH_SETTING, before)


@pytest.fixture
def mounted(spark: SparkSession, tmp_path: Path) -> Iterator[str]:
    """The URL by which Hadoop knows `tmp_path`."""
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    key = "fs.viewfs.mounttable.storage.link./files"
    conf.set(key, f"file://{tmp_path}")
    conf.set("fs.viewfs.impl.disable.cache", "true")  # else the first test's folder stays mounted
    yield "viewfs://storage/files"
    conf.unset(key)
    conf.unset("fs.viewfs.impl.disable.cache")


@pytest.fixture(params=["path", "file URL", "URL"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """`tmp_path` as a location."""
    if request.param == "URL":
        return str(request.getfixturevalue("mounted"))
    return f"file://{tmp_path}" if request.param == "file URL" else str(tmp_path)


@pytest.fixture(scope="session")
def echo_models(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the model `clinical_longformer`, an echo of 2 numbers a piece. Do not register in it."""
    pytest.importorskip("sparkclin.export.graph.tensorflow", reason="needs the export extra to build the echo model")
    root = tmp_path_factory.mktemp("models")
    build_echo_bundle(spark, root, tokenizer_json=train_tokenizer(SAMPLE_TEXTS), name="clinical_longformer")
    return root
