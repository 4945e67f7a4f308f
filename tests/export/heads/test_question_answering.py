"""The likeliest answer in a row, and where the second text is, against NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sparkclin.export.graph.ops import Ops, Tensor
from sparkclin.export.heads.question_answering import (
    CHOSEN,
    IMPOSSIBLE,
    first_largest,
    in_second_text,
    likeliest_span,
    running_max,
)
from sparkclin.wire.tags import Vocabulary
from tests.export.graphs import Array, computed

CLS, PAD, SEP, SIZE = 0, 1, 2, 10


@pytest.mark.parametrize(
    ("separators", "expected"),
    [(1, [[0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0, 0]]), (2, [[0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 0]])],
)
def test_the_second_text_is_behind_the_separators_and_before_the_end(
    separators: int, expected: list[list[int]]
) -> None:
    """A separator within it belongs to it; a row with one text has none."""
    words = Vocabulary(size=SIZE, cls_id=CLS, sep_id=SEP, pad_id=PAD, separators=separators)
    rows = [[CLS, 5, SEP, SEP, 7, SEP, PAD], [CLS, 5, 6, 7, 8, SEP, PAD]]
    for shift in (0, SIZE):
        ids = (np.array(rows) + shift).tolist()
        found = computed(lambda ops, ids: in_second_text(ops, ids, vocabulary=words), ids)
        assert found.reshape(2, 7).astype(int).tolist() == expected


def test_without_separators_in_pairs_one_separator_ends_the_first_text() -> None:
    words = Vocabulary(size=SIZE, cls_id=CLS, sep_id=SEP, pad_id=PAD)
    found = computed(lambda ops, ids: in_second_text(ops, ids, vocabulary=words), [[CLS, 5, SEP, 6, 7, SEP]])
    assert found.astype(int).tolist() == [0, 0, 0, 1, 1, 0]


def test_the_first_of_the_largest_is_found_in_each_row() -> None:
    rows = [[3, 7, 7, 1], [4, 4, 4, 4], [0, 1, 2, 9]]
    found = computed(lambda ops, ids: first_largest(ops, ops.to_float(ids)), rows).reshape(3, 4)
    assert found.astype(int).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 100])
def test_the_running_maximum_is_that_of_numpy(length: int) -> None:
    rows = np.random.default_rng(length).integers(0, 10_000, (2, length))
    rows[1] = np.sort(rows[1])[::-1]  # the first is the largest of all
    found = computed(lambda ops, ids: running_max(ops, ops.to_float(ids)), rows).reshape(2, length)
    np.testing.assert_array_equal(found, np.maximum.accumulate(rows, axis=1))


def span_of(begin: Array, end: Array, is_second: Array) -> tuple[int, int]:
    """Every span of the second text is looked at; of equal ones the one that ends first, then begins first."""
    places = np.flatnonzero(is_second)
    spans = [(b, e) for e, b in product(places, places) if b <= e]
    first, last = max(spans, key=lambda span: begin[span[0]] + end[span[1]])
    return int(first), int(last)


@pytest.mark.parametrize("seed", range(6))
def test_the_span_of_largest_sum_is_chosen(seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.integers(0, 9, (3, 8, 2))
    is_second = np.array([[0, 0, 1, 1, 1, 1, 1, 0], [0, 1, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0]], bool)

    def body(ops: Ops, ids: Tensor) -> Tensor:
        numbers = ops.reshape(ops.to_float(ids), (3, 8, 3))
        second = ops.reshape(ops.slice(numbers, axis=2, begin=2, end=3), (3, 8))
        return likeliest_span(ops, ops.slice(numbers, axis=2, begin=0, end=2), is_second=ops.less(0.5, second))

    given = np.concatenate([logits, is_second[..., None]], axis=2).reshape(3, -1)
    found = computed(body, given).reshape(3, 8, 2)
    assert set(np.unique(found).tolist()) == {0.0, CHOSEN}
    for row in range(3):
        chosen = [np.flatnonzero(found[row, :, side]).tolist() for side in (0, 1)]
        begin, end = span_of(logits[row, :, 0], logits[row, :, 1], is_second[row])
        assert chosen == [[begin], [end]]


def test_what_is_impossible_is_below_every_logit() -> None:
    assert 2 * IMPOSSIBLE < IMPOSSIBLE < -1e6
    assert np.isfinite(np.float32(2 * IMPOSSIBLE))
