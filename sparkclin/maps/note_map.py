"""A map of notes: where each stands, by its vector, and what is shown of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparkclin.errors import InputError, OptionError
from sparkclin.maps.colors import Coloring, coloring
from sparkclin.maps.columns import Column, read_columns, shown
from sparkclin.maps.projection import METHODS, PCA, project
from sparkclin.schema import NOTE_ID
from sparkclin.vectors import NoteVectors, read_vectors

MOST_NOTES = 5_000
FEWEST_NOTES = 3
MOST_SEED = 2**32 - 1
"""Of NumPy's older generator, which UMAP has."""


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """What a map shows: `color` is the column of the colours, `hover` those that a note shows beside its id and that
    one; `notes` a table of the notes that may have them. Of more than `sample` notes so many are drawn by lot, from
    `seed`. Raises OptionError for what cannot be."""

    color: str | None = None
    hover: tuple[str, ...] = ()
    notes: str | None = None
    method: str = PCA
    sample: int = MOST_NOTES
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise OptionError(f"there is no map by the method {self.method!r}: expected one of {', '.join(METHODS)}.")
        if self.sample < FEWEST_NOTES:
            raise OptionError(f"a map of {self.sample} notes was asked for: expected {FEWEST_NOTES} or more.")
        if not 0 <= self.seed <= MOST_SEED:
            raise OptionError(f"the seed of a map is {self.seed}: expected 0 to {MOST_SEED}.")

    @property
    def columns(self) -> tuple[str, ...]:
        chosen = (self.color, *self.hover) if self.color else self.hover
        return tuple(name for name in dict.fromkeys(chosen) if name != NOTE_ID)


@dataclass(frozen=True, kw_only=True)
class NoteMap:
    """`points` are (x, y) between 0 and 1, x to the right and y downwards, in the same scale; `rows` have the values of
    `columns`, the id first. `n_notes` have a vector, `without` have none. `text_columns` show text of notes."""

    points: tuple[tuple[float, float], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    colors: Coloring
    color: str
    how: str
    n_notes: int
    without: int
    text_columns: tuple[str, ...]

    def summary(self) -> str:
        """In a few lines, what was drawn."""
        drawn = f"{len(self.points):,} of {self.n_notes:,} notes" if len(self.points) < self.n_notes else (
            f"{self.n_notes:,} notes"
        )  # fmt: skip
        lines = [f"{drawn} by {self.how}", *([f"coloured by {self.color}"] if self.color else [])]
        lines += [f"{self.without:,} notes without a vector are left out"] if self.without else []
        lines += [f"contains the text of notes: {', '.join(self.text_columns)}"] if self.text_columns else []
        return "\n".join(f"- {line}" for line in lines)


def note_map(vectors: str, options: MapOptions) -> NoteMap:
    """The map of what a run at level document wrote to `vectors`, a local folder. Raises InputError for vectors or
    columns that are not there, or for less than three notes."""
    found = read_vectors(vectors)
    if len(found.ids) < FEWEST_NOTES:
        raise InputError(f"{len(found.ids)} notes have a vector: a map needs {FEWEST_NOTES} or more.")
    columns = read_columns(options.columns, vectors=vectors, notes=options.notes)
    chosen = _sampled(found, options)
    ids = [str(found.ids[i]) for i in chosen]
    projection = project(found.matrix[chosen], method=options.method, seed=options.seed)
    return NoteMap(
        points=_in_unit_square(projection.points),
        columns=(NOTE_ID, *(column.name for column in columns)),
        rows=tuple((note, *(shown(column.values.get(note)) for column in columns)) for note in ids),
        colors=coloring(_values(columns, options.color, ids)),
        color=options.color or "",
        how=projection.how,
        n_notes=len(found.ids),
        without=found.without,
        text_columns=tuple(column.name for column in columns if column.is_text),
    )


def _values(columns: Sequence[Column], color: str | None, ids: Sequence[str]) -> list[object]:
    by_name = {column.name: column.values for column in columns}
    return [by_name.get(color or "", {}).get(note) for note in ids]


def _sampled(found: NoteVectors, options: MapOptions) -> list[int]:
    """The rows to draw, in their order."""
    n_notes = len(found.ids)
    if n_notes <= options.sample:
        return list(range(n_notes))
    drawn = np.random.default_rng(options.seed).choice(n_notes, options.sample, replace=False)
    return sorted(map(int, drawn))


def _in_unit_square(points: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> tuple[tuple[float, float], ...]:
    """Both axes in the same scale, the longer one from 0 to 1."""
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - (low + high) / 2) / (float((high - low).max()) or 1.0) + 0.5
    return tuple((round(float(x), 4), round(1 - float(y), 4)) for x, y in scaled)
