"""Memory of a model by the number of shapes (rows, pieces) that it has read: `python -m benchmarks.shapes`.

A process per model and capacity of OpenVINO's cache reads a batch of each shape, on one thread, and takes its resident
memory after every 100 shapes. There are as many processes at once as processors: they do not change each other's
memory. ONNX Runtime and TensorFlow read the same rows as packed batches, as Spark NLP sends them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks import ours
from benchmarks.contenders import ONNX_FP32, ONNX_INT8, OPENVINO_BF16, OPENVINO_FP32, OPENVINO_INT8
from benchmarks.machine import cpus, describe_machine
from benchmarks.memory import gigabytes
from benchmarks.ours import TENSORFLOW_FP32
from benchmarks.raw_onnx import inputs_of, model_file, raw_onnx
from benchmarks.report import ABSENT, table
from benchmarks.run import material_of, open_store, options_beside, parser_beside
from sparkclin.errors import SparkclinError
from sparkclin.inference.openvino import CACHE_CAPACITY, OpenVinoModel
from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import annotator_of, engine_of
from sparkclin.text.pieces import Ints
from sparkclin.text.pooling import MEAN
from sparkclin.wire.packed import concatenated
from testkit.material import CHECKOUT
from testkit.shapes import batch_shapes, random_rows

OPENVINO_DEFAULT = 5000
"""The capacity of OpenVINO's cache if none is set."""

CAPACITIES = (OPENVINO_DEFAULT, CACHE_CAPACITY)

VARIANTS = (OPENVINO_FP32, OPENVINO_BF16, OPENVINO_INT8, ONNX_FP32, ONNX_INT8, TENSORFLOW_FP32)

EVERY = 100
"""Shapes between two readings of the memory."""

LONGEST = 1024
"""Of the rows of a sample, in ids: longer ones take long, and are alone in their batches."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Resident bytes of a process after every EVERY shapes. Only OpenVINO has a `capacity`."""

    engine: str
    precision: str
    capacity: int | None
    resident: tuple[int, ...]


def sample_shapes(bundle: Bundle, *, count: int) -> list[tuple[int, int]]:
    """Return up to `count` of the shapes that plan_batches() can make."""
    return batch_shapes(min(bundle.manifest.max_pieces + 2, LONGEST))[:count]


def reader(bundle: Bundle, *, capacity: int | None, scratch: Path) -> Callable[[Ints], object]:
    """Return a function that reads a batch of tagged rows, on one thread."""
    vocabulary = bundle.manifest.vocabulary
    if capacity is not None:
        model = OpenVinoModel(bundle.model_files(threads=1), cache_capacity=capacity)
        return lambda rows: model.run(rows, [MEAN])
    is_tensorflow = bundle.manifest.engine == TENSORFLOW_FP32.engine
    run = raw_tensorflow(bundle) if is_tensorflow else raw_onnx(model_file(bundle, scratch))
    request = bundle.manifest.segment_outputs.request([MEAN])
    first, last = vocabulary.n_tagged, vocabulary.n_tagged + 1
    return lambda rows: run([[first, *concatenated(list(rows), vocabulary, request=request), last]])


def raw_tensorflow(bundle: Bundle) -> Callable[[Sequence[Sequence[int]]], object]:
    """Return a function like that of raw_onnx(), with the bundle's own graph in TensorFlow."""
    from sparkclin.export.graph.tensorflow import read_saved  # loads triton, which must come before TensorFlow

    # isort: split
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    graph = read_saved(bundle.path / annotator_of(bundle).graph_file)

    def run(batch: Sequence[Sequence[int]]) -> object:
        inputs = inputs_of(batch)
        return graph.run(inputs["input_ids"].astype(np.int32), inputs["attention_mask"].astype(np.int32))

    return run


def measure(bundle: Bundle, *, capacity: int | None, count: int, scratch: Path) -> Growth:
    """Read a batch of each shape, in this process."""
    read, generator = reader(bundle, capacity=capacity, scratch=scratch), np.random.default_rng(0)
    manifest, resident = bundle.manifest, []
    for number, shape in enumerate(sample_shapes(bundle, count=count), start=1):
        read(random_rows(generator, shape, manifest.vocabulary))
        if number % EVERY == 0:
            resident.append(psutil.Process().memory_info().rss)
    return Growth(engine=manifest.engine, precision=manifest.precision, capacity=capacity, resident=tuple(resident))


def in_new_process(bundle: Bundle, *, capacity: int | None, count: int, scratch: Path) -> Growth:
    """Do the same as measure()."""
    given = [str(bundle.path), json.dumps(capacity), str(count), str(scratch)]
    command = [sys.executable, "-m", "benchmarks.shapes", "--of", *given]
    said = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True).stdout
    raw = json.loads(said.splitlines()[-1])
    return Growth(**raw | {"resident": tuple(raw["resident"])})


def to_text(found: Sequence[Growth]) -> str:
    """Return a row per model and capacity: GB of resident memory by the number of shapes."""
    numbers = range(EVERY, EVERY * len(found[0].resident) + 1, EVERY)
    return table(("model", "capacity", *(f"{number:,}" for number in numbers)), [row(one) for one in found])


def row(one: Growth) -> tuple[str, ...]:
    capacity = ABSENT if one.capacity is None else f"{one.capacity:,}"
    return (f"{one.engine} {one.precision}", capacity, *map(gigabytes, one.resident))


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, or 1 if the models cannot be made."""
    parser = parser_beside("benchmarks.shapes", "Memory by shapes of rows.", smoke="in fp32, few shapes")
    parser.add_argument("--shapes", type=int, default=500, metavar="N", help="how many shapes a process reads")
    parser.add_argument("--of", nargs=4, metavar=("BUNDLE", "CAPACITY", "SHAPES", "SCRATCH"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.of:
        bundle, capacity, count, scratch = given.of
        found = measure(
            Bundle.read(Path(bundle)), capacity=json.loads(capacity), count=int(count), scratch=Path(scratch)
        )
        print(json.dumps(asdict(found)))
        return 0
    options = options_beside(given)
    variants = (OPENVINO_FP32, ONNX_FP32, TENSORFLOW_FP32) if given.smoke else VARIANTS
    try:
        store = open_store(options, material_of(options))
        ours.prepare_together(store, variants)
        bundles = [ours.prepare(store, variant) for variant in variants]
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    processes = [
        (bundle, capacity)
        for bundle in bundles
        for capacity in (CAPACITIES if engine_of(bundle).in_workers else (None,))
    ]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(cpus())) as pool:

        def growth(bundle: Bundle, capacity: int | None) -> Growth:
            scratch = Path(folder) / bundle.digest
            return in_new_process(bundle, capacity=capacity, count=given.shapes, scratch=scratch)

        growths = list(pool.map(growth, *zip(*processes, strict=True)))
    print(f"{describe_machine().cpu}, {store.shape.layers} × {store.shape.width}; GB of resident memory after shapes")
    print(to_text(growths))
    return 0


if __name__ == "__main__":
    sys.exit(main())
