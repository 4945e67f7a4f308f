"""The engines that a model can be exported for, and what is theirs alone.

An engine's libraries are imported when its graphs are made or run: an export needs those of one engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from sparkclin.errors import SparkclinError

if TYPE_CHECKING:
    from export.graph.encoder import EncoderConfig, EncoderWeights
    from sparkclin.wire.packed import Vocabulary

Ids = npt.NDArray[np.int32]
Vectors = npt.NDArray[np.float32]


class Graph(Protocol):
    """An exported graph that runs in this process."""

    def run(self, ids: Ids, mask: Ids) -> Vectors:
        """ids, mask (R, P) -> vectors (R, P, W); of a pack, (1, 1, spans · 2 W)"""


class WriteEncoder(Protocol):
    """Writes the encoder into a folder as Spark NLP's loadSavedModel wants it."""

    def __call__(self, folder: Path, *, config: EncoderConfig, weights: EncoderWeights, precision: str) -> None: ...


class WriteEcho(Protocol):
    """Writes the model of export.graph.echo."""

    def __call__(self, folder: Path, *, vocabulary: Vocabulary) -> None: ...


@dataclass(frozen=True, kw_only=True)
class GraphFormat:
    """How an engine's graphs are written, and read out of a saved annotator."""

    write_encoder: WriteEncoder
    write_echo: WriteEcho
    read: Callable[[Path], Graph]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """`annotator` is the Spark NLP class that carries its models, `precisions` are what their weights can be stored in,
    `libraries` what an export needs: the name it is imported by -> the name it is installed by.
    """

    name: str
    annotator: str
    precisions: tuple[str, ...]
    libraries: Mapping[str, str]
    graphs: Callable[[], GraphFormat]

    def check_installed(self) -> None:
        """Raises SparkclinError where a library is missing."""
        check_installed(self.libraries, purpose=f"exporting for {self.name}")


def check_installed(libraries: Mapping[str, str], *, purpose: str) -> None:
    """Raises SparkclinError where one of `libraries`, import name -> install name, is missing."""
    missing = [name for module, name in libraries.items() if find_spec(module) is None]
    if missing:
        raise SparkclinError(f"{purpose} needs {', '.join(missing)}: pip install 'sparkclin[export]'.")


def _tensorflow() -> GraphFormat:
    from export.graph import tensorflow

    return GraphFormat(
        write_encoder=tensorflow.write_encoder, write_echo=tensorflow.write_echo, read=tensorflow.SavedGraph
    )


def _onnx() -> GraphFormat:
    from export.graph import onnx

    return GraphFormat(write_encoder=onnx.write_encoder, write_echo=onnx.write_echo, read=onnx.read_saved)


TENSORFLOW = Engine(
    name="tensorflow",
    annotator="LongformerEmbeddings",
    precisions=("fp32",),
    libraries={"tensorflow": "tensorflow-cpu"},
    graphs=_tensorflow,
)
ONNX = Engine(
    name="onnx",
    annotator="RoBertaEmbeddings",
    precisions=("fp32", "int8"),
    libraries={"onnx": "onnx", "onnxruntime": "onnxruntime"},
    graphs=_onnx,
)
ENGINES = {engine.name: engine for engine in (TENSORFLOW, ONNX)}
