"""Graphs run in this process as they were written, before Spark NLP has saved them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def open_graph(folder: Path, *, engine: str, states: bool = False) -> Callable[[Array, Array], Array]:
    """ids, mask (R, P) -> what the graph in `folder` answers, or its last layer's states."""
    return {"tensorflow": open_saved_model, "onnx": open_onnx}[engine](folder, states=states)


def open_saved_model(folder: Path, *, states: bool) -> Callable[[Array, Array], Array]:
    from export.graph.tensorflow import v1

    session = v1.Session(graph=v1.Graph())
    with session.graph.as_default():
        v1.saved_model.load(session, ["serve"], str(folder))
    output = "states:0" if states else "last_hidden_state:0"

    def run(ids: Array, mask: Array) -> Array:
        return np.asarray(session.run(output, {"input_ids:0": ids, "attention_mask:0": mask}))

    return run


def open_onnx(folder: Path, *, states: bool) -> Callable[[Array, Array], Array]:
    from export.graph.onnx import MODEL_FILE, OnnxGraph

    graph = OnnxGraph((folder / MODEL_FILE).read_bytes())
    return graph.states if states else graph.run
