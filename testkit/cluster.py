"""A real Spark standalone cluster on loopback: the topology of docker-compose.yml as processes of this machine.

A Python process has one SparkContext, so drivers are processes of their own: `StandaloneCluster.submit()` runs them by
`spark-submit`. The executors read the jars where they lie; `spark.jars.packages` would copy 550 MB to each of them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pyspark

from sparkclin.errors import SparkclinError

HOST = "127.0.0.1"
SPARK_HOME = Path(pyspark.__file__).parent
# Port 0: the system picks a free one, so nothing can take it in between.
_PORTS = ("--host", HOST, "--port", "0", "--webui-port", "0")
MASTER = ("org.apache.spark.deploy.master.Master", *_PORTS)
"""What `spark-class` runs as the master."""

LOG_TAIL = 40
"""How many lines of a log a failure shows."""


class ClusterError(SparkclinError):
    """The cluster did not come up, or a driver on it failed; says where the logs are and how they end."""


@dataclass(frozen=True, kw_only=True)
class StandaloneCluster:
    """A running master and its workers; `url` is what `--master` takes, `folder` holds the logs and work folders."""

    url: str
    ui: str
    folder: Path
    jars: tuple[Path, ...]

    def submit(
        self,
        script: Path,
        *arguments: str,
        timeout_s: float = 900,
    ) -> subprocess.CompletedProcess[str]:
        """Run `script` as a driver on the cluster and return what it printed.

        Raises ClusterError with the end of its log where it fails, subprocess.TimeoutExpired where it hangs.
        """
        conf = [f"--conf={key}={value}" for key, value in self.settings().items()]
        command = ["--master", self.url, *conf, str(script), *arguments]
        return self.spark_submit(command, timeout_s=timeout_s)

    def spark_submit(
        self, arguments: Sequence[str], *, conf_folder: Path | None = None, timeout_s: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run `spark-submit` as it stands, with the configuration of `conf_folder`; raises like submit()."""
        configuration = {"SPARK_CONF_DIR": str(conf_folder)} if conf_folder else {}
        driver = subprocess.run(
            [SPARK_HOME / "bin" / "spark-submit", *arguments],
            env=_environment(self.folder) | configuration,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if driver.returncode:
            # A Python driver's own messages come on stdout, Spark's on stderr.
            raise ClusterError(
                f"spark-submit ended with status {driver.returncode}; executors' logs are below {self.folder}\n"
                f"{_tail(driver.stderr)}\n{_tail(driver.stdout)}"
            )
        return driver

    def settings(self) -> dict[str, str]:
        """What a driver of this cluster needs beside the packaged spark-defaults.conf."""
        class_path = os.pathsep.join(map(str, self.jars))
        return {
            "spark.jars.packages": "",  # the jars are on the class paths; nothing is fetched, nothing is copied
            "spark.driver.extraClassPath": class_path,
            "spark.executor.extraClassPath": class_path,
            "spark.driver.host": HOST,
            "spark.driver.memory": "3g",
            "spark.executor.memory": "3g",
            "spark.ui.enabled": "false",
            "spark.executor.extraJavaOptions": os.environ.get("SPARK_SUBMIT_OPTS", ""),  # as drivers have them
        }

    def state(self) -> dict[str, object]:
        """The master's own account of its workers and applications."""
        return _read_json(f"{self.ui}/json/")


def worker_command(url: str, *, cores: int, memory: str, work_folder: Path) -> tuple[str, ...]:
    """What `spark-class` runs as a worker of the master at `url`."""
    size = ("--cores", str(cores), "--memory", memory, "--work-dir", str(work_folder))
    return ("org.apache.spark.deploy.worker.Worker", *_PORTS, *size, url)


@contextmanager
def standalone_cluster(
    folder: Path,
    *,
    jars: Sequence[Path] = (),
    workers: int = 2,
    cores: int = 1,
    memory: str = "4g",
    pinned: Sequence[int] = (),
    limit_s: float = 120,
) -> Iterator[StandaloneCluster]:
    """A master and `workers` workers of `cores` cores and `memory` each, ended on leaving.

    `jars` go on the class paths of drivers and executors. With `pinned`, a worker and its executors may use the one
    processor of that number only. Raises ClusterError where not all workers have registered after `limit_s` seconds.
    """
    deadline = time.monotonic() + limit_s
    with ExitStack() as processes:
        log = folder / "master.log"
        master = processes.enter_context(_daemon(MASTER, log=log))
        url = _wait_for(r"Starting Spark master at (spark://\S+)", log=log, process=master, deadline=deadline)
        ui = _wait_for(
            r"Bound MasterWebUI to \S+, and started at (http://\S+)", log=log, process=master, deadline=deadline
        )
        cluster = StandaloneCluster(url=url, ui=f"http://{HOST}:{urlsplit(ui).port}", folder=folder, jars=tuple(jars))
        worker = worker_command(url, cores=cores, memory=memory, work_folder=folder / "work")
        for number in range(workers):
            log = folder / f"worker-{number}.log"
            processes.enter_context(_daemon(worker, log=log, cpus=pinned[number : number + 1]))
        _wait_for_workers(cluster, count=workers, deadline=deadline)
        yield cluster


@contextmanager
def _daemon(arguments: Sequence[str], *, log: Path, cpus: Sequence[int] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A Spark service in a process group of its own, so that its executors end with it; on `cpus` only where given."""
    pin = ("taskset", "--cpu-list", ",".join(map(str, cpus))) if cpus else ()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*pin, SPARK_HOME / "bin" / "spark-class", *arguments],
            # No configuration of ours: master and workers must do with what a cluster has without sparkclin, and
            # Spark's own log settings tell the addresses that we wait for.
            env=_environment(log.parent) | {"SPARK_CONF_DIR": str(log.parent / "no-conf")},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group: politely, and after 20 seconds by force."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=20)
    deadline = time.monotonic() + 10  # a killed process takes a moment to go
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.05)


def _environment(folder: Path) -> dict[str, str]:
    """The environment of Spark's processes: this Python, this Spark, loopback, temporary files below `folder`."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_"))}
    return inherited | {
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": HOST,
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "PYSPARK_PYTHON": sys.executable,
    }


def _wait_for(pattern: str, *, log: Path, process: subprocess.Popen[bytes], deadline: float) -> str:
    """The first group of `pattern` once the log has it; ClusterError where the process ends or time runs out."""
    while True:
        text = log.read_text(encoding="utf-8", errors="replace")
        if found := re.search(pattern, text):
            return found[1]
        if process.poll() is not None or time.monotonic() > deadline:
            raise ClusterError(
                f"the master did not start (exit status {process.poll()}); {log} ends with\n{_tail(text)}"
            )
        time.sleep(0.1)


def _wait_for_workers(cluster: StandaloneCluster, *, count: int, deadline: float) -> None:
    while (alive := _alive_workers(cluster)) < count:
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{alive} of {count} workers registered with {cluster.url}; see the logs in {cluster.folder}"
            )
        time.sleep(0.1)


def _alive_workers(cluster: StandaloneCluster) -> int:
    alive = cluster.state()["aliveworkers"]
    assert isinstance(alive, int)
    return alive


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-LOG_TAIL:])


def _read_json(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=10) as response:
        value: dict[str, object] = json.load(response)
    return value
