"""The route that pieces take to a model: through Spark NLP, or straight to it in a Python worker.

A route knows how a bundle is made for where it runs, and how to send something through it for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.scheme import Scheme
from sparkclin.export.verify.samples import Batch

Numbers = npt.NDArray[np.floating[Any]]
Pairs = Iterator[tuple[Numbers, Numbers]]
Compare = Callable[[Vectors], Pairs]
"""The states of a batch's positions, (2, P, W) -> of each row what came back and what was expected, (N, numbers)."""

ORDINARY_IDS = "graph, ordinary ids"

SHORTEST_WINDOW = 3
"""Rows up to this are not compared where the shorter row of a batch, of half the length, needs both special pieces and
a piece between them: no window is without one."""


@dataclass(frozen=True, kw_only=True)
class PathOutput:
    """What came back by a path. `by_head`: it is the head's outputs of segment parts, and not vectors of positions."""

    path: str
    compare: Compare
    by_head: bool = False


class States(Protocol):
    """An exported encoder that runs in this process."""

    def states(self, ids: Ids, mask: Ids) -> Vectors:
        """ids, mask (R, P) -> the last layer's states (R, P, W)"""


class Route(Protocol):
    """The route of a candidate. `returns_vectors`: vectors of positions come back by it, and not the head's outputs
    alone."""

    @property
    def returns_vectors(self) -> bool: ...

    def build(self) -> None:
        """Makes the candidate's folder, without tokenizer and manifest. Raises CheckpointError where that cannot be."""

    def open(self) -> States:
        """The graph in the candidate's folder."""

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """Those that a scheme of the engine may have beside 0, in descending order."""

    def trial(self, scheme: Scheme, folder: Path) -> States:
        """The graph by another scheme, written into `folder`."""

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids that reach the model of each text, windows joined, special pieces put back."""

    def outputs(self, batch: Batch) -> Iterator[PathOutput]:
        """What comes back by each path, but the graph's own states of ordinary ids."""

    def outputs_alone(self, batch: Batch) -> Iterator[PathOutput]:
        """Each of several outputs without the others, of a model that can do that."""


def real(batch: Batch, found: Vectors) -> Compare:
    """Of a batch's real positions."""
    return lambda vectors: zip(batch.real(found), batch.real(vectors), strict=True)
