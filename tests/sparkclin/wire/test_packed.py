"""What a packed batch is: nothing lost, little padding, fields that say what is in which segment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkclin.errors import OptionError
from sparkclin.text.segments import SegmentPart
from sparkclin.text.tokenization import PairIds
from sparkclin.wire import codes
from sparkclin.wire.annotations import code_words
from sparkclin.wire.packed import (
    MAX_PADDING,
    PIECES_PER_BATCH,
    as_text,
    concatenated,
    padded,
    padded_rows,
    plan_batches,
    tagged,
)
from sparkclin.wire.tags import (
    BEGIN,
    HOST_IDS,
    INSIDE,
    OUTSIDE,
    SEGMENT_TAGS,
    Vocabulary,
)
from testkit.shapes import batch_shapes

SHAPES = set(batch_shapes(2 * PIECES_PER_BATCH))
VOCABULARY = Vocabulary(size=100, cls_id=0, sep_id=2, pad_id=1)


@given(st.lists(st.integers(3, 2 * PIECES_PER_BATCH), max_size=200))
def test_every_row_is_in_one_batch_and_padding_is_little(lengths: list[int]) -> None:
    batches = list(plan_batches(lengths))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert (len(batch), longest) in SHAPES
        size = longest * len(batch)
        assert len(batch) == 1 or size <= PIECES_PER_BATCH
        assert sum(lengths[index] for index in batch) >= (1 - MAX_PADDING) * size


def test_rows_of_equal_length_fill_batches() -> None:
    full = PIECES_PER_BATCH // 24
    assert [len(batch) for batch in plan_batches([24] * (2 * full + 5))] == [full, full, 5]


def test_a_batch_of_exactly_the_budget_is_one() -> None:
    assert [len(batch) for batch in plan_batches([PIECES_PER_BATCH // 8] * 8)] == [8]
    assert [len(batch) for batch in plan_batches([PIECES_PER_BATCH // 8] * 9)] == [8, 1]


def test_a_batch_of_exactly_the_padding_is_one() -> None:
    """A tenth of two rows of 20 pieces is 4."""
    assert [len(batch) for batch in plan_batches([20, 16])] == [2]
    assert [len(batch) for batch in plan_batches([20, 15])] == [1, 1]


def rows_in_batches(lengths: list[int], limits: Sequence[int] = ()) -> list[list[int]]:
    """The lengths of the rows in each batch."""
    return [[lengths[index] for index in batch] for batch in plan_batches(lengths, limits=limits)]


@pytest.mark.parametrize(
    ("limits", "batches"),
    [
        ((), [[22, 21, 20, 20, 19]]),
        ((19,), [[22, 21, 20, 20], [19]]),  # a row of the limit is on its lower side
        ((20,), [[22, 21], [20, 20, 19]]),
        ((21,), [[22], [21, 20, 20, 19]]),
        ((22,), [[22, 21, 20, 20, 19]]),
        ((18,), [[22, 21, 20, 20, 19]]),
        ((19, 20), [[22, 21], [20, 20], [19]]),
        ((8, 20, 64), [[22, 21], [20, 20, 19]]),
    ],
)
def test_rows_on_both_sides_of_a_limit_are_never_together(limits: Sequence[int], batches: list[list[int]]) -> None:
    """Without limits all of these are in one batch."""
    assert rows_in_batches([20, 22, 19, 20, 21], limits) == batches


@given(
    st.lists(st.integers(3, 2 * PIECES_PER_BATCH), max_size=200),
    st.sets(st.integers(3, 2 * PIECES_PER_BATCH), max_size=4).map(sorted),
)
def test_limits_cut_batches_and_lose_no_row(lengths: list[int], limits: list[int]) -> None:
    batches = rows_in_batches(lengths, limits)
    assert sorted(length for batch in batches for length in batch) == sorted(lengths)
    assert all(len({sum(limit < length for limit in limits) for length in batch}) == 1 for batch in batches)


def test_a_batch_is_closed_where_one_more_row_would_not_fit() -> None:
    third = PIECES_PER_BATCH // 3
    assert rows_in_batches([third] * 4) == [[third] * 3, [third]]
    assert rows_in_batches([PIECES_PER_BATCH + 1] * 2) == [[PIECES_PER_BATCH + 1]] * 2
    assert rows_in_batches([PIECES_PER_BATCH, 1]) == [[PIECES_PER_BATCH], [1]]
    assert rows_in_batches([]) == []


def test_padding_is_of_the_whole_batch() -> None:
    """Of 20, 20 and 14 a tenth of 60 is lost at 14, and of 20, 20, 20 and 12 a tenth of 80 at 12."""
    assert rows_in_batches([14, 20, 20]) == [[20, 20, 14]]
    assert rows_in_batches([13, 20, 20]) == [[20, 20], [13]]
    assert rows_in_batches([12, 20, 20, 20]) == [[20, 20, 20, 12]]
    assert rows_in_batches([11, 20, 20, 20]) == [[20, 20, 20], [11]]
    assert rows_in_batches([11, 20, 20, 11, 11, 20]) == [[20, 20, 20], [11, 11, 11]]


def test_rows_are_padded_to_the_longest_with_ints() -> None:
    found = padded([np.array([5]), np.array([6, 7, 8])], padding=9)
    assert found.tolist() == [[5, 9, 9], [6, 7, 8]]
    in_no_segment = OUTSIDE * VOCABULARY.size + VOCABULARY.pad_id
    assert padded_rows([np.array([5]), np.array([6, 7])], VOCABULARY).tolist() == [[5, in_no_segment], [6, 7]]
    row = tagged(np.array([5], np.int32), [], VOCABULARY)
    told = concatenated([row], VOCABULARY, request=0)
    assert {found.dtype, row.dtype, told.dtype} == {np.dtype(np.int32)}
    assert told.tolist() == [308, 1, 200, 205, 202]


def test_tags_say_where_segments_begin_and_what_is_in_none() -> None:
    parts = [SegmentPart(0, 0, 1, 0), SegmentPart(0, 2, 4, 1), SegmentPart(0, 4, 5, 2)]
    row = tagged(np.arange(10, 16, dtype=np.int32), parts, VOCABULARY)
    assert (row % VOCABULARY.size).tolist() == [0, 10, 11, 12, 13, 14, 15, 2]
    expected = [BEGIN, OUTSIDE, BEGIN, INSIDE, BEGIN, OUTSIDE, OUTSIDE, OUTSIDE]
    assert (row // VOCABULARY.size).tolist() == expected


def test_the_example_in_the_docstring() -> None:
    rows = [
        tagged(np.array([7, 8, 9], np.int32), [SegmentPart(0, 1, 4, 0)], VOCABULARY),
        tagged(np.array([5], np.int32), [SegmentPart(0, 1, 2, 0)], VOCABULARY),
    ]
    sent = [200, 107, 8, 9, 202, 200, 105, 202, 201, 201]
    assert concatenated(rows, VOCABULARY, request=1).tolist() == [309, 2, *sent]
    assert concatenated(rows, VOCABULARY, request=None).tolist() == sent


def test_padding_is_in_no_segment() -> None:
    batch = concatenated([np.array([5, 6, 7]), np.array([8])], VOCABULARY, request=None)
    padding = OUTSIDE * VOCABULARY.size + VOCABULARY.pad_id
    assert batch.tolist() == [5, 6, 7, 8, padding, padding]


def test_the_text_is_the_codes_of_tagged_ids() -> None:
    ids = np.array([0, 299, 101, 7], dtype=np.int32)
    text = as_text(ids, words=code_words(VOCABULARY.n_tagged))
    assert [codes.decode(word) for word in text.split()] == ids.tolist()
    assert text.startswith(" ")  # which makes the first word's space a part of it, for a byte-level BPE


def test_a_window_is_read_with_what_stands_before_and_behind_it() -> None:
    """The parts move behind what stands before, but for the first special piece."""
    pair = PairIds(before=np.array([50, 51, 2], np.int32), behind=np.array([2, 60], np.int32))
    parts = [SegmentPart(0, 0, 1, 0), SegmentPart(0, 2, 4, 1)]
    row = tagged(np.array([10, 11, 12], np.int32), parts, VOCABULARY, pair=pair)
    assert (row % VOCABULARY.size).tolist() == [0, 50, 51, 2, 10, 11, 12, 2, 60, 2]
    assert (row // VOCABULARY.size).tolist() == [BEGIN, *[OUTSIDE] * 4, BEGIN, INSIDE, *[OUTSIDE] * 3]


def test_tags_have_room_among_the_codes_up_to_a_limit() -> None:
    most = (codes.MAX_IDS - HOST_IDS) // SEGMENT_TAGS
    fits = Vocabulary(size=most, cls_id=0, sep_id=2, pad_id=1)
    assert codes.decode(codes.encode(fits.n_tagged + HOST_IDS - 1)) == fits.n_tagged + HOST_IDS - 1
    with pytest.raises(OptionError, match="transport codes can carry"):
        Vocabulary(size=most + 1, cls_id=0, sep_id=2, pad_id=1)
