"""Graphs run in this process as they were written, before Spark NLP has saved them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def open_graph(folder: Path, *, engine: str) -> Callable[[Array, Array], Array]:
    """ids, mask (R, P) -> vectors, as the graph in `folder` answers."""
    return {"tensorflow": open_saved_model, "onnx": open_onnx}[engine](folder)


def open_saved_model(folder: Path) -> Callable[[Array, Array], Array]:
    from export.graph.tensorflow import v1

    session = v1.Session(graph=v1.Graph())
    with session.graph.as_default():
        v1.saved_model.load(session, ["serve"], str(folder))

    def run(ids: Array, mask: Array) -> Array:
        return np.asarray(session.run("last_hidden_state:0", {"input_ids:0": ids, "attention_mask:0": mask}))

    return run


def open_onnx(folder: Path) -> Callable[[Array, Array], Array]:
    from export.graph.onnx import MODEL_FILE, OnnxGraph

    return OnnxGraph((folder / MODEL_FILE).read_bytes()).run
