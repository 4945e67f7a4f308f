"""The machine: what it is, and how fast it multiplies matrices, the limit of what any engine can reach on it."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.shape import BASE
from sparkclin.export.graph.onnx import serialized
from sparkclin.spark.java import installed_java

ROWS = 4096
PRODUCTS = ((BASE.width, BASE.width), (BASE.width, BASE.inner), (BASE.inner, BASE.width))
"""Shapes of the model's weights; each is multiplied by ROWS rows."""

SECONDS_PER_PRODUCT = 1.0
FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a rerun elsewhere has to be compared with. `load` is the load average of the minute before the run."""

    cpu: str
    cores: int
    features: tuple[str, ...]
    memory_gb: float
    system: str
    python: str
    java: str
    load: float


@dataclass(frozen=True, kw_only=True)
class MatrixRate:
    """fp32 matrix products, all cores, in GFLOP/s by library; `when` says at which point of the run."""

    when: str
    gflops: dict[str, float]

    @property
    def best(self) -> float:
        return max(self.gflops.values())


def describe_machine() -> Machine:
    cpu_info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    flags = re.search(r"^flags\s*: (.+)$", cpu_info, flags=re.MULTILINE)
    return Machine(
        cpu=name_cpu(cpu_info) or platform.processor(),
        cores=len(cpus()),
        features=tuple(name for name in FEATURES if flags and name in flags[1].split()),
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        system=platform.platform(),
        python=platform.python_version(),
        java=installed_java().version or "none",
        load=round(os.getloadavg()[0], 2),
    )


def name_cpu(cpu_info: str) -> str:
    """What Linux says of the processor. Virtual machines often have one name for several generations, which family and
    model tell apart; empty where Linux names none."""
    named = dict(re.findall(r"^(model name|cpu family|model)\s*: (.+)$", cpu_info, flags=re.MULTILINE))
    known = [f"{what} {named[key]}" for key, what in (("cpu family", "family"), ("model", "model")) if key in named]
    return ", ".join([named["model name"], *known]) if "model name" in named else ""


def cpus() -> tuple[int, ...]:
    """The numbers of the processors that this process may use."""
    return tuple(sorted(os.sched_getaffinity(0)))


def measure_matrix_rate(when: str, *, seconds: float = SECONDS_PER_PRODUCT) -> MatrixRate:
    """By NumPy's BLAS, torch's and ONNX Runtime's: which is fastest differs from one processor to another, by a factor
    of two where one of them does not know the widest instructions. The fastest one counts."""
    products = {"numpy": numpy_product, "torch": torch_product, "onnxruntime": onnx_product}
    return MatrixRate(when=when, gflops={name: rate(product, seconds) for name, product in products.items()})


def rate(product: Callable[[int, int], Callable[[], object]], seconds: float) -> float:
    """GFLOP/s over the model's shapes, each timed for `seconds`, by the median of its times."""
    elapsed_s = sum(median_time(product(*shape), seconds) for shape in PRODUCTS)
    return sum(2 * ROWS * inputs * outputs for inputs, outputs in PRODUCTS) / elapsed_s / 1e9


def median_time(run: Callable[[], object], seconds: float) -> float:
    run()
    times: list[float] = []
    while sum(times) < seconds:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def numpy_product(inputs: int, outputs: int) -> Callable[[], object]:
    generator = np.random.default_rng(0)
    left = generator.standard_normal((ROWS, inputs), dtype=np.float32)
    right = generator.standard_normal((inputs, outputs), dtype=np.float32)
    result = np.empty((ROWS, outputs), dtype=np.float32)
    return lambda: np.matmul(left, right, out=result)


def torch_product(inputs: int, outputs: int) -> Callable[[], object]:
    import torch

    torch.set_num_threads(len(cpus()))
    left, right = torch.randn(ROWS, inputs), torch.randn(inputs, outputs)
    result = torch.empty(ROWS, outputs)
    return lambda: torch.mm(left, right, out=result)


def onnx_product(inputs: int, outputs: int) -> Callable[[], object]:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(0)
    left = generator.standard_normal((ROWS, inputs), dtype=np.float32)
    right = numpy_helper.from_array(generator.standard_normal((inputs, outputs), dtype=np.float32), "right")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.FLOAT, left.shape)],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, (ROWS, outputs))],
        [right],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(cpus())
    session = onnxruntime.InferenceSession(serialized(graph), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"left": left})
