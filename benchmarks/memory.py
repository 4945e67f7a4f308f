"""The memory of Python workers that run a model: `python -m benchmarks.memory`.

For each precision, and executors of several slots, document vectors of sentences, of notes and of texts of the longest
window are made in local mode. Then each worker's memory is read. The notes have so many lengths that OpenVINO's cache
of shapes is full by then (`python -m benchmarks.shapes`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks import ours
from benchmarks.contenders import OPENVINO_BF16, OPENVINO_FP32, OPENVINO_INT8
from benchmarks.in_spark import count_done, read_rows
from benchmarks.machine import describe_machine
from benchmarks.plan import Effort, Planner
from benchmarks.process import family
from benchmarks.report import table
from benchmarks.run import material_of, open_store, options_beside, parser_beside
from benchmarks.workloads import LONG, NOTES, SENTENCES, sample, write_rows
from sparkclin.errors import SparkclinError
from sparkclin.inference.openvino import WEIGHTS
from sparkclin.models.bundle import Bundle
from sparkclin.spark.session import spark_session
from sparkclin.tasks.embed import EmbedOptions, embed
from testkit.material import CHECKOUT

VARIANTS = (OPENVINO_FP32, OPENVINO_BF16, OPENVINO_INT8)
SHAPES = ((1, 1), (2, 1), (4, 1), (2, 2))
"""Tasks at once, and the cores of each: `spark.task.cpus`."""

LONG_ROWS, NOTE_ROWS, SENTENCE_ROWS, PARTS = 3, 100, 60, 3
"""Of each task at once."""


@dataclass(frozen=True, kw_only=True)
class WorkerMemory:
    """Resident bytes of a worker: of the file of weights, which all workers of a machine map together, and all else."""

    weights: int
    own: int


@dataclass(frozen=True, kw_only=True)
class ExecutorMemory:
    """`jvm` are the resident bytes of Spark's JVM, in local mode the driver's too."""

    jvm: int
    workers: tuple[WorkerMemory, ...]

    @property
    def total(self) -> int:
        return self.jvm + sum(w.own for w in self.workers) + max((w.weights for w in self.workers), default=0)


def measure(bundle: Bundle, rows: Path, *, tasks: int, cores: int) -> ExecutorMemory:
    """Makes vectors of all rows, in this process."""
    settings = {"spark.task.cpus": str(cores), "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1"}
    spark = spark_session(
        master=f"local[{tasks * cores}]", app_name="benchmark memory", settings=settings, spark_nlp=False
    )
    found = embed(read_rows(spark, rows), bundle=bundle, options=EmbedOptions())
    count_done(found, done="size(vector) > 0")
    jvm, *below = [process for child in psutil.Process().children() for process in family(child)]
    workers = [memory for process in below if (memory := worker_memory(process)).weights]
    return ExecutorMemory(jvm=jvm.memory_info().rss, workers=tuple(workers))


def worker_memory(process: psutil.Process) -> WorkerMemory:
    """Nothing of a process that has ended."""
    maps = []
    with suppress(psutil.NoSuchProcess):
        maps = process.memory_maps()
    weights = sum(part.rss for part in maps if Path(part.path).name == WEIGHTS)
    return WorkerMemory(weights=weights, own=sum(part.rss for part in maps) - weights)


def in_new_process(bundle: Bundle, rows: Path, *, tasks: int, cores: int) -> ExecutorMemory:
    """Call measure() in a process of its own: a process has one Spark."""
    given = [str(bundle.path), str(rows), str(tasks), str(cores)]
    command = [sys.executable, "-m", "benchmarks.memory", "--of", *given]
    said = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True).stdout
    raw = json.loads(said.splitlines()[-1])
    return ExecutorMemory(jvm=raw["jvm"], workers=tuple(WorkerMemory(**worker) for worker in raw["workers"]))


def to_text(found: Sequence[tuple[str, int, int, ExecutorMemory]]) -> str:
    """A row per precision and shape of an executor; GB."""
    header = ("precision", "tasks at once", "cores per task", "a worker's own", "weights, shared", "JVM", "all")
    rows = [
        (
            precision,
            str(tasks),
            str(cores),
            gigabytes(max(worker.own for worker in memory.workers)),
            gigabytes(max(worker.weights for worker in memory.workers)),
            gigabytes(memory.jvm),
            gigabytes(memory.total),
        )
        for precision, tasks, cores, memory in found
    ]
    return table(header, rows)


def gigabytes(count: int) -> str:
    return f"{count / 2**30:.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 where the models cannot be made."""
    parser = parser_beside("benchmarks.memory", "Memory of Python workers.", smoke="in bf16, one executor")
    parser.add_argument("--of", nargs=4, metavar=("BUNDLE", "ROWS", "TASKS", "CORES"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.of:
        bundle, rows, tasks, cores = given.of
        print(json.dumps(asdict(measure(Bundle.read(Path(bundle)), Path(rows), tasks=int(tasks), cores=int(cores)))))
        return 0
    options = options_beside(given)
    variants, shapes = (VARIANTS[1:2], SHAPES[1:2]) if given.smoke else (VARIANTS, SHAPES)
    try:
        material = material_of(options)
        store = open_store(options, material)
        ours.prepare_together(store, variants)
        bundles = {variant: ours.prepare(store, variant) for variant in variants}
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    planner = Planner(store=store, material=material, effort=Effort(seconds=0, warm_up_seconds=0, gflops=0, cpus=(0,)))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for tasks, cores in shapes:
            rows = [
                *sample(planner.workload(LONG), LONG_ROWS * tasks),
                *sample(planner.workload(NOTES), NOTE_ROWS * tasks),
                *sample(planner.workload(SENTENCES), SENTENCE_ROWS * tasks),
            ]
            write_rows(rows, Path(folder), parts=PARTS * tasks)
            for variant, bundle in bundles.items():
                memory = in_new_process(bundle, Path(folder), tasks=tasks, cores=cores)
                found.append((variant.precision, tasks, cores, memory))
    print(f"{describe_machine().cpu}, {store.shape.layers} × {store.shape.width}; GB of resident memory")
    print(to_text(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
