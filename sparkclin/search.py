"""The notes that are nearest to a note, by the cosine of their vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sparkclin.errors import InputError, OptionError
from sparkclin.schema import NOTE_ID
from sparkclin.text.vectors import normalized
from sparkclin.vectors import NoteVectors, note_vectors

if TYPE_CHECKING:
    import numpy.typing as npt
    from pyspark.sql import DataFrame

COSINE = "cosine"

_SMALLEST, _LARGEST = 1e-24, 1e36
"""Between these, a square of a length loses nothing in float32: parts of it that vanish are below 1e-38."""


def nearest(
    vectors: pd.DataFrame | DataFrame | NoteVectors | str | Path, note_id: object, *, k: int = 10
) -> pd.DataFrame:
    """The `k` notes whose vectors have the largest cosine with that of the note `note_id`: its columns are note_id and
    cosine, the nearest first. The note itself is not among them.

    `vectors` is a DataFrame of pandas or Spark with the columns note_id and vector and a row per note, as `embed()` at
    level document gives it; or a local path where a run has written such rows; or what read_vectors() gives. All
    vectors are compared, so the result is exact. Notes of the same cosine come in the order of the table. A vector of
    zeros has no direction, and the cosine 0 with all.

    An id that is given as text also stands for a number that reads so. Raises InputError where the note is not there
    or has no vector, and for what is no such table; and OptionError for a `k` less than 1.
    """
    if k < 1:
        raise OptionError(f"k is {k}: expected how many notes are wanted, 1 or more.")
    notes = note_vectors(vectors)
    row = _row_of(notes, note_id)
    cosines = cosines_with(notes.matrix, notes.matrix[row])
    order = np.argsort(-cosines, kind="stable")
    chosen = order[order != row][:k]
    return pd.DataFrame({NOTE_ID: [notes.ids[i] for i in chosen], COSINE: cosines[chosen]})


def cosines_with(matrix: npt.NDArray[np.float32], vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(notes, width) and (width) -> (notes): the cosine of each row with the vector."""
    asked = normalized(vector)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", matrix, matrix)
        cosines = (matrix @ asked) / np.sqrt(squares)
    beyond = ~((squares > _SMALLEST) & (squares < _LARGEST))
    # float64, in which the square of no float32 overflows or vanishes, takes several times as long.
    rows = matrix[beyond].astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1)
    cosines[beyond] = np.divide(rows @ asked, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    clipped: npt.NDArray[np.float32] = np.clip(cosines, -1, 1)
    return clipped


def _row_of(notes: NoteVectors, note_id: object) -> int:
    rows = {known: row for row, known in enumerate(notes.ids)}
    try:
        row = rows.get(note_id)
    except TypeError:  # such as a list
        row = None
    if row is None and isinstance(note_id, str):
        row = {str(known): row for known, row in rows.items()}.get(note_id)
    if row is None:
        without = f", and {notes.without} notes have none" if notes.without else ""
        raise InputError(
            f"no vector is of the note that was asked for: {len(notes.ids)} notes have a vector{without}. Check the "
            "id, and the note's status."
        )
    return row
