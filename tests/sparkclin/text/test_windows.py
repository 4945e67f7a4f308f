"""Windows cover every piece, overlap as asked, and each piece has one owner, by the definitions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkclin.errors import OptionError
from sparkclin.text.windows import MOST_SHARED, Window, WindowOptions, cut, default_stride, own


@st.composite
def options(draw: st.DrawFn) -> tuple[int, int, int]:
    max_pieces = draw(st.integers(1, 60))
    return draw(st.integers(0, 300)), max_pieces, draw(st.integers(0, max_pieces - 1))


def owner_by_definition(piece: int, windows: tuple[Window, ...]) -> int:
    """The window where the piece is farthest from the nearest edge; the earliest of equals."""
    distances = {
        index: min(piece - window.begin, window.end - 1 - piece)
        for index, window in enumerate(windows)
        if window.begin <= piece < window.end
    }
    return max(distances, key=lambda index: (distances[index], -index))


@given(options())
def test_windows_begin_every_max_pieces_less_stride_and_end_with_the_note(case: tuple[int, int, int]) -> None:
    n_pieces, max_pieces, stride = case
    windows = own(cut(*case))
    assert [w.begin for w in windows] == [i * (max_pieces - stride) for i in range(len(windows))]
    assert all(w.end == min(w.begin + max_pieces, n_pieces) for w in windows)
    assert [w.end == n_pieces for w in windows] == [False] * (len(windows) - 1) + [True] * bool(n_pieces)


@given(options())
def test_neighbours_share_exactly_stride_pieces(case: tuple[int, int, int]) -> None:
    assert all(first.end - second.begin == case[2] for first, second in pairwise(own(cut(*case))))


@given(options())
def test_every_piece_is_owned_once_by_the_window_where_it_is_farthest_from_an_edge(case: tuple[int, int, int]) -> None:
    windows = own(cut(*case))
    owners = [index for index, window in enumerate(windows) for _ in range(window.own_begin, window.own_end)]
    assert owners == [owner_by_definition(piece, windows) for piece in range(case[0])]
    assert all(w.begin <= w.own_begin <= w.own_end <= w.end for w in windows)


def test_a_note_of_9000_pieces() -> None:
    assert own(cut(9000, 4094, 512)) == (
        Window(0, 4094, 0, 3838),
        Window(3582, 7676, 3838, 7420),
        Window(7164, 9000, 7420, 9000),
    )


def test_windows_of_different_sentences_own_all_of_theirs() -> None:
    windows = own([(0, 5), (5, 9), (7, 11), (11, 12)])
    assert [(w.own_begin, w.own_end) for w in windows] == [(0, 5), (5, 8), (8, 11), (11, 12)]


@pytest.mark.parametrize(("max_pieces", "stride"), [(0, 0), (-1, 0), (5, 5), (5, 6), (5, -1)])
def test_options_that_cannot_be(max_pieces: int, stride: int) -> None:
    with pytest.raises(OptionError, match=f"max_pieces is {max_pieces} and stride {stride}"):
        cut(10, max_pieces, stride)


@pytest.mark.parametrize(("max_pieces", "stride"), [(4094, 512), (8190, 512), (510, 64), (60, 8), (1, 0)])
def test_windows_share_an_eighth_where_nobody_says_how_much(max_pieces: int, stride: int) -> None:
    assert default_stride(max_pieces) == stride
    cut(10, max_pieces, stride)


def test_no_windows_own_nothing() -> None:
    assert own([]) == own(cut(0, 5, 2)) == ()


@pytest.mark.parametrize("n_pieces", [1, 2, 3, 4])
def test_a_note_of_up_to_a_window_is_one(n_pieces: int) -> None:
    assert cut(n_pieces, 4, 3) == ((0, n_pieces),)
    assert cut(5, 4, 3) == ((0, 4), (1, 5))


def test_half_of_a_piece_is_rounded_to_the_even_number() -> None:
    assert [default_stride(n) for n in (4, 12, 20)] == [0, 2, 2]
    assert MOST_SHARED == default_stride(8 * 512) == 512


def test_options_of_windows_have_defaults_and_smallest_values() -> None:
    options = WindowOptions(max_pieces=1, stride=0, max_note_pieces=1)
    assert options.context == "note"
    assert WindowOptions(max_pieces=1, stride=0).max_note_pieces is None
    assert WindowOptions(max_pieces=1, stride=0, context="sentence").context == "sentence"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"stride": 4}, "max_pieces is 4 and stride 4"),
        ({"stride": -1}, "max_pieces is 4 and stride -1"),
        ({"max_note_pieces": 0}, "max_note_pieces is 0: expected 1 or more"),
        ({"context": "page"}, "there is no context 'page' of windows: expected one of note, sentence"),
    ],
)
def test_options_of_windows_that_cannot_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        WindowOptions(**{"max_pieces": 4, "stride": 0, **given})
