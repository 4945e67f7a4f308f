"""Vectors of half precision in Arrow."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sparkclin.errors import OptionError
from sparkclin.wire.arrow import half_bytes


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
