"""docker-compose.yml: it is valid, it fits the code, and its topology runs, as processes of this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest
import yaml

from sparkclin.commands import embed as embed_notes
from sparkclin.evaluation.notes import packaged_notes
from testkit.cluster import MASTER, standalone_cluster, worker_command
from testkit.s3 import S3Server, s3_server

ROOT = Path(__file__).parents[1]
COMPOSE_FILE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "docker" / "Dockerfile"
BUCKET = "sparkclin"


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))["services"]
    return found


def test_the_file_meets_the_compose_schema() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE_FILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_topology_is_a_master_two_workers_a_driver_and_a_store() -> None:
    assert set(services()) == {"master", "worker", "store", "notes", "driver"}
    assert services()["worker"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", services())
def test_a_service_waits_for_services_that_can_become_what_it_waits_for(name: str) -> None:
    for other, wait in services()[name].get("depends_on", {}).items():
        needed = {"service_healthy": "healthcheck", "service_completed_successfully": "command"}[wait["condition"]]
        assert needed in services()[other]


@pytest.mark.parametrize("name", services())
def test_hosts_in_a_command_are_services(name: str) -> None:
    hosts = re.findall(r"(?:spark|http)://([\w.]+):", " ".join(services()[name]["command"]))
    assert set(hosts) <= set(services())


def test_images_are_pinned_to_a_full_version() -> None:
    base_images = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    images = [*base_images, *(service["image"] for service in services().values())]
    assert len(base_images) == 1
    assert [image for image in images if not re.fullmatch(r"[\w/]+:\d+(\.\d+)+[\w.-]*", image)] == []


def test_what_the_image_copies_exists_and_is_let_through() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    let_through = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sources == set(let_through)
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_only_loopback_ports_are_published() -> None:
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_master_and_worker_are_started_with_options_that_the_real_ones_take() -> None:
    worker = worker_command("spark://master:7077", cores=1, memory="3g", work_folder=Path("/tmp/work"))
    for name, real in (("master", MASTER), ("worker", worker)):
        spark_class, service, *arguments = services()[name]["command"]
        assert (spark_class, service) == ("spark-class", real[0])
        # Spark's daemons take `--port 7077` and not `--port=7077`.
        assert {argument for argument in arguments if argument.startswith("-")} <= set(real)


def test_the_driver_fits_the_workers() -> None:
    options = dict(option.split("=", 1) for option in services()["driver"]["command"] if option.startswith("--"))
    worker = services()["worker"]["command"]
    assert int(options["--executor-memory"].rstrip("g")) < int(worker[worker.index("--memory") + 1].rstrip("g"))


def test_the_drivers_pipeline_understands_its_options() -> None:
    command = services()["driver"]["command"]
    script = command.index("pipelines/embed_notes.py")
    options = embed_notes.parser().parse_args(command[script + 1 :])
    assert options.input == f"s3a://{BUCKET}/notes.jsonl"
    assert options.output == f"s3a://{BUCKET}/vectors"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """With the compose file's keys in the environment."""
    for key, value in services()["store"]["environment"].items():
        monkeypatch.setenv(key, value)
    with s3_server() as server:
        yield server


@pytest.mark.cluster
def test_the_image_gets_every_jar_once(jars: list[Path]) -> None:
    names = [re.sub(r"-\d.*", "", jar.name) for jar in jars if "linux-x86_64" not in jar.name]
    assert len(names) == len(set(names))
    assert {"com.johnsnowlabs.nlp_spark-nlp_2.12", "org.apache.hadoop_hadoop-aws"} <= set(names)
    assert any("tensorflow-core-api" in jar.name and "linux-x86_64" in jar.name for jar in jars)


@pytest.mark.cluster
def test_the_same_topology_embeds_the_sample_notes(jars: list[Path], store: S3Server, tmp_path: Path) -> None:
    at_home = {"spark://master:7077": "", "http://store:8333": store.url}
    run_as_compose_does("notes", at_home)
    run_as_compose_does("notes", at_home)  # a second `docker compose up` starts over
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text(
        spark_defaults_of_the_image().replace("/usr/local/share/sparkclin/jars", str(jars[0].parent)), encoding="utf-8"
    )
    left = store.file_system()  # of a run that was killed
    for name in ("UNFINISHED.parquet", "part-0.parquet"):
        with left.open_output_stream(f"{BUCKET}/vectors/{name}") as stream:
            stream.write(b"half")
    with standalone_cluster(tmp_path, memory="3g") as cluster:
        spark_submit, *arguments = translated(
            services()["driver"]["command"],
            at_home | {"spark://master:7077": cluster.url, "pipelines/": f"{ROOT}/pipelines/"},
        )
        assert spark_submit == "spark-submit"
        # An empty Ivy folder stays empty: nothing is fetched at run time.
        cluster.spark_submit([f"--conf=spark.jars.ivy={tmp_path / 'ivy'}", *arguments], conf_folder=conf)
    assert not (tmp_path / "ivy").exists()

    written = pyarrow.dataset.dataset(f"{BUCKET}/vectors", filesystem=store.file_system(), format="parquet")
    vectors = written.to_table()
    assert sorted(vectors["note_id"].to_pylist()) == sorted(note.note_id for note in packaged_notes())
    assert vectors["vector"].null_count == 0


def spark_defaults_of_the_image() -> str:
    """What the Dockerfile's own command writes."""
    command = re.search(r"\{ sparkclin .*?\}", DOCKERFILE.read_text(encoding="utf-8"))
    assert command
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    shell = ["bash", "-euo", "pipefail", "-c", command[0]]
    return subprocess.run(shell, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def run_as_compose_does(service: str, replacements: dict[str, str]) -> None:
    python, script, *arguments = translated(services()[service]["command"], replacements)
    assert python == "python"
    subprocess.run([sys.executable, ROOT / script, *arguments], check=True, stdin=subprocess.DEVNULL)


def translated(command: list[str], replacements: dict[str, str]) -> list[str]:
    """The command with the names that only compose's network knows replaced."""
    for name, here in replacements.items():
        command = [part.replace(name, here) for part in command]
    return command
