"""A model as a TensorFlow SavedModel that Spark NLP 5.5.3 loads.

Spark NLP's JVM runs TensorFlow 2.7. What this TensorFlow writes by default it cannot read (`DisableCopyOnRead`), so
the graph is built in graph mode with version 1 control flow, and default attributes are stripped. Weights are
constants: TensorFlow 2.7 runs them faster than variables. Spark NLP saves and restores variables and needs at least
one: a single unused number.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# PyTorch's triton and TensorFlow both register LLVM's options: a process that loads TensorFlow first aborts when
# transformers imports triton later. There is no triton outside Linux.
with suppress(ImportError):
    import triton  # noqa: F401

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from sparkclin.export.errors import CheckpointError
from sparkclin.export.graph.ops import Array, Body, Size, Tensor
from sparkclin.export.graph.packed import STATES
from sparkclin.export.scheme import DYNAMIC, Scheme

v1 = tf.compat.v1

INPUT_IDS, ATTENTION_MASK = "input_ids", "attention_mask"
# LongformerEmbeddings asks for the first, RoBertaSentenceEmbeddings for the second; both are all of the output.
LAST_HIDDEN_STATE, POOLER_OUTPUT = "last_hidden_state", "pooler_output"
# A graph is one protocol buffer message, and those end at 2 GiB.
MAX_GRAPH_BYTES = 2_000_000_000


class TensorFlowOps:
    """`Ops` in version 1 graph mode."""

    def __init__(self) -> None:
        # The arrays are kept beside what was made of them, so that no other array gets the id of one.
        self._constants: dict[int, tuple[npt.NDArray[Any], Tensor]] = {}

    def scope(self, name: str) -> AbstractContextManager[None]:
        scope: AbstractContextManager[None] = v1.name_scope(name)
        return scope

    def named(self, x: Tensor, name: str) -> Tensor:
        return tf.identity(x, name=name)

    def constant(self, value: npt.NDArray[Any], name: str) -> Tensor:
        if id(value) not in self._constants:
            # Outside every condition, so that both branches can use it.
            with tf.init_scope():
                self._constants[id(value)] = (value, tf.constant(value, name=name))
        return self._constants[id(value)][1]

    def embedding(self, table: Array, ids: Tensor, *, name: str) -> Tensor:
        return tf.gather(self.constant(table, name), ids)

    def linear(self, x: Tensor, weight: Array, bias: Array | None = None) -> Tensor:
        # Two-dimensional on purpose: the runtime fuses MatMul + BiasAdd, not its batched form.
        inputs, outputs = weight.shape
        flat = tf.matmul(tf.reshape(x, (-1, inputs)), self.constant(weight, "weight"))
        if bias is not None:
            flat = tf.nn.bias_add(flat, self.constant(bias, "bias"))
        return tf.reshape(flat, tf.concat([tf.shape(x)[:-1], [outputs]], 0))

    def add_and_norm(self, x: Tensor, residual: Tensor, scale: Array, shift: Array, *, eps: float) -> Tensor:
        total = x + residual
        centred = total - tf.reduce_mean(total, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        scaled = centred * tf.math.rsqrt(variance + eps) * self.constant(scale, "scale")
        return scaled + self.constant(shift, "shift")

    def size(self, x: Tensor, *, axis: int) -> Size:
        return tf.shape(x)[axis]

    def reshape(self, x: Tensor, shape: Sequence[Size]) -> Tensor:
        return tf.reshape(x, tf.stack(list(shape)) if shape else ())

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        return tf.transpose(x, axes)

    def slice(self, x: Tensor, *, axis: int, begin: Size, end: Size) -> Tensor:
        return x[(slice(None),) * axis + (slice(begin, end),)]

    def concat(self, parts: Sequence[Tensor], *, axis: int) -> Tensor:
        return tf.concat(list(parts), axis)

    def pad(self, x: Tensor, *, axis: int, before: Size, after: Size, value: float) -> Tensor:
        paddings: list[list[Size]] = [[0, 0] for _ in x.shape]
        paddings[axis] = [before, after]
        return tf.pad(x, tf.stack([tf.stack(pair) for pair in paddings]), constant_values=value)

    def gather(self, x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
        return tf.gather(x, indices, axis=axis)

    def matmul(self, a: Tensor, b: Tensor, *, transpose_b: bool = False) -> Tensor:
        return tf.matmul(a, b, transpose_b=transpose_b)

    def softmax(self, x: Tensor) -> Tensor:
        return tf.nn.softmax(x)

    def gelu(self, x: Tensor) -> Tensor:
        return x * 0.5 * (tf.math.erf(x * math.sqrt(0.5)) + 1.0)

    def tanh(self, x: Tensor) -> Tensor:
        return tf.math.tanh(x)

    def relu(self, x: Tensor) -> Tensor:
        return tf.nn.relu(x)

    def abs(self, x: Tensor) -> Tensor:
        return tf.abs(x)

    def clip(self, x: Tensor, *, low: Size, high: Size) -> Tensor:
        return tf.clip_by_value(x, low, high)

    def cumsum(self, x: Tensor, *, axis: int) -> Tensor:
        return tf.cumsum(x, axis=axis)

    def sum(self, x: Tensor, *, axis: int) -> Tensor:
        return tf.reduce_sum(x, axis=axis, keepdims=True)

    def any(self, x: Tensor, *, axis: int) -> Tensor:
        return tf.reduce_any(x, axis=axis, keepdims=True)

    def segment_max(self, x: Tensor, segments: Tensor, *, n_segments: Size) -> Tensor:
        return tf.math.unsorted_segment_max(x, segments, n_segments + 1)[:n_segments]

    def equal(self, a: Tensor, b: Tensor | int) -> Tensor:
        return tf.equal(a, b)

    def not_equal(self, a: Tensor, b: Tensor | int) -> Tensor:
        return tf.not_equal(a, b)

    def mod(self, a: Tensor, b: int) -> Tensor:
        return tf.math.floormod(a, b)

    def less(self, a: Tensor | int, b: Tensor | int) -> Tensor:
        return tf.less(a, b)

    def less_equal(self, a: Tensor | int, b: Tensor | int) -> Tensor:
        return tf.less_equal(a, b)

    def logical_and(self, a: Tensor, b: Tensor) -> Tensor:
        return tf.logical_and(a, b)

    def where(self, condition: Tensor, a: Tensor | int, b: Tensor | int) -> Tensor:
        return tf.where(condition, a, b)

    def cond(self, predicate: Tensor, if_true: Callable[[], Tensor], if_false: Callable[[], Tensor]) -> Tensor:
        return v1.cond(predicate, if_true, if_false)

    def range(self, size: Size) -> Tensor:
        return tf.range(size)

    def to_int(self, x: Tensor) -> Tensor:
        return tf.cast(x, tf.int32)

    def to_float(self, x: Tensor) -> Tensor:
        return tf.cast(x, tf.float32)


def write_model(
    folder: Path,
    body: Body,
    *,
    precision: str,  # noqa: ARG001
    scheme: Scheme = DYNAMIC,  # noqa: ARG001
    logits: Mapping[str, int | None] = MappingProxyType({}),
) -> None:
    """As in WriteModel, with the signature that Spark NLP's annotators of Longformer expect. It is fp32.

    Raises CheckpointError where it would not fit into one graph.
    """
    with graph_mode() as graph:
        ids = v1.placeholder(tf.int32, (None, None), name=INPUT_IDS)
        mask = v1.placeholder(tf.int32, (None, None), name=ATTENTION_MASK)
        result = body(TensorFlowOps(), ids)
        read = {LAST_HIDDEN_STATE: None, POOLER_OUTPUT: None, **logits}
        outputs = {name: _numbers(result, number, name=name) for name, number in read.items()}
        v1.get_variable("unused", shape=(), initializer=v1.zeros_initializer(), use_resource=False)
        if graph.as_graph_def().ByteSize() > MAX_GRAPH_BYTES:
            raise CheckpointError("The model's weights exceed the 2 GB that one TensorFlow graph can hold.")
        with v1.Session(graph=graph) as session:
            session.run(v1.global_variables_initializer())
            signature = v1.saved_model.predict_signature_def({INPUT_IDS: ids, ATTENTION_MASK: mask}, outputs)
            builder = v1.saved_model.Builder(str(folder))
            builder.add_meta_graph_and_variables(
                session,
                [v1.saved_model.tag_constants.SERVING],
                signature_def_map={"serving_default": signature},
                strip_default_attrs=True,
            )
            builder.save()


def _numbers(x: Tensor, number: int | None, *, name: str) -> Tensor:
    """All of the last of three axes, or one number of it."""
    return tf.identity(x if number is None else x[:, :, number : number + 1], name=name)


@contextmanager
def graph_mode() -> Iterator[tf.Graph]:
    """A graph with version 1 control flow; what was enabled before is enabled again afterwards."""
    had_control_flow_v2 = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            yield graph
    finally:
        if had_control_flow_v2:
            v1.enable_control_flow_v2()


class SavedGraph:
    """A graph, given as a GraphDef, run in this process."""

    def __init__(self, definition: Any) -> None:
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(definition, name="")
        self._session = v1.Session(graph=graph)
        # Earlier exports, which had vectors alone, have no other name for them.
        names = {operation.name for operation in graph.get_operations()}
        self._states = STATES if STATES in names else LAST_HIDDEN_STATE

    def run(self, ids: npt.NDArray[np.int32], mask: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """As in Graph."""
        return self._output(LAST_HIDDEN_STATE, ids, mask)

    def states(self, ids: npt.NDArray[np.int32], mask: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """As in Graph."""
        return self._output(self._states, ids, mask)

    def _output(self, name: str, ids: npt.NDArray[np.int32], mask: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        given = {f"{INPUT_IDS}:0": ids, f"{ATTENTION_MASK}:0": mask}
        found: npt.NDArray[np.float32] = self._session.run(f"{name}:0", given)
        return found


def read_saved(file: Path) -> SavedGraph:
    """The graph in a saved annotator's file: the very bytes that Spark NLP will load."""
    with zipfile.ZipFile(file) as archive:
        return SavedGraph(v1.GraphDef.FromString(archive.read("saved_model.pb")))


def read_written(folder: Path) -> SavedGraph:
    """The graph that write_model() has written."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return SavedGraph(saved.meta_graphs[0].graph_def)
