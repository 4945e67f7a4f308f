"""Lists and structs in Arrow: built from NumPy arrays and Python ranges, and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sparkclin.errors import OptionError
from sparkclin.text.pieces import Floats, Ints
from sparkclin.text.vectors import LARGEST_FLOAT16, to_half
from sparkclin.text.windows import Range


def lists(sizes: Sequence[int] | NDArray[np.int64], values: pa.Array) -> pa.ListArray:
    """A list of each size, filled from `values` in order."""
    offsets = np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def struct(columns: Mapping[str, pa.Array]) -> pa.StructArray:
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def int_columns(rows: Sequence[Sequence[int]], names: Sequence[str]) -> pa.StructArray:
    """Rows of whole numbers, one per name -> an array of structs."""
    values = np.array(rows, dtype=np.int32).reshape(-1, len(names))
    return struct({name: pa.array(np.ascontiguousarray(values[:, index])) for index, name in enumerate(names)})


def int_lists(arrays: Sequence[Ints]) -> pa.ListArray:
    values = np.concatenate([np.empty(0, np.int32), *arrays])
    return lists([len(array) for array in arrays], pa.array(values, pa.int32()))


def range_lists(ranges: Sequence[Sequence[Range]]) -> pa.ListArray:
    """A list of structs of begin and end for each list of ranges."""
    flat = int_columns([edges for of_one in ranges for edges in of_one], ["begin", "end"])
    return lists([len(of_one) for of_one in ranges], flat)


def to_range_lists(column: pa.ListArray) -> list[list[Range]]:
    """What range_lists() was made of."""
    flat = column.flatten()
    ranges = zip(flat.field("begin").to_pylist(), flat.field("end").to_pylist(), strict=True)
    return [[next(ranges) for _ in range(size)] for size in column.value_lengths().to_pylist()]


def repeated(text: str, times: int) -> pa.StringArray:
    return pa.array([text]).take(pa.array(np.zeros(times, np.int32)))


def only_row(column: pa.ListArray) -> Floats:
    """The only row of array<array<float>> -> (rows, width), without a copy."""
    vectors = column.flatten()
    flat: Floats = vectors.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(vectors), -1) if len(vectors) else np.empty((0, 0), np.float32)


def float_lists(vectors: Sequence[Any]) -> pa.ListArray:
    """A list of floats for each vector, null for None."""
    sizes = [0 if vector is None else len(vector) for vector in vectors]
    offsets = pa.array(np.cumsum([0, *sizes]).astype(np.int32))
    values = np.concatenate([np.empty(0, np.float32), *(vector for vector in vectors if vector is not None)])
    missing = pa.array([vector is None for vector in vectors], pa.bool_())
    return pa.ListArray.from_arrays(offsets, pa.array(values, pa.float32()), mask=missing)


def half_bytes(vectors: Sequence[Any]) -> pa.BinaryArray:
    """Each vector in half precision, little-endian, 2 bytes per number; null for None.

    Raises OptionError, with counts, for finite numbers that half precision has not.
    """
    halves = [None if vector is None else to_half(vector) for vector in vectors]
    made = [(half, vector) for half, vector in zip(halves, vectors, strict=True) if half is not None]
    if lost := sum(bool((np.isinf(half) & np.isfinite(vector)).any()) for half, vector in made):
        raise OptionError(
            f"numbers beyond {LARGEST_FLOAT16:,}, the largest of float16, are in {lost} of {len(made)} vectors. "
            "Write them as float32 (--vector-dtype), or with a norm of 1 (--normalize)."
        )
    return pa.array([None if half is None else half.tobytes() for half in halves], pa.binary())
