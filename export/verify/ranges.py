"""How large what meets each linear layer is, channel by channel, on rows of notes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from sparkclin.engines import FP32
from sparkclin.export.engines import Ids
from sparkclin.export.graph import encoder
from sparkclin.export.graph.onnx import OnnxOps, Value, serialized
from sparkclin.export.graph.ops import Array, Tensor
from sparkclin.export.trained import TrainedModel

IDS = "ids"


class RangeOps(OnnxOps):
    """`Ops` that also put out the largest magnitude in each channel of what meets a linear layer."""

    def __init__(self) -> None:
        super().__init__(precision=FP32)
        self.ranges: list[str] = []

    def linear(self, x: Tensor, weight: Array, bias: Array | None = None) -> Tensor:
        layer = "/".join(self._scopes)
        rows = self.reshape(self.abs(x), (-1, len(weight)))
        self.named(self.node("ReduceMax", rows, [0], keepdims=0), layer)
        self.ranges.append(layer)
        return super().linear(x, weight, bias)


def input_ranges(trained: TrainedModel, batches: Iterator[Ids]) -> dict[str, Array]:
    """By the name of each linear layer of the encoder, (inputs,). `batches` are rows of ids, (R, P), padded."""
    ops = RangeOps()
    weights = trained.family.load(trained.tensors, trained.config)
    encoder.encode(ops, Value(ops, IDS), config=trained.config, weights=weights)
    graph = helper.make_graph(
        ops.nodes,
        "ranges",
        [helper.make_tensor_value_info(IDS, TensorProto.INT64, ("rows", "pieces"))],
        [helper.make_tensor_value_info(layer, TensorProto.FLOAT, (None,)) for layer in ops.ranges],
        list(ops.initializers.values()),
    )
    session = onnxruntime.InferenceSession(serialized(graph), providers=["CPUExecutionProvider"])
    found = [session.run(ops.ranges, {IDS: ids.astype(np.int64)}) for ids in batches]
    return {layer: np.max([of_batch[index] for of_batch in found], axis=0) for index, layer in enumerate(ops.ranges)}
