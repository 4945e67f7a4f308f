"""A model as an ONNX graph that Spark NLP 5.5.3's ONNX Runtime 1.19.2 runs.

One file serves an annotator of RoBERTa's kind, such as `RoBertaEmbeddings`, and, for packed batches, `UAEEmbeddings`.
Both send `input_ids`; the other inputs are declared because one of the two sends them, and no node reads them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sparkclin.engines import INT8
from sparkclin.export.errors import CheckpointError
from sparkclin.export.graph.ops import Array, Body, Size, Tensor
from sparkclin.export.graph.packed import STATES
from sparkclin.export.scheme import DYNAMIC, Scheme

# What ONNX Runtime 1.19 knows: operators of ONNX 1.16, in files of its format, and its own.
OPSET, IR_VERSION = 20, 10
MICROSOFT = "com.microsoft"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
LAST_HIDDEN_STATE = "last_hidden_state"
MODEL_FILE = "model.onnx"
# A graph is one protocol buffer message, and those end at 2 GiB.
MAX_GRAPH_BYTES = 2_000_000_000
# Whole numbers of 8 bits: −127…127 for weights, 128 more for what meets them.
INT8_MAX = np.float32(127)
ZERO_POINT, STEP = np.array(128, np.uint8), np.array(1, np.float32)


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph: its name there, and the builder that operators on it add nodes to."""

    ops: OnnxOps
    name: str

    def __add__(self, other: Any) -> Value:
        return self.ops.node("Add", self, other)

    def __sub__(self, other: Any) -> Value:
        return self.ops.node("Sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return self.ops.node("Sub", other, self)

    def __mul__(self, other: Any) -> Value:
        return self.ops.node("Mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return self.ops.node("Mul", other, self)

    def __truediv__(self, other: Any) -> Value:
        return self.ops.node("Div", self, other)

    def __floordiv__(self, other: Any) -> Value:
        """Of integers that are not negative."""
        return self.ops.node("Div", self, other)


class OnnxOps:
    """`Ops` that writes down nodes. Integers are int64, as Spark NLP sends them.

    With precision int8 the weights of linear layers are 8-bit integers with a scale per column, those of the piece
    table with a scale per row. What meets a layer is quantized when it runs, with a scale that the scheme knows or one
    per piece: with one per batch (ONNX Runtime's DynamicQuantizeMatMul) a piece's vector would depend on its neighbours
    in the batch, and the outlying values that trained encoders have would leave all others too few steps. All else
    stays fp32, and so do the linear layers that `scheme` keeps. A layer's name is that of its scopes, such as
    `layer_3/attention/value`.
    """

    def __init__(self, *, precision: str, scheme: Scheme = DYNAMIC) -> None:
        self.initializers: dict[str, TensorProto] = {}
        self._int8 = precision == INT8
        self._scheme = scheme
        self._nodes: list[list[onnx.NodeProto]] = [[]]
        self._scopes: list[str] = []
        self._names: dict[str, int] = {}
        # The arrays are kept beside what was made of them, so that no other array gets the id of one.
        self._constants: dict[int, tuple[npt.NDArray[Any], Value]] = {}
        self._numbers: dict[tuple[str, bytes, tuple[int, ...]], Value] = {}

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """The nodes of the main graph, in order."""
        return self._nodes[0]

    def node(self, kind: str, *inputs: Any, domain: str = "", **attributes: Any) -> Value:
        """Adds an operation with one output; numbers among the inputs become constants."""
        name = self._unique(kind)
        given = [value.name if isinstance(value, Value) else self._number(value).name for value in inputs]
        self._nodes[-1].append(helper.make_node(kind, given, [name], name=name, domain=domain, **attributes))
        return Value(self, name)

    def _unique(self, name: str) -> str:
        full = "/".join([*self._scopes, name])
        self._names[full] = self._names.get(full, 0) + 1
        return full if self._names[full] == 1 else f"{full}_{self._names[full]}"

    def _number(self, value: Any) -> Value:
        """A number or short list of the code itself; floats are float32, integers int64."""
        array = np.asarray(value)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        key = (array.dtype.str, array.tobytes(), array.shape)
        if key not in self._numbers:
            self._numbers[key] = self._store(array, f"number_{len(self._numbers)}")
        return self._numbers[key]

    def _store(self, array: npt.NDArray[Any], name: str) -> Value:
        self.initializers[name] = numpy_helper.from_array(array, name)
        return Value(self, name)

    def _sizes(self, sizes: Sequence[Size]) -> Value:
        if not any(isinstance(size, Value) for size in sizes):
            return self._number(np.array(sizes, np.int64))
        return self.node("Concat", *(self.node("Reshape", size, [1]) for size in sizes), axis=0)

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        self._scopes.append(name)
        yield
        self._scopes.pop()

    def named(self, x: Tensor, name: str) -> Tensor:
        self._nodes[-1].append(helper.make_node("Identity", [x.name], [name], name=name))
        return Value(self, name)

    def constant(self, value: npt.NDArray[Any], name: str) -> Tensor:
        if id(value) not in self._constants:
            self._constants[id(value)] = (value, self._store(value, self._unique(name)))
        return self._constants[id(value)][1]

    def embedding(self, table: Array, ids: Tensor, *, name: str) -> Tensor:
        if not self._int8 or self._scheme.keeps("/".join([*self._scopes, name])):
            return self.gather(self.constant(table, name), ids, axis=0)
        scales = largest(table, axis=1) / INT8_MAX
        rows = self.gather(self._store(quantized(table, scales), self._unique(name)), ids, axis=0)
        return self.to_float(rows) * self.gather(self.constant(scales, f"{name}_scales"), ids, axis=0)

    def linear(self, x: Tensor, weight: Array, bias: Array | None = None) -> Tensor:
        layer = "/".join(self._scopes)
        if not self._int8 or self._scheme.keeps(layer):
            product = self._product(x, weight)
        else:
            smoothing = self._scheme.smoothing.get(layer)
            if smoothing is not None:
                x, weight = self.node("Div", x, self.constant(smoothing, "smoothing")), weight * smoothing[:, None]
            if layer in self._scheme.ranges:
                product = self._static_product(x, weight, step=np.float32(self._scheme.ranges[layer]) / INT8_MAX)
            else:
                product = self._dynamic_product(x, weight)
        return product if bias is None else product + self.constant(bias, "bias")

    def _product(self, x: Value, weight: Array) -> Value:
        """x · weight, (…, I), (I, O) -> (…, O)."""
        return self.node("MatMul", x, self.constant(weight, "weight"))

    def _static_product(self, x: Value, weight: Array, *, step: np.float32) -> Value:
        """x · weight in whole numbers, where x is counted in steps of this size."""
        column_scales, of_x = safe_scales(weight), float(step)
        return self.node(
            "MatMulIntegerToFloat",
            self.node("QuantizeLinear", x, of_x, self.constant(ZERO_POINT, "zero_point")),
            self._store(quantized(weight, column_scales), self._unique("weight")),
            of_x,
            self._store(column_scales[0], self._unique("scales")),
            self.constant(ZERO_POINT, "zero_point"),
            domain=MICROSOFT,
        )

    def _dynamic_product(self, x: Value, weight: Array) -> Value:
        """As _static_product(), with a step for each piece that fits its largest number.

        Layers that read the same x quantize it once: ONNX Runtime joins equal nodes.
        """
        inputs, outputs = weight.shape
        rows = self.reshape(x, (-1, inputs))
        highest, lowest = self.node("ReduceMax", rows, [1]), self.node("ReduceMin", rows, [1])
        row_scales = self.node("Max", highest, 0.0 - lowest) / float(INT8_MAX)  # (N, 1)
        steps = self.reshape(row_scales, (-1,))
        zero_points = self.node("Expand", self.constant(ZERO_POINT, "zero_point"), self.node("Shape", steps))
        column_scales = safe_scales(weight)
        product = self.node(
            "MatMulIntegerToFloat",
            self.node("QuantizeLinear", rows, steps, zero_points, axis=0),
            self._store(quantized(weight, column_scales), self._unique("weight")),
            self.constant(STEP, "step"),
            self._store(column_scales[0], self._unique("scales")),
            self.constant(ZERO_POINT, "zero_point"),
            domain=MICROSOFT,
        )
        shape = self.node("Concat", self.node("Shape", x, end=-1), [outputs], axis=0)
        return self.node("Reshape", product * row_scales, shape)

    def add_and_norm(self, x: Tensor, residual: Tensor, scale: Array, shift: Array, *, eps: float) -> Tensor:
        given = (self.constant(scale, "scale"), self.constant(shift, "shift"))
        return self.node("SkipLayerNormalization", x, residual, *given, domain=MICROSOFT, epsilon=eps)

    def size(self, x: Tensor, *, axis: int) -> Size:
        return self.node("Squeeze", self.node("Shape", x, start=axis, end=axis + 1), [0])

    def reshape(self, x: Tensor, shape: Sequence[Size]) -> Tensor:
        return self.node("Reshape", x, self._sizes(shape))

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        return self.node("Transpose", x, perm=list(axes))

    def slice(self, x: Tensor, *, axis: int, begin: Size, end: Size) -> Tensor:
        return self.node("Slice", x, self._sizes([begin]), self._sizes([end]), [axis])

    def concat(self, parts: Sequence[Tensor], *, axis: int) -> Tensor:
        return self.node("Concat", *parts, axis=axis)

    def pad(self, x: Tensor, *, axis: int, before: Size, after: Size, value: float) -> Tensor:
        return self.node("Pad", x, self._sizes([before, after]), value, [axis])

    def gather(self, x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
        return self.node("Gather", x, indices, axis=axis)

    def matmul(self, a: Tensor, b: Tensor, *, transpose_b: bool = False) -> Tensor:
        return self.node("FusedMatMul", a, b, domain=MICROSOFT, transB=1) if transpose_b else self.node("MatMul", a, b)

    def softmax(self, x: Tensor) -> Tensor:
        return self.node("Softmax", x, axis=-1)

    def gelu(self, x: Tensor) -> Tensor:
        return self.node("Gelu", x)

    def tanh(self, x: Tensor) -> Tensor:
        return self.node("Tanh", x)

    def relu(self, x: Tensor) -> Tensor:
        return self.node("Relu", x)

    def abs(self, x: Tensor) -> Tensor:
        return self.node("Abs", x)

    def clip(self, x: Tensor, *, low: Size, high: Size) -> Tensor:
        return self.node("Clip", x, low, high)

    def cumsum(self, x: Tensor, *, axis: int) -> Tensor:
        return self.node("CumSum", x, axis)

    def sum(self, x: Tensor, *, axis: int) -> Tensor:
        return self.node("ReduceSum", x, [axis])

    def any(self, x: Tensor, *, axis: int) -> Tensor:
        return self.node("Cast", self.sum(self.to_int(x), axis=axis), to=TensorProto.BOOL)  # a sum may be of nothing

    def segment_max(self, x: Tensor, segments: Tensor, *, n_segments: Size) -> Tensor:
        width = self.size(x, axis=1)
        lowest = self.node("Expand", float(np.finfo(np.float32).min), self._sizes([n_segments + 1, width]))
        rows = self.node("Expand", self.reshape(segments, (-1, 1)), self.node("Shape", x))
        found = self.node("ScatterElements", lowest, rows, x, axis=0, reduction="max")
        return self.slice(found, axis=0, begin=0, end=n_segments)

    def equal(self, a: Tensor, b: Tensor | int) -> Tensor:
        return self.node("Equal", a, b)

    def not_equal(self, a: Tensor, b: Tensor | int) -> Tensor:
        return self.node("Not", self.equal(a, b))

    def mod(self, a: Tensor, b: int) -> Tensor:
        return self.node("Mod", a, b)

    def less(self, a: Tensor | int, b: Tensor | int) -> Tensor:
        return self.node("Less", a, b)

    def less_equal(self, a: Tensor | int, b: Tensor | int) -> Tensor:
        return self.node("LessOrEqual", a, b)

    def logical_and(self, a: Tensor, b: Tensor) -> Tensor:
        return self.node("And", a, b)

    def where(self, condition: Tensor, a: Tensor | int, b: Tensor | int) -> Tensor:
        return self.node("Where", condition, a, b)

    def cond(self, predicate: Tensor, if_true: Callable[[], Tensor], if_false: Callable[[], Tensor]) -> Tensor:
        return self.node("If", predicate, then_branch=self._branch(if_true), else_branch=self._branch(if_false))

    def _branch(self, build: Callable[[], Tensor]) -> onnx.GraphProto:
        self._nodes.append([])
        output = self.node("Identity", build()).name
        return helper.make_graph(
            self._nodes.pop(), self._unique("branch"), [], [helper.make_empty_tensor_value_info(output)]
        )

    def range(self, size: Size) -> Tensor:
        return self.node("Range", 0, size, 1)

    def to_int(self, x: Tensor) -> Tensor:
        return self.node("Cast", x, to=TensorProto.INT64)

    def to_float(self, x: Tensor) -> Tensor:
        return self.node("Cast", x, to=TensorProto.FLOAT)


def largest(weight: Array, *, axis: int) -> Array:
    """Largest magnitude along an axis, which is kept with length 1; 1 where all is 0, so that one can divide by it."""
    found: Array = np.abs(weight).max(axis=axis, keepdims=True)
    return np.where(found > 0, found, np.float32(1)).astype(np.float32)


def safe_scales(weight: Array) -> Array:
    """(I, O) -> (1, O): scales that give the same whole numbers on every CPU.

    x86 without VNNI adds the products of inputs 2i and 2i + 1 in 16 bits (Intel's vpmaddubsw, which ONNX Runtime 1.19
    uses there), where 255 times two weights that sum up to more than 128 does not fit and is silently cut. So it is the
    largest sum of such a pair, or the largest weight where that is more, that becomes 127; rounding adds 1 at most.
    """
    even = np.pad(weight, ((0, len(weight) % 2), (0, 0)))
    scales: Array = largest(np.concatenate([weight, even[0::2] + even[1::2]]), axis=0) / INT8_MAX
    return scales


def quantized(weight: Array, scales: Array) -> npt.NDArray[np.int8]:
    """Whole numbers −127…127 that, times `scales`, are `weight` to the nearest step."""
    steps: npt.NDArray[np.int8] = np.rint(weight / scales).astype(np.int8)
    return steps


def write_model(
    folder: Path,
    body: Body,
    *,
    precision: str,
    scheme: Scheme = DYNAMIC,
    logits: Mapping[str, int | None] = MappingProxyType({}),
) -> None:
    """As in WriteModel: `model.onnx`, with the inputs and the outputs that Spark NLP expects.

    Raises CheckpointError where it would not fit into one graph.
    """
    ops = OnnxOps(precision=precision, scheme=scheme)
    result = body(ops, Value(ops, INPUTS[0]))
    for name, number in {LAST_HIDDEN_STATE: None, **logits}.items():
        chosen = result if number is None else ops.slice(result, axis=2, begin=number, end=number + 1)
        ops.named(chosen, name)
    graph = helper.make_graph(
        ops.nodes,
        "encoder",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ("rows", "pieces")) for name in INPUTS],
        [output_info(name) for name in (LAST_HIDDEN_STATE, *logits)],
        list(ops.initializers.values()),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(serialized(graph))


def serialized(graph: onnx.GraphProto) -> bytes:
    """A graph as a model's file. Raises CheckpointError where it is too large for one."""
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sparkclin")
    if model.ByteSize() > MAX_GRAPH_BYTES:
        raise CheckpointError("The model's weights exceed the 2 GB that one ONNX graph can hold.")
    content: bytes = model.SerializeToString()
    return content


def output_info(name: str) -> onnx.ValueInfoProto:
    """The declaration of an output with three axes."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, (f"{name}_rows", f"{name}_positions", f"{name}_size"))


class OnnxGraph:
    """A graph, run in this process."""

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._session = _session(model)

    def run(self, ids: npt.NDArray[np.int32], mask: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """As in Graph."""
        return _output(self._session, LAST_HIDDEN_STATE, ids, mask)

    def states(self, ids: npt.NDArray[np.int32], mask: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """As in Graph."""
        return _output(*self._states, ids, mask)

    @cached_property
    def _states(self) -> tuple[Any, str]:
        """A session of the same nodes with one output more, and that output."""
        model = onnx.load_from_string(self._model)
        if not any(STATES in node.output for node in model.graph.node):
            return self._session, LAST_HIDDEN_STATE  # earlier exports had vectors alone, under one name
        model.graph.output.append(output_info(STATES))
        return _session(model.SerializeToString()), STATES


def _session(model: bytes) -> Any:
    import onnxruntime  # which another engine that is written as ONNX does not need

    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def _output(
    session: Any, name: str, ids: npt.NDArray[np.int32], mask: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    given = {of: array.astype(np.int64) for of, array in zip(INPUTS, (ids, mask, 0 * mask), strict=True)}
    [found] = session.run([name], given)
    return np.asarray(found, np.float32)


def read_written(folder: Path) -> OnnxGraph:
    """The graph that write_model() has written."""
    return OnnxGraph((folder / MODEL_FILE).read_bytes())


def read_saved(file: Path) -> OnnxGraph:
    """The graph in a saved annotator's file: the very bytes that Spark NLP will load."""
    with zipfile.ZipFile(file) as archive:
        [name] = archive.namelist()
        return OnnxGraph(archive.read(name))
