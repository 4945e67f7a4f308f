"""The cluster that other tests stand on: both workers work, with the jars and the environment that a model needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sparkclin.commands import embed as embed_notes
from sparkclin.export.convert import ExportOptions, convert
from sparkclin.spark.jars import environment_jars, jar_paths
from sparkclin.spark.settings import installed_defaults_conf, spark_env
from testkit.checkpoints import NOTES, random_checkpoint
from testkit.cluster import ClusterError, StandaloneCluster, standalone_cluster
from testkit.demo import SCRIPT

pytestmark = pytest.mark.cluster

DRIVER = """
import json, os, sys
import sparkclin
from pyspark import BarrierTaskContext
from sparknlp.base import DocumentAssembler

spark = sparkclin.spark_session(app_name="both workers")

def where_am_i(rows):
    # A barrier stage runs all its tasks at once: with one core a worker, one on each.
    BarrierTaskContext.get().barrier()
    return [{"folder": os.getcwd(), "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS"), "python": sys.executable}]

tasks = spark.sparkContext.parallelize(range(2), 2).barrier().mapPartitions(where_am_i).collect()
texts = spark.createDataFrame([("one",), ("two",)], ["text"]).repartition(2)
assembled = DocumentAssembler().setInputCol("text").setOutputCol("document").transform(texts)
documents = sorted(row.result[0] for row in assembled.select("document.result").collect())
print(json.dumps({"tasks": tasks, "documents": documents, "master": spark.sparkContext.master}))
spark.stop()
"""


def test_a_driver_runs_on_both_workers_with_jars_and_environment(cluster: StandaloneCluster, tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER, encoding="utf-8")

    seen = printed(cluster.submit(script))

    folders = {Path(task["folder"]) for task in seen["tasks"]}
    assert seen["master"] == cluster.url
    assert len(folders) == 2
    assert all(folder.is_relative_to(cluster.folder / "work") for folder in folders)
    assert {task["onednn"] for task in seen["tasks"]} == {"1"}
    assert seen["documents"] == ["one", "two"]
    assert not list((cluster.folder / "work").rglob("*.jar")), "jars were copied to the executors"


def test_with_the_files_of_setup_executors_copy_the_jars(cluster: StandaloneCluster, tmp_path: Path) -> None:
    """The driver has them from spark-env.sh, and workers that know nothing of sparkclin get them from the driver."""
    script, conf = tmp_path / "driver.py", tmp_path / "conf"
    script.write_text(DRIVER, encoding="utf-8")
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text(installed_defaults_conf(), encoding="utf-8")
    (conf / "spark-env.sh").write_text(spark_env(environment_jars(), python=Path(sys.executable)), encoding="utf-8")
    small = ("spark.driver.host=127.0.0.1", "spark.executor.memory=2g", f"spark.jars.ivy={tmp_path / 'ivy'}")

    driver = cluster.spark_submit(
        ["--master", cluster.url, *(f"--conf={setting}" for setting in small), str(script)], conf_folder=conf
    )

    seen = printed(driver)
    assert seen["documents"] == ["one", "two"]
    copies = [{jar.name for jar in Path(task["folder"]).glob("*.jar")} for task in seen["tasks"]]
    assert copies == [{jar.name for jar in jar_paths(environment_jars())}] * 2
    assert not (tmp_path / "ivy").exists()


def printed(driver: subprocess.CompletedProcess[str]) -> Any:
    """What DRIVER printed; Spark may say something about its end behind it."""
    [line] = (line for line in driver.stdout.splitlines() if line.startswith('{"tasks"'))
    return json.loads(line)


@pytest.mark.slow
@pytest.mark.export
@pytest.mark.usefixtures("spark")
def test_an_engine_in_the_workers_needs_no_jars(cluster: StandaloneCluster, tmp_path: Path) -> None:
    """Neither the driver nor the executors have any, and vectors are those of one machine, to the digit."""
    checkpoint, models = str(random_checkpoint(tmp_path / "checkpoint")), tmp_path / "models"
    convert(ExportOptions(checkpoint=checkpoint, name="a_model", models=models, engine="openvino"))
    notes = pd.DataFrame({"note_id": list(NOTES), "text": list(NOTES.values())})
    notes.to_parquet(tmp_path / "notes.parquet")
    arguments = ["--input", str(tmp_path / "notes.parquet"), "--models", str(models), "--partitions", "4"]
    local, spread = tmp_path / "local", tmp_path / "spread"
    assert embed_notes.main([*arguments, "--output", str(local)]) == 0
    replace(cluster, jars=()).submit(SCRIPT, *arguments, "--output", str(spread))
    report = json.loads((spread / "_report.json").read_text(encoding="utf-8"))
    assert report["counts"]["notes"] == len(NOTES)
    assert report["settings"]["engine"] == "openvino"
    assert 0 < sum(report["ran"].values()) <= 4
    found, expected = (pd.read_parquet(path).sort_values("note_id").to_dict("list") for path in (spread, local))
    vectors, theirs = found.pop("vector"), expected.pop("vector")
    assert found == expected
    for ours, other in zip(vectors, theirs, strict=True):
        np.testing.assert_array_equal(ours, other)


def test_a_failing_driver_is_an_error_with_its_last_words(cluster: StandaloneCluster, tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text("raise SystemExit('out of tea')", encoding="utf-8")

    with pytest.raises(ClusterError, match=r"(?s)status 1.*out of tea"):
        cluster.submit(script)


def test_a_cluster_that_does_not_come_up_in_time_says_so_and_leaves_nothing_running(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="did not start"), standalone_cluster(tmp_path, limit_s=0):
        pass

    assert not _processes_naming(tmp_path)


def test_leaving_ends_every_process(tmp_path: Path) -> None:
    with standalone_cluster(tmp_path, workers=1, memory="1g") as cluster:
        assert cluster.state()["aliveworkers"] == 1
        assert _processes_naming(tmp_path)

    assert not _processes_naming(tmp_path)


def _processes_naming(folder: Path) -> list[str]:
    """The command lines of running processes whose environment or arguments name `folder`."""
    own = str(os.getpid())
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or process.name == own:
            continue
        try:
            text = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:  # it ended while we looked
            continue
        if os.fsencode(folder) in text:
            found.append(process.name)
    return found
