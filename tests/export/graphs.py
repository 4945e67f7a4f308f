"""Graphs run in this process as they were written, before Spark NLP has saved them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from sparkclin.export.engines import SPARK_NLP_EXPORTERS

Array = npt.NDArray[Any]


def open_graph(folder: Path, *, engine: str, states: bool = False) -> Callable[[Array, Array], Array]:
    """ids, mask (R, P) -> what the graph in `folder` answers, or its last layer's states."""
    graph = SPARK_NLP_EXPORTERS[engine].graphs().read_written(folder)
    return graph.states if states else graph.run
