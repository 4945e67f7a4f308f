"""Sentences of both splitters are ranges of code points that cover every visible character once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkclin.errors import OptionError
from sparkclin.text import sentences
from sparkclin.text.pieces import WHITE_SPACE
from sparkclin.text.sentences import (
    LONGEST_BLOCK,
    Sentence,
    check_splitter,
    cover_annotations,
    locate,
    split_sentences,
)

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
    ranges = cover_annotations(text, [sentence for sentence, keep in zip(annotations, kept, strict=False) if keep])
    inside = {place for begin, end in ranges for place in range(begin, end)}
    assert all(text[place] in WHITE_SPACE for place in set(range(len(text))) - inside)
    assert all(first[1] <= second[0] for first, second in pairwise(ranges))


def test_what_a_detector_left_out_is_a_sentence_of_its_own() -> None:
    assert cover_annotations("Seen. \x00 Fever.\n", [Sentence(0, 4, "Seen."), Sentence(8, 13, "Fever.")]) == (
        (0, 5),
        (6, 7),
        (8, 14),
    )
    assert cover_annotations(" Fever. ", []) == ((1, 7),)
    assert cover_annotations(" \n", []) == ()


CLINICAL = [
    ["Seen by Dr. Smith at 3 p.m. on the ward.", "He was comfortable."],
    ["Temp was 98.6 and Cr 1.4.", "Aspirin 81 mg q.d. was continued, i.e. as before.", "No changes."],
    ["MEDICATIONS:\n", "1. Aspirin 81 mg q.d.\n", "2. Metoprolol 12.5 mg p.o. b.i.d.\n\n", "PLAN: Home."],
    ["HISTORY OF PRESENT ILLNESS\n", "A man of 57 😀 years,\nwho denies pain.", "Was there any fever?", "No."],
]


@pytest.mark.parametrize("expected", CLINICAL, ids=lambda expected: expected[0].strip())
def test_clinical_text_is_split_into_sentences(expected: list[str]) -> None:
    text = " ".join(expected).replace("\n ", "\n")
    assert [text[begin:end] for begin, end in split_sentences(text)] == [sentence.strip() for sentence in expected]


@given(st.text("aé😀.?!1) \n\t\r\x1c\u2028-", max_size=60))
def test_every_visible_character_is_in_exactly_one_sentence(text: str) -> None:
    ranges = split_sentences(text)
    inside = [place for begin, end in ranges for place in range(begin, end)]
    assert len(inside) == len(set(inside))
    assert all(text[place] in WHITE_SPACE for place in set(range(len(text))) - set(inside))
    assert list(ranges) == sorted(ranges)


LONG = 8 * LONGEST_BLOCK
HARD = {
    "sentences": "He was seen. No fever was found.  ",
    "no full stop": "the patient was seen ",
    "one word": "x",
    "line breaks": "\n",
    "blank lines": " \n\t\n",
    "lines": "BP 120/80\n",
    "white space": "a" + " " * 3_000,
    "marks": "?!",
}


@pytest.mark.parametrize("repeated", HARD.values(), ids=HARD.keys())
def test_the_work_grows_with_the_length_of_a_note(monkeypatch: pytest.MonkeyPatch, repeated: str) -> None:
    """The library reads blocks of a bounded length, without blank lines, and hardly any character twice."""
    read: list[str] = []
    library = sentences._nupunkt()

    class Counting:
        def iter_spans(self, text: str, *, line_breaks: bool) -> Iterator[tuple[int, int]]:
            read.append(text)
            yield from library.iter_spans(text, line_breaks=line_breaks)

    monkeypatch.setattr(sentences, "_nupunkt", Counting)
    text = repeated * (LONG // len(repeated))
    split_sentences(text)
    assert max(map(len, read), default=0) <= LONGEST_BLOCK
    assert sum(map(len, read)) <= 1.5 * len(text)
    assert not any("\n\n" in block for block in read)


def test_a_sentence_goes_on_behind_a_block() -> None:
    filler = "No fever was found. " * (LONGEST_BLOCK // 20 - 1)
    text = f"{filler}He went home with the medicines that he had before. Well."
    assert [text[begin:end] for begin, end in split_sentences(text)][-2:] == [
        "He went home with the medicines that he had before.",
        "Well.",
    ]


def test_another_splitter_is_refused() -> None:
    with pytest.raises(OptionError, match="unknown sentence splitter 'pysbd': expected one of nupunkt, spark_nlp"):
        check_splitter("pysbd")
