"""Vectors -> points in the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparkclin.errors import SetupError

if TYPE_CHECKING:
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float32]
    Points = npt.NDArray[np.float64]

PCA, UMAP = METHODS = ("pca", "umap")
NEIGHBOURS = 15
"""UMAP's own default: with less it shows finer groups."""


@dataclass(frozen=True, kw_only=True)
class Projection:
    """`points` (notes, 2); `how` says how they were made."""

    points: Points
    how: str


def project(matrix: Matrix, *, method: str, seed: int) -> Projection:
    """(notes, width) -> (notes, 2). The length of vectors does not count, only their direction, as with the cosine.

    Raises SetupError where the library for `method` is not installed.
    """
    lengths = np.linalg.norm(matrix.astype(np.float64), axis=1, keepdims=True)
    directions = np.divide(matrix, lengths, out=np.zeros(matrix.shape), where=lengths > 0)
    first = _principal(directions)
    return first if method == PCA else _umap(directions, first.points, seed=seed)


def _principal(directions: Points) -> Projection:
    """The two directions in which the vectors differ most, from the eigenvectors of their covariance."""
    centred = directions - directions.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    two = vectors[:, [-1, -2]]
    # An eigenvector may point either way: its largest number is positive.
    two = two * np.sign(two[np.abs(two).argmax(axis=0), [0, 1]])
    total = values.clip(min=0).sum()
    share = values[-2:].sum() / total if total > 0 else 1.0
    return Projection(points=centred @ two, how=f"PCA, two components with {share:.0%} of the variance")


def _umap(directions: Points, start: Points, *, seed: int) -> Projection:
    try:
        from umap import UMAP as Library  # noqa: N811
    except ImportError:
        raise SetupError(
            "UMAP is not installed: pip install 'sparkclin[map]', or leave --method out, which is PCA."
        ) from None
    neighbours = min(NEIGHBOURS, len(directions) - 1)
    spread = np.abs(start).max() or 1.0
    # It starts from PCA's points, so that a map does not depend on chance more than it has to.
    made = Library(n_neighbors=neighbours, metric="cosine", init=10 * start / spread, random_state=seed, n_jobs=1)
    return Projection(points=made.fit_transform(directions), how=f"UMAP, {neighbours} neighbours, cosine, seed {seed}")
