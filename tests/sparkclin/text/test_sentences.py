"""Sentence annotations become ranges of code points that read as the sentences do."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sparkclin.text.pieces import WHITE_SPACE
from sparkclin.text.sentences import Sentence, cover, locate

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
    assert locate(text, annotations) == tuple(ranges)


@given(sentences_of_a_note, st.lists(st.integers(-3, 40)))
def test_wrong_offsets_are_made_good(parts: list[tuple[str, str]], shifts: list[int]) -> None:
    text, annotations, _ = annotated(parts)
    shifted = [
        Sentence(sentence.begin + shift, sentence.end + shift, sentence.text)
        for sentence, shift in zip(annotations, [*shifts, *[0] * len(annotations)], strict=False)
    ]
    ranges = locate(text, shifted)
    assert all(text[begin:end] in {sentence.text for sentence in annotations} for begin, end in ranges)
    assert all(first[1] <= second[0] for first, second in pairwise(ranges))


def test_a_repeated_sentence_is_looked_for_behind_the_one_before() -> None:
    twice_at_the_first = [Sentence(0, 2, "No."), Sentence(0, 2, "No."), Sentence(0, 2, "No.")]
    assert locate("No. No. No.", twice_at_the_first) == ((0, 3), (4, 7), (8, 11))


def test_a_sentence_that_the_note_has_not_is_left_out() -> None:
    sentences = [Sentence(0, 16, "Fever and chills."), Sentence(7, 9, "and")]
    assert locate("Fever  and chills.", sentences) == ((7, 10),)


def test_sentences_without_text_are_left_out() -> None:
    assert locate("Fever.", [Sentence(0, -1, ""), Sentence(0, 5, "Fever.")]) == ((0, 6),)


@given(sentences_of_a_note, st.lists(st.booleans()))
def test_cover_leaves_out_white_space_only(parts: list[tuple[str, str]], kept: list[bool]) -> None:
    text, annotations, _ = annotated(parts)
    ranges = cover(text, [sentence for sentence, keep in zip(annotations, kept, strict=False) if keep])
    inside = {place for begin, end in ranges for place in range(begin, end)}
    assert all(text[place] in WHITE_SPACE for place in set(range(len(text))) - inside)
    assert all(first[1] <= second[0] for first, second in pairwise(ranges))


def test_what_a_detector_left_out_is_a_sentence_of_its_own() -> None:
    assert cover("Seen. \x00 Fever.\n", [Sentence(0, 4, "Seen."), Sentence(8, 13, "Fever.")]) == (
        (0, 5),
        (6, 7),
        (8, 14),
    )
    assert cover(" Fever. ", []) == ((1, 7),)
    assert cover(" \n", []) == ()
