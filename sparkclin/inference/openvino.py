"""OpenVINO in a Python worker.

A bundle has a graph per kind of row, ids -> states, all with the weights in one file, and one for the head, ids and
states -> the outputs of segment parts. The head is small, and what answers hang on: it always runs in fp32.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from sparkclin.engines import BF16, FP32, INT8, OPENVINO
from sparkclin.inference.model import ModelFiles
from sparkclin.inference.openvino_library import openvino
from sparkclin.text.pieces import Floats, Ints

FOLDER, WEIGHTS, HEAD = OPENVINO.name, "weights.bin", "head.xml"
"""Of a bundle; a graph of rows is named after the longest: `rows_4096.xml`."""

STATES, IDS = "states", "ids"
"""The names of the graphs' inputs, and of the output of a graph of rows."""

OUTPUT = "output_{}"
"""The name in the head's graph of an output of the head."""

HINTS = {FP32: "f32", BF16: "bf16", INT8: "bf16"}
"""In int8, layers without 8-bit weights run in bf16. On a CPU without bf16, OpenVINO takes fp32 for it."""

CACHE_CAPACITY = 64
"""How many primitives of each kind OpenVINO keeps per compiled graph.

It makes primitives for every new shape (rows, pieces), and by default keeps 5,000 of each kind: memory grows with every
shape. `python -m benchmarks.shapes` measures the memory by capacity. The property is not in OpenVINO's documentation.
`compile_model()` refuses unknown properties, and `get_property()` does not return this one.
"""


def graph_file(longest: int) -> str:
    """Return the name of the graph for rows of up to `longest` ids that no graph of shorter rows reads."""
    return f"rows_{longest}.xml"


def open_model(files: ModelFiles) -> OpenVinoModel:
    return OpenVinoModel(files)


class OpenVinoModel:
    """A RowModel. A graph is compiled for the first row that it reads.

    `cache_capacity` is for benchmarks.
    """

    def __init__(self, files: ModelFiles, *, cache_capacity: int = CACHE_CAPACITY) -> None:
        self._files = files
        self._cache_capacity = cache_capacity
        self._core = openvino.Core()
        self._encoders: dict[int, Any] = {}
        self._heads: dict[tuple[str, ...], Any] = {}

    def run(self, rows: Ints, wanted: Sequence[str]) -> Floats:
        ids = np.ascontiguousarray(rows, np.int64)
        head = self._head(tuple(wanted))
        head.infer({IDS: ids, STATES: self._states(ids)}, share_inputs=True)
        made = [head.get_tensor(OUTPUT.format(name)).data for name in wanted]
        found: Floats = np.concatenate(made, axis=1)  # a copy: the next run writes over theirs
        return found

    def states(self, rows: Ints) -> Floats:
        found: Floats = self._states(np.ascontiguousarray(rows, np.int64)).data.copy()
        return found

    @property
    def ran(self) -> str:
        return self._precision if self._encoders else ""

    @cached_property
    def _precision(self) -> str:
        """The precision of linear layers with 8-bit weights, if there are such, and of all other layers."""
        request = next(iter(self._encoders.values()))
        compiled = request.get_compiled_model()
        linear = {
            str(info["runtimePrecision"].value)
            for info in (op.get_rt_info() for op in compiled.get_runtime_model().get_ops())
            if str(info["layerType"].value) == "FullyConnected"
        }
        rest = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        return f"i8 linear layers, {rest} else" if "i8" in linear else rest

    def _states(self, ids: Any) -> Any:
        """The tensor where the states are until the next run."""
        longest = self._files.row_limits[bisect_left(self._files.row_limits, ids.shape[1])]
        if longest not in self._encoders:
            self._encoders[longest] = self._compile(self._read(graph_file(longest)), HINTS[self._files.precision])
        self._encoders[longest].infer([ids], share_inputs=True)
        return self._encoders[longest].get_tensor(STATES)

    def _head(self, wanted: tuple[str, ...]) -> Any:
        """Return a request that computes the wanted outputs and no others."""
        if wanted not in self._heads:
            graph = self._read(HEAD)
            outputs = [graph.output(OUTPUT.format(name)) for name in wanted]
            only = openvino.Model([output.get_node().input_value(0) for output in outputs], graph.get_parameters())
            self._heads[wanted] = self._compile(only, HINTS[FP32])
        return self._heads[wanted]

    def _read(self, name: str) -> Any:
        return self._core.read_model(self._files.checked(f"{FOLDER}/{name}").read_bytes(), self._weights)

    @cached_property
    def _weights(self) -> Any:
        """Mapped once for all graphs, and by all workers of a machine."""
        file = self._files.checked(f"{FOLDER}/{WEIGHTS}")
        mapped = np.memmap(file, mode="c")  # OpenVINO takes no read-only array
        return openvino.Tensor(mapped, shared_memory=True)

    def _compile(self, graph: Any, hint: str) -> Any:
        """-> a request of one stream. The threads of different workers must not be bound to cores: all of them would be
        bound to the same ones."""
        properties = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": self._files.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": self._files.group_size,
            "CPU_RUNTIME_CACHE_CAPACITY": self._cache_capacity,
        }
        return self._core.compile_model(graph, "CPU", properties).create_infer_request()
