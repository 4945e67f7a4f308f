"""The arithmetic of pooling, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sparkclin.errors import IncompleteError
from sparkclin.text.pieces import Pieces
from sparkclin.text.pooling import PartOutput, merge_note, merge_parts, pool_note, pool_part, window_starts
from sparkclin.text.tokenization import TokenizedNote

NOTE = TokenizedNote(
    Pieces(*(np.array(column, np.int32) for column in (range(6), range(0, 12, 2), range(1, 13, 2), range(6)))),
    windows=((0, 4), (2, 6)),
    sentences=(),
)
"""Six words of one character. Of its windows the first owns the pieces 0, 1 and 2, the second 3, 4 and 5."""

WINDOWS = [[0, 1, 2, 3], [20, 30, 40, 50]]
"""What a model of one number gives for the pieces of each window."""


def vectors(*numbers: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Vectors of one number: (len(numbers), 1)"""
    return np.array(numbers, np.float32).reshape(-1, 1)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [(("mean",), [2, 3]), (("max",), [3, 5]), (("mean", "max"), [2, 3, 3, 5]), (("max", "mean"), [3, 5, 2, 3])],
)
def test_a_part_has_the_mean_and_the_maximum_of_each_number(outputs: tuple[str, ...], expected: list[float]) -> None:
    part = pool_part(7, np.array([[1, 5], [3, 1]], np.float32), outputs)
    assert (part.segment, part.size, part.numbers.tolist()) == (7, 2, expected)


def test_the_mean_of_a_part_is_exact() -> None:
    """In float32 the sum would lose both ones."""
    part = pool_part(0, vectors(2**24, 1, 1), ("mean",))
    assert part.numbers.tolist() == [(2**24 + 2) / 3]


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("mean", [3, 2, 2, 6]), ("cls", [3, 2, 2, 6]), ("first", [3, 2, 2, 6]), ("max", [4, 8, 5, 7]),
     ("mean_max", [3, 2, 5, 7])],
)  # fmt: skip
def test_parts_count_by_their_sizes(pooling: str, expected: list[float]) -> None:
    """A mean is (1 · first + 3 · second) / 4."""
    parts = [PartOutput(0, 1, np.array([0.0, 8, 5, 3])), PartOutput(0, 3, np.array([4.0, 0, 1, 7]))]
    merged = merge_parts(parts, pooling)
    assert merged.dtype == np.float32
    assert merged.tolist() == expected


def test_a_segment_has_its_own_parts_whatever_their_order() -> None:
    parts = [PartOutput(2, 1, np.array([9.0])), PartOutput(0, 1, np.array([1.0])), PartOutput(2, 3, np.array([5.0]))]
    found = merge_note([(0, 3), (4, 6), (7, 9)], parts, "mean")
    assert [(each.begin, each.end) for each in found] == [(0, 3), (4, 6), (7, 9)]
    assert [None if each.vector is None else each.vector.tolist() for each in found] == [[1], None, [6]]


@pytest.mark.parametrize(
    ("level", "pooling", "expected"),
    [
        ("document", "mean", [[(0 + 1 + 2 + 30 + 40 + 50) / 6]]),
        ("document", "max", [[50]]),
        ("window", "mean", [[1.5], [35]]),
        ("window", "mean_max", [[1.5, 3], [35, 50]]),
        ("token", "first", [[0], [1], [2], [30], [40], [50]]),
    ],
)
@pytest.mark.parametrize("brings_cls", [False, True])
def test_a_note_is_pooled_from_the_windows_that_own_its_pieces(
    level: str,
    pooling: str,
    expected: list[list[float]],
    brings_cls: bool,  # noqa: FBT001
) -> None:
    first, second = WINDOWS
    given = vectors(*(-100, *first, -200, *second) if brings_cls else (*first, *second))
    found = pool_note(given, NOTE, level=level, pooling=pooling, brings_cls=brings_cls)
    assert [each.vector.tolist() for each in found if each.vector is not None] == [
        pytest.approx(numbers) for numbers in expected
    ]


def test_cls_is_the_mean_of_the_first_vectors_of_windows() -> None:
    given = vectors(-100, *WINDOWS[0], -200, *WINDOWS[1])
    [found] = pool_note(given, NOTE, level="document", pooling="cls", brings_cls=True)
    assert found.vector is not None
    assert found.vector.tolist() == [-150]


def test_position_0_of_a_window_is_a_row_only_where_its_special_piece_came() -> None:
    assert window_starts(vectors(*range(10)), NOTE.windows, brings_cls=True).tolist() == [0, 5]
    assert window_starts(vectors(*range(8)), NOTE.windows, brings_cls=False).tolist() == [-1, 3]


@pytest.mark.parametrize(("given", "brings_cls", "expected"), [(7, False, 8), (9, False, 8), (9, True, 10)])
def test_vectors_that_are_missing_or_too_many_are_an_error(given: int, brings_cls: bool, expected: int) -> None:  # noqa: FBT001
    with pytest.raises(IncompleteError, match=f"{expected} pieces went into the model, {given} vectors came out"):
        window_starts(vectors(*range(given)), NOTE.windows, brings_cls=brings_cls)
