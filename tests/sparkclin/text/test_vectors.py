"""Norms of 1, and half precision, against NumPy's own words for them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sparkclin.errors import OptionError
from sparkclin.text.pieces import Floats
from sparkclin.text.pooling import PartOutput
from sparkclin.text.vectors import AS_MADE, VectorFormat, as_floats, merge_vectors, normalized, to_half

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(arrays(np.float32, st.integers(1, 2000), elements=floats))
def test_a_norm_is_1_or_the_vector_is_zero(vector: Floats) -> None:
    unit = normalized(vector)
    assert unit.dtype == np.float32
    if not vector.any():
        assert not unit.any()
        return
    assert abs(np.linalg.norm(unit.astype(np.float64)) - 1) < 1e-6
    exact = vector.astype(np.float64)
    np.testing.assert_allclose(unit, exact / np.linalg.norm(exact), rtol=1e-6, atol=1e-40)


@pytest.mark.parametrize("size", [1e-45, 1e-30, 1.0, 1e30, 3e38])
def test_tiny_and_huge_vectors_too(size: float) -> None:
    unit = normalized(np.full(768, size, np.float32))
    assert abs(np.linalg.norm(unit.astype(np.float64)) - 1) < 1e-6


def test_mean_and_maximum_are_normalized_together() -> None:
    parts = [PartOutput(0, 3, np.array([3, 0, 4, 0]))]
    [unit] = merge_vectors([(0, 9)], parts, pooling="mean_max", normalize=True)
    assert unit.vector is not None
    assert unit.vector.tolist() == [np.float32(0.6), 0, np.float32(0.8), 0]
    [plain] = merge_vectors([(0, 9)], parts, pooling="mean_max", normalize=False)
    assert plain.vector is not None
    assert plain.vector.tolist() == [3, 0, 4, 0]


def test_what_has_no_vector_still_has_none() -> None:
    [none] = merge_vectors([(0, 9)], [], pooling="mean", normalize=True)
    assert none.vector is None


@pytest.mark.parametrize(
    ("number", "rounded"),
    [
        (1 + 2**-11, 1),  # in the middle: to the even one
        (1 + 3 * 2**-11, 1 + 2**-9),
        (1 + 2**-11 + 2**-20, 1 + 2**-10),
        (2**-24, 2**-24),  # the smallest that is not zero
        (2**-25, 0),
        (65_504, 65_504),
        (65_519, 65_504),
        (65_520, np.inf),
    ],
)
def test_half_precision_is_the_nearest_number(number: float, rounded: float) -> None:
    for sign in (1, -1):
        assert to_half(np.array([sign * number], np.float32)).tolist() == [sign * rounded]


def test_vectors_of_both_dtypes_are_read() -> None:
    numbers = [0.5, -2.0, 65_504.0]
    assert as_floats(np.array(numbers, "<f2").tobytes()).tolist() == numbers
    assert as_floats(bytearray(np.array(numbers, "<f2"))).tolist() == numbers
    assert as_floats(numbers).tolist() == numbers


def test_what_is_read_is_in_single_precision() -> None:
    for value in (
        [0.5],
        np.array([0.5]),
        np.array([0.5], "<f2").tobytes(),
        memoryview(np.array([0.5], "<f2").tobytes()),
    ):
        found = as_floats(value)
        assert found.dtype == np.float32
        assert found.tolist() == [0.5]


def test_half_precision_is_little_endian_and_says_nothing_of_what_it_has_not() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_half(np.array([1e30], np.float32)).tobytes() == b"\x00\x7c"


def test_vectors_are_as_the_model_makes_them_if_nothing_is_said() -> None:
    assert VectorFormat() == AS_MADE == VectorFormat(normalize=False, dtype="float32")
    assert VectorFormat(dtype="float16").dtype == "float16"


def test_a_vector_with_a_norm_keeps_its_segment() -> None:
    parts = [PartOutput(1, 1, np.array([0.0, 5]))]
    none, unit = merge_vectors([(0, 2), (3, 9)], parts, pooling="mean", normalize=True)
    assert (none.begin, none.end, none.vector) == (0, 2, None)
    assert unit.vector is not None
    assert (unit.begin, unit.end, unit.vector.tolist()) == (3, 9, [0, 1])


def test_a_dtype_that_is_not_known() -> None:
    with pytest.raises(OptionError, match="'float64': expected one of float32, float16"):
        VectorFormat(dtype="float64")
