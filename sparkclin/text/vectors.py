"""How vectors are given: as the model makes them or of norm 1, in single or in half precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparkclin.errors import OptionError
from sparkclin.text.pieces import Floats
from sparkclin.text.pooling import PartOutput, SegmentVector, merge_note
from sparkclin.text.windows import Range

FLOAT32, FLOAT16 = VECTOR_DTYPES = ("float32", "float16")
"""NumPy's names of single and half precision."""

HALF = np.dtype("<f2")
"""IEEE 754's half precision, little-endian: 11 bits for a number's digits."""

LARGEST_FLOAT16 = 65_504


@dataclass(frozen=True, kw_only=True)
class VectorFormat:
    """`normalize`: a vector is divided by its norm. `dtype` is one of VECTOR_DTYPES.

    Raises OptionError for a dtype that is not known.
    """

    normalize: bool = False
    dtype: str = FLOAT32

    def __post_init__(self) -> None:
        if self.dtype not in VECTOR_DTYPES:
            raise OptionError(f"the vector dtype is {self.dtype!r}: expected one of {', '.join(VECTOR_DTYPES)}.")


AS_MADE = VectorFormat()
"""Vectors as the model makes them."""


def merge_vectors(
    segments: Sequence[Range], parts: Sequence[PartOutput], *, pooling: str, normalize: bool
) -> list[SegmentVector]:
    """merge_note(), with vectors of norm 1 where that is asked for."""
    merged = merge_note(segments, parts, pooling)
    if not normalize:
        return merged
    return [
        segment if segment.vector is None else replace(segment, vector=normalized(segment.vector)) for segment in merged
    ]


def normalized(vector: Floats) -> Floats:
    """(width,) -> (width,), divided by its norm, so that its own is 1 within 1e-6; zeros stay zeros.

    Norm and quotient are float64, in which the square of no float32 overflows or vanishes.
    """
    exact = vector.astype(np.float64)
    norm = np.linalg.norm(exact)
    unit: Floats = (exact / norm).astype(np.float32) if norm > 0 else vector
    return unit


def to_half(vector: Floats) -> NDArray[np.float16]:
    """(width,) -> (width,), rounded to the nearest number of half precision, of two to the even one; infinite where
    there is none."""
    with np.errstate(over="ignore"):
        return vector.astype(HALF)


def as_floats(value: Any) -> Floats:
    """A value of the column `vector`, of either dtype -> (width,). DuckDB gives bytes as a bytearray."""
    found: Floats = np.asarray(
        np.frombuffer(value, HALF) if isinstance(value, bytes | bytearray | memoryview) else value, np.float32
    )
    return found
