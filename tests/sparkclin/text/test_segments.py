"""The plan of pooling, against what it means: every piece once, in the window that owns it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkclin.errors import OptionError
from sparkclin.text.pieces import NO_WORD, Ints, Pieces
from sparkclin.text.segments import SegmentPart, SegmentPlan, check_pooling, plan_segments, sliced
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.text.windows import cut, own


def note_of(
    n_pieces: int, *, max_pieces: int, stride: int, sentences: list[tuple[int, int]] | None = None
) -> TokenizedNote:
    """Pieces of one character with a space between: piece k is at 2 k … 2 k + 1."""
    begins = 2 * np.arange(n_pieces, dtype=np.int32)
    return TokenizedNote(
        Pieces(ids=begins, begins=begins, ends=begins + 1, words=np.arange(n_pieces, dtype=np.int32)),
        windows=cut(n_pieces, max_pieces, stride),
        sentences=sentences or [],
    )


def with_words(note: TokenizedNote, words: Ints) -> TokenizedNote:
    return replace(note, pieces=replace(note.pieces, words=words))


def pieces_of(part: SegmentPart, note: TokenizedNote) -> list[int]:
    """Indices of the note's pieces in a part."""
    begin = note.windows[part.window][0]
    return [begin + position - 1 for position in range(part.begin, part.end)]


sizes = st.tuples(st.integers(1, 60), st.integers(2, 12)).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.just(pair[1]), st.integers(0, pair[1] - 1))
)


@given(sizes)
def test_a_document_has_every_piece_once_from_its_owner(size: tuple[int, int, int]) -> None:
    n_pieces, max_pieces, stride = size
    note = note_of(n_pieces, max_pieces=max_pieces, stride=stride)
    made = plan_segments(note, level="document", pooling="mean")
    assert made.segments == [(0, 2 * n_pieces - 1)]
    assert [piece for part in made.parts for piece in pieces_of(part, note)] == list(range(n_pieces))
    owners = own(cut(n_pieces, max_pieces, stride))
    assert all(
        owners[part.window].own_begin <= piece < owners[part.window].own_end
        for part in made.parts
        for piece in pieces_of(part, note)
    )


@given(sizes, st.lists(st.integers(0, 120), max_size=8))
def test_sentences_have_the_pieces_that_begin_in_them(size: tuple[int, int, int], cuts: list[int]) -> None:
    n_pieces, max_pieces, stride = size
    edges = [0, *sorted(min(cut, 2 * n_pieces) for cut in cuts), 2 * n_pieces]
    sentences = list(pairwise(edges))
    note = note_of(n_pieces, max_pieces=max_pieces, stride=stride, sentences=sentences)
    made = plan_segments(note, level="sentence", pooling="max")
    found: list[list[int]] = [[] for _ in sentences]
    for part in made.parts:
        found[part.segment] += pieces_of(part, note)
    assert found == [[k for k in range(n_pieces) if begin <= 2 * k < end] for begin, end in sentences]
    assert [(part.window, part.begin) for part in made.parts] == sorted((p.window, p.begin) for p in made.parts)


@given(sizes, st.data())
def test_tokens_have_the_pieces_of_their_words(size: tuple[int, int, int], data: st.DataObject) -> None:
    n_pieces, max_pieces, stride = size
    note = note_of(n_pieces, max_pieces=max_pieces, stride=stride)
    steps = data.draw(st.lists(st.integers(0, 1), min_size=n_pieces, max_size=n_pieces))
    blank = np.array(data.draw(st.lists(st.booleans(), min_size=n_pieces, max_size=n_pieces)))
    note = with_words(note, np.where(blank, NO_WORD, np.cumsum(steps)).astype(np.int32))
    words: dict[int, list[int]] = {}
    for piece in np.flatnonzero(~blank).tolist():
        words.setdefault(int(note.pieces.words[piece]), []).append(piece)
    owners = own(cut(n_pieces, max_pieces, stride))
    for pooling, expected in (("mean", list(words.values())), ("first", [pieces[:1] for pieces in words.values()])):
        made = plan_segments(note, level="token", pooling=pooling)
        assert made.segments == [(2 * pieces[0], 2 * pieces[-1] + 1) for pieces in words.values()]
        found: list[list[int]] = [[] for _ in expected]
        for part in made.parts:
            pieces = pieces_of(part, note)
            assert all(owners[part.window].own_begin <= piece < owners[part.window].own_end for piece in pieces)
            found[part.segment] += pieces
        assert found == expected
        assert [(part.window, part.begin) for part in made.parts] == sorted((p.window, p.begin) for p in made.parts)


