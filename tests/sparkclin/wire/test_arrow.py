"""Lists, ranges and vectors in Arrow, and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sparkclin.errors import OptionError
from sparkclin.wire.arrow import (
    float_lists,
    half_bytes,
    int_columns,
    int_lists,
    lists,
    only_row,
    range_lists,
    repeated,
    to_range_lists,
)


def test_half_precision_is_little_endian_bytes() -> None:
    vectors = [np.array([1, -0.5, 65_504], np.float32), None, np.zeros(3, np.float32)]
    found = half_bytes(vectors)
    assert found.type == pa.binary()
    assert found.to_pylist() == [b"\x00\x3c\x00\xb8\xff\x7b", None, bytes(6)]
    assert half_bytes([]).to_pylist() == []


def test_no_number_becomes_infinite() -> None:
    fits = np.array([65_519, 1], np.float32)
    with pytest.raises(OptionError, match=r"numbers beyond 65,504, .* in 2 of 3 vectors\. Write them as float32"):
        half_bytes([fits, np.array([70_000, 1], np.float32), None, np.array([0, -1e38], np.float32)])


def test_what_is_not_finite_stays_as_it_is() -> None:
    [value] = half_bytes([np.array([np.inf, np.nan], np.float32)]).to_pylist()
    np.testing.assert_array_equal(np.frombuffer(value, "<f2"), [np.inf, np.nan])


def test_lists_are_filled_in_order() -> None:
    assert lists([2, 0, 1], pa.array([7, 8, 9])).to_pylist() == [[7, 8], [], [9]]
    assert lists([], pa.array([], pa.int32())).to_pylist() == []


def test_rows_of_numbers_are_structs() -> None:
    found = int_columns([(1, 2), (3, 4), (5, 6)], ["a", "b"])
    assert found.to_pylist() == [{"a": 1, "b": 2}, {"a": 3, "b": 4}, {"a": 5, "b": 6}]
    assert found.type == pa.struct({"a": pa.int32(), "b": pa.int32()}) == int_columns([], ["a", "b"]).type


def test_lists_of_numbers_and_of_ranges() -> None:
    found = int_lists([np.array([1, 2], np.int32), np.empty(0, np.int32), np.array([3], np.int32)])
    assert (found.to_pylist(), found.type) == ([[1, 2], [], [3]], pa.list_(pa.int32()))
    assert int_lists([]).to_pylist() == []
    ranges = [[(0, 4), (2, 6)], [], [(7, 9)]]
    column = range_lists(ranges)
    assert column.to_pylist()[2] == [{"begin": 7, "end": 9}]
    assert to_range_lists(column) == ranges
    assert to_range_lists(column[1:]) == ranges[1:]
    assert to_range_lists(range_lists([])) == []


def test_a_text_is_there_so_many_times() -> None:
    assert repeated("x", 3).to_pylist() == ["x"] * 3
    assert repeated("x", 0).to_pylist() == []


def test_the_only_row_of_lists_is_a_matrix() -> None:
    kind = pa.list_(pa.list_(pa.float32()))
    found = only_row(pa.array([[[1, 2, 3], [4, 5, 6]]], kind))
    assert found.tolist() == [[1, 2, 3], [4, 5, 6]]
    empty = only_row(pa.array([[]], kind))
    assert empty.shape == (0, 0)
    assert empty.dtype == np.float32


def test_vectors_are_lists_and_none_is_null() -> None:
    found = float_lists([np.array([1, 2], np.float32), None, np.empty(0, np.float32), np.array([0.5])])
    assert found.to_pylist() == [[1, 2], None, [], [0.5]]
    assert found.type == pa.list_(pa.float32()) == float_lists([]).type
