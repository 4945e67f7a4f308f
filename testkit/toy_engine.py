"""An engine for the Python workers that needs no library: it gives two numbers, 0, of each segment part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparkclin.engines import FP32, Engine, InWorkers
from sparkclin.inference.model import ModelFiles, RowModel
from sparkclin.text.pieces import Floats, Ints
from sparkclin.wire.tags import BEGIN

TOY = Engine(
    name="toy", precisions=(FP32,), in_workers=InWorkers(module="testkit.toy_engine", library="numpy", extra="toy")
)

N_IDS = 400
"""Of the manifests of testkit.bundles."""


class ToyModel:
    """A RowModel. `ran` is empty before the first row, as that of a real one."""

    def __init__(self) -> None:
        self.ran = ""

    def run(self, rows: Ints, wanted: Sequence[str]) -> Floats:
        self.ran = "toys"
        return np.zeros((int((rows // N_IDS == BEGIN).sum()), 2 * len(wanted)), np.float32)

    def states(self, rows: Ints) -> Floats:
        return np.zeros((*rows.shape, 1), np.float32)


def open_model(files: ModelFiles) -> RowModel:  # noqa: ARG001
    return ToyModel()
