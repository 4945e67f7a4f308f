"""Sentence annotations become ranges of code points that read as the sentences do."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sparkclin.sentences import Sentence, locate, n_outside

sentences_of_a_note = st.lists(st.tuples(st.sampled_from(["", " ", "\n\n"]), st.text("aé😀.e\u0301 \n", min_size=1)))


def annotated(parts: list[tuple[str, str]]) -> tuple[str, list[Sentence], list[tuple[int, int]]]:
    """A note made of (gap, sentence) parts, the annotations of a faultless detector, and the ranges in code points."""
    text, annotations, ranges = "", [], []
    for gap, sentence in parts:
        text += gap
        begin = len(text.encode("utf-16-le")) // 2
        ranges.append((len(text), len(text) + len(sentence)))
        text += sentence
        annotations.append(Sentence(begin, len(text.encode("utf-16-le")) // 2 - 1, sentence))
    return text, annotations, ranges


@given(sentences_of_a_note)
def test_utf16_offsets_become_code_points(parts: list[tuple[str, str]]) -> None:
    text, annotations, ranges = annotated(parts)
    located = locate(text, annotations)
    assert located.ranges == tuple(ranges)
    assert located.n_missing == 0


@given(sentences_of_a_note, st.lists(st.integers(-3, 40)))
def test_wrong_offsets_are_made_good(parts: list[tuple[str, str]], shifts: list[int]) -> None:
    text, annotations, _ = annotated(parts)
    shifted = [
        Sentence(sentence.begin + shift, sentence.end + shift, sentence.text)
        for sentence, shift in zip(annotations, [*shifts, *[0] * len(annotations)], strict=False)
    ]
    ranges = locate(text, shifted).ranges
    assert all(text[begin:end] in {sentence.text for sentence in annotations} for begin, end in ranges)
    assert all(first[1] <= second[0] for first, second in pairwise(ranges))


def test_a_repeated_sentence_is_looked_for_behind_the_one_before() -> None:
    twice_at_the_first = [Sentence(0, 2, "No."), Sentence(0, 2, "No."), Sentence(0, 2, "No.")]
    assert locate("No. No. No.", twice_at_the_first).ranges == ((0, 3), (4, 7), (8, 11))


def test_a_sentence_that_the_note_has_not_is_counted() -> None:
    located = locate("Fever  and chills.", [Sentence(0, 16, "Fever and chills."), Sentence(7, 9, "and")])
    assert located.n_missing == 1
    assert located.ranges == ((7, 10),)


def test_sentences_without_text_are_left_out() -> None:
    assert locate("Fever.", [Sentence(0, -1, ""), Sentence(0, 5, "Fever.")]).ranges == ((0, 6),)


def test_text_outside_of_sentences_is_counted_but_for_white_space_and_control_characters() -> None:
    assert n_outside(" ab \x00 cd\n", [(1, 3), (6, 8)]) == 0
    assert n_outside("x ab y cd z😀", [(2, 4), (7, 9)]) == 4
    assert n_outside("abc", []) == 3