def test_a_word_is_one_part_unless_something_comes_between() -> None:
    note = note_of(8, max_pieces=6, stride=2)
    note = with_words(note, np.array([0, 0, NO_WORD, 0, 1, 1, 2, 2], np.int32))
    made = plan_segments(note, level="token", pooling="mean")
    assert made.segments == [(0, 7), (8, 11), (12, 15)]
    assert made.parts == [
        SegmentPart(0, 1, 3, 0),
        SegmentPart(0, 4, 5, 0),
        SegmentPart(0, 5, 6, 1),
        SegmentPart(1, 2, 3, 1),
        SegmentPart(1, 3, 5, 2),
    ]


def test_a_window_has_all_its_pieces_overlaps_included() -> None:
    note = note_of(10, max_pieces=6, stride=2)
    made = plan_segments(note, level="window", pooling="mean")
    assert made.segments == [(0, 11), (8, 19)]
    assert [pieces_of(part, note) for part in made.parts] == [list(range(6)), list(range(4, 10))]


def test_cls_is_position_0_of_each_window() -> None:
    note = note_of(10, max_pieces=6, stride=2)
    assert plan_segments(note, level="document", pooling="cls").parts == [
        SegmentPart(0, 0, 1, 0),
        SegmentPart(1, 0, 1, 0),
    ]
    assert plan_segments(note, level="window", pooling="cls").parts == [
        SegmentPart(0, 0, 1, 0),
        SegmentPart(1, 0, 1, 1),
    ]


def test_cls_of_sentences_needs_windows_of_one_sentence_each() -> None:
    note = note_of(10, max_pieces=6, stride=2, sentences=[(0, 5), (5, 20)])
    with pytest.raises(OptionError, match="context sentence"):
        plan_segments(note, level="sentence", pooling="cls")


def test_no_pieces_no_segments() -> None:
    made = plan_segments(note_of(0, max_pieces=6, stride=2), level="document", pooling="mean")
    assert (made.segments, made.parts) == ((), ())


@given(st.integers(0, 60), st.sampled_from([(6, 2), (9, 0), (12, 5)]), st.integers(1, 9))
def test_slices_of_a_plan_have_all_its_segments_and_parts_once(n_pieces: int, size: tuple[int, int], most: int) -> None:
    note = note_of(n_pieces, max_pieces=size[0], stride=size[1])
    plan = plan_segments(note, level="token", pooling="mean")
    slices = list(sliced(plan, most_parts=most))
    assert [segment for each in slices for segment in each.segments] == list(plan.segments)
    assert [replace(part, segment=part.segment + each.first) for each in slices for part in each.parts] == list(
        plan.parts
    )
    assert [each.first for each in slices] == [sum(len(s.segments) for s in slices[:i]) for i in range(len(slices))]
    assert all(most <= len(each.parts) for each in slices[:-1])
    assert all(len(each.parts) <= 2 * most + 1 for each in slices)


def sizes_of_slices(segments: str, windows: str, *, most: int) -> list[int]:
    """How many parts each slice has of a plan whose parts are of these segments and windows, a digit each."""
    parts = [SegmentPart(int(w), 1, 2, int(s)) for s, w in zip(segments, windows, strict=True)]
    plan = SegmentPlan([(0, 1)] * (1 + int(max(segments))), parts)
    return [len(each.parts) for each in sliced(plan, most_parts=most)]


