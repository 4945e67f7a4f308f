"""A model as OpenVINO graphs for Python workers, made of the same ONNX description as the others.

A condition on the length of rows is decided when a graph is written: there is a graph for each kind of row, without
branches. All of them have their weights in one file, each array once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from sparkclin.engines import BF16
from sparkclin.export.graph.onnx import INT8_MAX, OnnxOps, Value, largest, quantized, serialized
from sparkclin.export.graph.ops import Array, RowBodies, Tensor
from sparkclin.export.scheme import DYNAMIC, Scheme
from sparkclin.inference.openvino import FOLDER, HEAD, IDS, OUTPUT, STATES, WEIGHTS, graph_file
from sparkclin.inference.openvino_library import openvino

NO_SHIFT = np.array(0, np.int8)
ALIGNMENT = 64
"""Of arrays in the file of weights, in bytes: what the widest instructions read."""


class RowOps(OnnxOps):
    """`Ops` of a graph for rows like `sample`, ids (1, P): of a condition only the branch is built that they take."""

    def __init__(
        self, *, precision: str, scheme: Scheme = DYNAMIC, sample: Mapping[str, npt.NDArray[np.int64]]
    ) -> None:
        super().__init__(precision=precision, scheme=scheme)
        self._precision, self._sample = precision, sample

    def cond(self, predicate: Tensor, if_true: Callable[[], Tensor], if_false: Callable[[], Tensor]) -> Tensor:
        return if_true() if self._known(predicate) else if_false()

    def _known(self, scalar: Value) -> bool:
        """What a scalar is for the sample, by the nodes that it is made of."""
        made_by = {output: node for node in self.nodes for output in node.output}
        needed: set[str] = set()
        waiting = [scalar.name]
        while waiting:
            name = waiting.pop()
            if name in made_by and name not in needed:
                needed.add(name)
                waiting += made_by[name].input
        nodes = [node for node in self.nodes if not needed.isdisjoint(node.output)]
        read = {name for node in nodes for name in node.input}
        graph = helper.make_graph(
            nodes,
            "condition",
            [helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in self._sample if name in read],
            [helper.make_empty_tensor_value_info(scalar.name)],
            [array for name, array in self.initializers.items() if name in read],
        )
        given = {name: array for name, array in self._sample.items() if name in read}
        [found] = ReferenceEvaluator(onnx.load_from_string(serialized(graph))).run(None, given)
        return bool(found)

    def _product(self, x: Value, weight: Array) -> Value:
        """In bf16 weights are stored as such: OpenVINO would keep a copy of each, for every graph and worker."""
        if self._precision != BF16:
            return super()._product(x, weight)
        stored = self._store(weight.astype(ml_dtypes.bfloat16), self._unique("weight"))
        return self.node("MatMul", x, self.to_float(stored))

    def _static_product(self, x: Value, weight: Array, *, step: np.float32) -> Value:
        """OpenVINO multiplies in whole numbers what was in whole numbers before."""
        grid = (float(step), self.constant(NO_SHIFT, "zero_point"))
        on_grid = self.node("DequantizeLinear", self.node("QuantizeLinear", x, *grid), *grid)
        return self._dynamic_product(on_grid, weight)

    def _dynamic_product(self, x: Value, weight: Array) -> Value:
        """Only weights are in whole numbers; OpenVINO quantizes x when it runs, with a scale per group of a row."""
        scales = largest(weight, axis=0) / INT8_MAX
        stored = self._store(quantized(weight, scales), self._unique("weight"))
        return self.node("MatMul", x, self.node("DequantizeLinear", stored, self.constant(scales[0], "scales"), axis=1))


def write_model(folder: Path, bodies: RowBodies, *, precision: str, pad_id: int, scheme: Scheme = DYNAMIC) -> None:
    """Writes the graphs below `folder`, as `sparkclin.inference.openvino` reads them.

    Raises CheckpointError where one would not fit into one ONNX graph, which is limited to 2 GB.
    """
    target = folder / FOLDER
    target.mkdir(parents=True)
    for longest in bodies.row_limits:
        sample = {IDS: np.full((1, longest), pad_id + 1, np.int64)}
        ops = RowOps(precision=precision, scheme=scheme, sample=sample)
        states = bodies.encode(ops, Value(ops, IDS))
        save(ops, {STATES: states}, inputs=[ids_info()], file=target / graph_file(longest))
    ops = RowOps(precision=precision, sample={})
    outputs = bodies.outputs(ops, Value(ops, IDS), Value(ops, STATES))
    named = {OUTPUT.format(name): output for name, output in outputs.items()}
    save(ops, named, inputs=[ids_info(), states_info()], file=target / HEAD)
    share_weights([target / name for name in (*map(graph_file, bodies.row_limits), HEAD)], target / WEIGHTS)


def ids_info() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(IDS, TensorProto.INT64, ("rows", "pieces"))


def states_info() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(STATES, TensorProto.FLOAT, ("rows", "pieces", "width"))


def save(ops: RowOps, outputs: Mapping[str, Tensor], *, inputs: Sequence[onnx.ValueInfoProto], file: Path) -> None:
    """Writes a graph as OpenVINO's own format, with its weights beside it."""
    for name, output in outputs.items():
        ops.named(output, name)
    graph = helper.make_graph(
        ops.nodes,
        "graph",
        list(inputs),
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        list(ops.initializers.values()),
    )
    in_onnx = file.with_suffix(".onnx")
    in_onnx.write_bytes(serialized(graph))
    openvino.save_model(openvino.Core().read_model(in_onnx), file, compress_to_fp16=False)
    in_onnx.unlink()


def share_weights(graphs: Sequence[Path], weights: Path) -> None:
    """Puts the arrays of all graphs into one file, every one once, and the files beside the graphs away."""
    places: dict[bytes, int] = {}
    with weights.open("wb") as stream:
        for graph in graphs:
            tree = ElementTree.parse(graph)
            keep_bf16(tree.getroot())
            own = graph.with_suffix(".bin")
            content = memoryview(own.read_bytes())
            for constant in tree.iterfind(".//data[@offset]"):
                begin, size = int(constant.attrib["offset"]), int(constant.attrib["size"])
                array = content[begin : begin + size]
                key = hashlib.sha256(array).digest()
                if key not in places:
                    stream.write(bytes(-stream.tell() % ALIGNMENT))
                    places[key] = stream.tell()
                    stream.write(array)
                constant.set("offset", str(places[key]))
            own.unlink()
            tree.write(graph, encoding="utf-8", xml_declaration=True)


def keep_bf16(graph: ElementTree.Element) -> None:
    """Says of bf16 weights, which the graph converts to fp32, that they are stored so to be small.

    OpenVINO then multiplies with them as they lie in the file. Else it would convert them all when it opens the graph.
    """
    layers = {layer.attrib["id"]: layer for layer in graph.iterfind("./layers/layer")}
    stored = {name for name, layer in layers.items() if layer.find("./data[@element_type='bf16']") is not None}
    for edge in graph.iterfind("./edges/edge"):
        reader = layers[edge.attrib["to-layer"]]
        if edge.attrib["from-layer"] in stored and reader.attrib["type"] == "Convert":
            mark = ElementTree.Element("rt_info")
            ElementTree.SubElement(mark, "attribute", name="decompression", version="0")
            reader.insert(1, mark)  # behind what it converts to
