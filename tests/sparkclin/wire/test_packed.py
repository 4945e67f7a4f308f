"""What a pack is: nothing lost, little padding, marks that say what is pooled."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparkclin.text.segments import Part
from sparkclin.wire import codes
from sparkclin.wire.annotations import code_words
from sparkclin.wire.packed import (
    BEGINS_SPAN,
    CONTINUES_SPAN,
    MAX_PADDING,
    NOT_POOLED,
    PIECES_A_PACK,
    Vocabulary,
    as_text,
    joined,
    marked,
    plan_packs,
)

VOCABULARY = Vocabulary(size=100, cls_id=0, sep_id=2, pad_id=1)


@given(st.lists(st.integers(3, 2 * PIECES_A_PACK), max_size=200))
def test_every_row_is_in_one_pack_and_padding_is_little(lengths: list[int]) -> None:
    packs = list(plan_packs(lengths))
    assert sorted(index for pack in packs for index in pack) == list(range(len(lengths)))
    for pack in packs:
        longest = max(lengths[index] for index in pack)
        size = longest * len(pack)
        assert len(pack) == 1 or size <= PIECES_A_PACK
        assert sum(lengths[index] for index in pack) >= (1 - MAX_PADDING) * size


def test_rows_of_equal_length_fill_packs() -> None:
    full = PIECES_A_PACK // 24
    assert [len(pack) for pack in plan_packs([24] * (2 * full + 5))] == [full, full, 5]


def test_marks_say_where_spans_begin_and_what_is_in_none() -> None:
    row = marked(np.arange(10, 16, dtype=np.int32), [Part(0, 0, 1, 0), Part(0, 2, 4, 1), Part(0, 4, 5, 2)], VOCABULARY)
    assert (row % VOCABULARY.size).tolist() == [0, 10, 11, 12, 13, 14, 15, 2]
    expected = [BEGINS_SPAN, NOT_POOLED, BEGINS_SPAN, CONTINUES_SPAN, BEGINS_SPAN, NOT_POOLED, NOT_POOLED, NOT_POOLED]
    assert (row // VOCABULARY.size).tolist() == expected


def test_padding_is_in_no_span() -> None:
    pack = joined([np.array([5, 6, 7]), np.array([8])], VOCABULARY)
    padding = NOT_POOLED * VOCABULARY.size + VOCABULARY.pad_id
    assert pack.tolist() == [5, 6, 7, 8, padding, padding]


def test_the_text_is_the_codes_of_marked_ids() -> None:
    ids = np.array([0, 299, 101, 7], dtype=np.int32)
    text = as_text(ids, words=code_words(VOCABULARY.n_marked))
    assert [codes.decode(word) for word in text.split()] == ids.tolist()
    assert text.startswith(" ")  # which makes the first word's space a part of it, for a byte-level BPE