@pytest.mark.parametrize(
    ("segments", "windows", "most", "sizes"),
    [
        ("0123456789", "0000000000", 2, [4, 4, 2]),  # twice as many, where no window ends
        ("0123456789", "0000011111", 3, [5, 5]),  # at the end of a window
        ("0123456789", "0001111111", 3, [3, 6, 1]),
        ("0123456789", "0011111111", 3, [6, 4]),  # too few for a slice there
        ("0011223344", "0001111111", 3, [6, 4]),  # in the middle of a segment
        ("0000011111", "0000000000", 1, [5, 5]),
        ("0123", "0000", 2, [4]),
        ("0", "0", 1, [1]),
    ],
)
def test_a_slice_ends_with_a_window_or_when_it_is_twice_as_long(
    segments: str, windows: str, most: int, sizes: list[int]
) -> None:
    assert sizes_of_slices(segments, windows, most=most) == sizes


def test_a_plan_that_is_not_cut_is_itself() -> None:
    plan = SegmentPlan([(0, 1), (2, 3)], [SegmentPart(0, 1, 2, 0)])
    assert list(sliced(plan, most_parts=1)) == [plan]
    assert plan.first == 0


def test_segments_without_parts_stay_with_the_slice_before() -> None:
    parts = [SegmentPart(0, 1, 2, 0), SegmentPart(1, 1, 2, 2)]
    first, second = sliced(SegmentPlan([(0, 1), (2, 3), (4, 5), (6, 7)], parts), most_parts=1)
    assert (first.segments, first.parts, first.first) == ([(0, 1), (2, 3)], parts[:1], 0)
    assert (second.segments, second.parts, second.first) == ([(4, 5), (6, 7)], [SegmentPart(1, 1, 2, 0)], 2)


def test_cls_of_sentences_is_that_of_their_own_windows() -> None:
    """The second sentence has two windows, and the third no piece."""
    note = note_of(7, max_pieces=9, stride=0, sentences=[(0, 5), (5, 11), (11, 12), (12, 14)])
    note = replace(note, windows=((0, 3), (3, 5), (4, 6), (6, 7)))
    made = plan_segments(note, level="sentence", pooling="cls")
    assert made.segments == note.sentences
    assert made.parts == [
        SegmentPart(0, 0, 1, 0), SegmentPart(1, 0, 1, 1), SegmentPart(2, 0, 1, 1), SegmentPart(3, 0, 1, 3),
    ]  # fmt: skip


def test_cls_of_sentences_needs_a_sentence_for_every_window() -> None:
    note = note_of(4, max_pieces=2, stride=0, sentences=[(4, 8)])
    with pytest.raises(OptionError, match="not of one sentence each"):
        plan_segments(note, level="sentence", pooling="cls")


def test_a_part_is_as_long_as_its_positions() -> None:
    assert len(SegmentPart(3, 2, 7, 1)) == 5


@pytest.mark.parametrize(
    ("level", "poolings"),
    [(level, ["mean", "cls", "max", "mean_max"]) for level in ("document", "window", "sentence")]
    + [("token", ["mean", "first"]), ("page", [])],
)
def test_each_level_has_its_poolings(level: str, poolings: list[str]) -> None:
    for pooling in ("mean", "cls", "max", "mean_max", "first", "sum"):
        if pooling in poolings:
            check_pooling(level, pooling)
        else:
            with pytest.raises(OptionError, match=f"no vectors of level '{level}' with pooling '{pooling}'"):
                check_pooling(level, pooling)


def test_an_error_names_the_levels_and_poolings_that_there_are() -> None:
    with pytest.raises(
        OptionError, match=r"document, window, sentence, token, and at level token .* poolings mean, fir"
    ):
        check_pooling("token", "max")
