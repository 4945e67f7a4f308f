"""How each engine's graphs are written and read: what `sparkclin.engines` has no need to know.

An engine's libraries are imported when its graphs are written or run: an export needs those of one engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from sparkclin import engines
from sparkclin.errors import SparkclinError

if TYPE_CHECKING:
    from sparkclin.export.graph.ops import Body, RowBodies
    from sparkclin.export.scheme import Scheme

Ids = npt.NDArray[np.int32]
Vectors = npt.NDArray[np.float32]


class Graph(Protocol):
    """An exported graph that runs in this process."""

    def run(self, ids: Ids, mask: Ids) -> Vectors:
        """ids, mask (R, P) -> what the head gives of rows, (R, positions, numbers); of a packed batch (1, 1,
        numbers)"""

    def states(self, ids: Ids, mask: Ids) -> Vectors:
        """ids, mask (R, P) -> the last layer's states (R, P, W)"""


class WriteModel(Protocol):
    """Writes a model into a folder as Spark NLP's loadSavedModel wants it.

    `scheme` is int8's. `logits` are the outputs that a stock annotator for a task reads: by name, which of the last
    axis's numbers; None for all of them.
    """

    def __call__(
        self,
        folder: Path,
        body: Body,
        *,
        precision: str,
        scheme: Scheme = ...,
        logits: Mapping[str, int | None] = ...,
    ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class GraphFormat:
    """How graphs for Spark NLP are written, and read: `read_written` of the folder where one was written, `read` of the
    file where a saved annotator keeps one."""

    write: WriteModel
    read_written: Callable[[Path], Graph]
    read: Callable[[Path], Graph]


class WriteRows(Protocol):
    """Writes a model's graphs for Python workers into a bundle's folder. `scheme` is int8's."""

    def __call__(
        self, folder: Path, bodies: RowBodies, *, precision: str, pad_id: int, scheme: Scheme = ...
    ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """`libraries` are what an export for `engine` needs: the name each is imported by -> the name to install it by."""

    engine: engines.Engine
    libraries: Mapping[str, str]

    def check_installed(self) -> None:
        """Raises SparkclinError where a library is missing."""
        check_installed(self.libraries, purpose=f"exporting for {self.engine.name}")


@dataclass(frozen=True, kw_only=True)
class SparkNlpExporter(Exporter):
    """Of an engine that Spark NLP runs."""

    graphs: Callable[[], GraphFormat]

    @property
    def spark_nlp(self) -> engines.SparkNlp:
        assert self.engine.spark_nlp is not None
        return self.engine.spark_nlp


@dataclass(frozen=True, kw_only=True)
class WorkerExporter(Exporter):
    """Of an engine that runs in Python workers."""

    rows: Callable[[], WriteRows]

    @property
    def in_workers(self) -> engines.InWorkers:
        assert self.engine.in_workers is not None
        return self.engine.in_workers


def check_installed(libraries: Mapping[str, str], *, purpose: str) -> None:
    """Raises SparkclinError where one of `libraries`, import name -> install name, is missing."""
    missing = [name for module, name in libraries.items() if find_spec(module) is None]
    if missing:
        raise SparkclinError(f"{purpose} needs {', '.join(missing)}: pip install 'sparkclin[export]'.")


def _tensorflow() -> GraphFormat:
    from sparkclin.export.graph import tensorflow

    return GraphFormat(write=tensorflow.write_model, read_written=tensorflow.read_written, read=tensorflow.read_saved)


def _onnx() -> GraphFormat:
    from sparkclin.export.graph import onnx

    return GraphFormat(write=onnx.write_model, read_written=onnx.read_written, read=onnx.read_saved)


def _openvino() -> WriteRows:
    from sparkclin.export.graph import openvino

    return openvino.write_model


SPARK_NLP_EXPORTERS = {
    exporter.engine.name: exporter
    for exporter in (
        SparkNlpExporter(engine=engines.TENSORFLOW, libraries={"tensorflow": "tensorflow-cpu"}, graphs=_tensorflow),
        SparkNlpExporter(engine=engines.ONNX, libraries={"onnx": "onnx", "onnxruntime": "onnxruntime"}, graphs=_onnx),
    )
}

WORKER_EXPORTERS = {
    exporter.engine.name: exporter
    for exporter in (
        WorkerExporter(engine=engines.OPENVINO, libraries={"onnx": "onnx", "openvino": "openvino"}, rows=_openvino),
    )
}

EXPORTERS: dict[str, Exporter] = {**SPARK_NLP_EXPORTERS, **WORKER_EXPORTERS}
"""By engine's name."""
