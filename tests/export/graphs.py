"""Graphs run in this process as they were written, before Spark NLP has saved them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkclin.export.engines import SPARK_NLP_EXPORTERS
from sparkclin.export.graph.attention import FullAttention
from sparkclin.export.graph.encoder import EncoderConfig
from sparkclin.export.graph.ops import Body, Ops, Tensor

Array = npt.NDArray[Any]

CLS, PAD, SEP = 0, 1, 2
SMALL = EncoderConfig(
    vocab_size=10,
    width=2,
    heads=1,
    intermediate=4,
    positions=300,
    first_position=2,
    padding_position=1,
    types=1,
    pad_id=PAD,
    cls_id=CLS,
    sep_id=SEP,
    layer_norm_eps=1e-5,
    activation="gelu",
    attention=(FullAttention(),),
)
"""For what only reads ids."""


def open_graph(folder: Path, *, engine: str, states: bool = False) -> Callable[[Array, Array], Array]:
    """ids, mask (R, P) -> what the graph in `folder` answers, or its last layer's states."""
    graph = SPARK_NLP_EXPORTERS[engine].graphs().read_written(folder)
    return graph.states if states else graph.run


def computed(body: Body, ids: Any) -> Array:
    """What ONNX Runtime computes of ids, int (R, P), by a graph of its own: all numbers in a row, of any shape."""

    def flat(ops: Ops, arrived: Tensor) -> Tensor:
        return ops.reshape(ops.to_float(body(ops, arrived)), (1, 1, -1))

    given = np.array(ids, np.int32)
    with TemporaryDirectory() as folder:
        SPARK_NLP_EXPORTERS["onnx"].graphs().write(Path(folder), flat, precision="fp32")
        return open_graph(Path(folder), engine="onnx")(given, np.ones_like(given)).reshape(-1)
