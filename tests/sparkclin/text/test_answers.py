"""Answers of logits, against the expected ones of transformers' last pipeline for questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparkclin.errors import OptionError
from sparkclin.text.answers import NO_ANSWER, Answer, AnswerOptions, best_answers, merge_answers, plan_answers
from sparkclin.text.pieces import NO_WORD, Pieces
from sparkclin.text.pooling import PartOutput
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.text.windows import Range

MADE = json.loads(Path(__file__).with_name("answers_of_transformers.json").read_text(encoding="utf-8"))
"""`expected` is what `postprocess()` of transformers 4.57.1 gave (pipelines/question_answering.py, Apache 2.0) for
random logits of a text whose words are one piece each."""


def pieces_of(text: str) -> Pieces:
    """A piece per word."""
    words = text.split(" ")
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    begins = ends - [len(word) for word in words]
    numbers = np.arange(len(words))
    return Pieces(*(column.astype(np.int32) for column in (numbers, begins, ends, numbers)))


@pytest.mark.parametrize("case", MADE["cases"], ids=range(len(MADE["cases"])))
def test_answers_are_those_of_transformers(case: dict[str, Any]) -> None:
    text = MADE["text"]
    note = TokenizedNote(pieces_of(text), tuple(map(tuple, case["windows"])), (), text=text)
    options = AnswerOptions(
        answers=case["top_k"],
        max_answer_pieces=case["max_answer_len"],
        may_be_missing=case["handle_impossible_answer"],
    )
    plan = plan_answers(note)
    logits = [np.array(numbers) for window in case["logits"] for numbers in window]
    parts = [PartOutput(part.segment, 1, numbers) for part, numbers in zip(plan.parts, logits, strict=True)]
    merged = merge_answers(plan.segments, parts[::-1], options=options)  # parts come in the order of packed batches
    candidates = [Answer(begin=m.begin, end=m.end, score=float(m.vector[0])) for m in merged if m.vector is not None]
    found = best_answers(text, candidates, options=options)
    expected = [
        (*(NO_ANSWER if entry["answer"] == "" else (entry["start"], entry["end"])), entry["score"])
        for entry in case["expected"]
    ]
    assert [(answer.begin, answer.end) for answer in found] == [(begin, end) for begin, end, _ in expected]
    np.testing.assert_allclose([answer.score for answer in found], [score for *_, score in expected], rtol=1e-5)


def test_an_answer_is_of_whole_words() -> None:
    """Of `un-known cause` in three pieces, the answer from the second to the third begins with the word."""
    columns = ([5, 6, 7], [0, 3, 9], [3, 8, 14], [0, 0, 1])
    pieces = Pieces(*(np.array(column, np.int32) for column in columns))
    plan = plan_answers(TokenizedNote(pieces, ((0, 3),), ()))
    assert plan.segments == [NO_ANSWER, (0, 8), (0, 8), (9, 14)]
    numbers = [np.array(pair, float) for pair in ([0, 0], [0, 0], [9, 0], [0, 9])]
    merged = merge_answers(
        plan.segments,
        [PartOutput(index, 1, pair) for index, pair in enumerate(numbers)],
        options=AnswerOptions(),
    )
    assert (merged[0].begin, merged[0].end) == (0, 14)


def test_a_note_without_windows_has_no_answers() -> None:
    assert merge_answers((), (), options=AnswerOptions(may_be_missing=True)) == []


def test_numbers_below_1_are_refused() -> None:
    with pytest.raises(OptionError, match="answers is 0, expected at least 1; max_answer_pieces is -1"):
        AnswerOptions(answers=0, max_answer_pieces=-1)


def logits_of(*windows: tuple[Sequence[float], Sequence[float]]) -> list[PartOutput]:
    """The outputs of windows in turn, each given as the probabilities of begins and of ends at its positions."""
    pairs = [pair for begins, ends in windows for pair in zip(np.log(begins), np.log(ends), strict=True)]
    return [PartOutput(index, 1, np.array(pair)) for index, pair in enumerate(pairs)]


def merged(note: TokenizedNote, parts: Sequence[PartOutput], **options: int) -> list[tuple[int, int, Any]]:
    found = merge_answers(plan_answers(note).segments, parts, options=AnswerOptions(**options))  # type: ignore[arg-type]
    return [(m.begin, m.end, pytest.approx(float(m.vector[0]))) for m in found if m.vector is not None]


def test_every_position_of_every_window_is_asked_for() -> None:
    """The first special piece of each, and the pieces that two windows share in both."""
    note = TokenizedNote(pieces_of("no fever or cough"), ((0, 3), (2, 4)), ())
    plan = plan_answers(note)
    assert plan.segments == [NO_ANSWER, (0, 2), (3, 8), (9, 11), NO_ANSWER, (9, 11), (12, 17)]
    assert [(part.window, part.begin, part.end, part.segment) for part in plan.parts] == [
        (0, 0, 1, 0), (0, 1, 2, 1), (0, 2, 3, 2), (0, 3, 4, 3), (1, 0, 1, 4), (1, 1, 2, 5), (1, 2, 3, 6),
    ]  # fmt: skip


def test_a_word_is_whole_within_its_window_and_a_piece_of_white_space_is_by_itself() -> None:
    """`un-known` is in three pieces, of which the second window has the last."""
    columns = (range(5), [0, 2, 3, 8, 9], [2, 3, 8, 9, 14], [0, 0, 0, NO_WORD, 1])
    pieces = Pieces(*(np.array(column, np.int32) for column in columns))
    plan = plan_answers(TokenizedNote(pieces, ((0, 3), (2, 5)), ()))
    assert plan.segments == [NO_ANSWER, (0, 8), (0, 8), (0, 8), NO_ANSWER, (3, 8), (8, 9), (9, 14)]
    assert pieces.begins.tolist() == columns[1]  # nothing is written over


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_no_answer_is_as_probable_as_in_the_window_where_it_is_least(order: tuple[int, ...]) -> None:
    note = TokenizedNote(pieces_of("a b c"), ((0, 1), (1, 2), (2, 3)), ())
    windows = [((0.5, 0.5), (0.25, 0.75)), ((0.25, 0.75), (0.2, 0.8)), ((0.75, 0.25), (0.9, 0.1))]
    parts = logits_of(*(windows[index] for index in order))
    assert [(begin, end) for begin, end, _ in merged(note, parts)] == [(0, 1), (2, 3), (4, 5)]
    scores = [score for *_, score in merged(note, parts)]
    assert scores == [[0.375, 0.6, 0.025][index] for index in order]
    assert merged(note, parts, may_be_missing=True)[3:] == [(*NO_ANSWER, 0.05)]


def test_a_window_of_one_word_has_one_answer_however_many_are_wanted() -> None:
    """Spans from or to the first special piece, or beyond the window, are none."""
    note = TokenizedNote(pieces_of("fever"), ((0, 1),), ())
    assert merged(note, logits_of(((0.5, 0.5), (0.5, 0.5))), answers=5) == [(0, 5, 0.25)]


def test_an_answer_does_not_go_on_in_the_next_window() -> None:
    note = TokenizedNote(pieces_of("a b"), ((0, 1), (1, 2)), ())
    parts = logits_of(((0.1, 0.9), (0.1, 0.9)), ((0.2, 0.8), (0.2, 0.8)))
    assert merged(note, parts, answers=5) == [(0, 1, 0.81), (2, 3, 0.64)]


@pytest.mark.parametrize(("most", "expected"), [(1, [(0, 1), (2, 3)]), (2, [(0, 1), (0, 3), (2, 3)])])
def test_an_answer_has_so_many_pieces_at_most(most: int, expected: list[Range]) -> None:
    note = TokenizedNote(pieces_of("a b"), ((0, 2),), ())
    found = merged(note, logits_of(((0.2, 0.5, 0.3), (0.2, 0.4, 0.4))), max_answer_pieces=most, answers=5)
    assert sorted((begin, end) for begin, end, _ in found) == expected


def test_the_best_spans_of_a_window_are_taken_best_first() -> None:
    """Of 105 spans of a window 12 are candidates of one answer, as in transformers."""
    note = TokenizedNote(pieces_of(" ".join("abcdefghijklmn")), ((0, 14),), ())
    begins = [0.0001, *np.arange(1, 15) / 105.02]
    ends = [0.0001, *np.arange(1, 15) / 105.02]
    found = merged(note, logits_of((begins, ends)))
    every = sorted((-(i + 1) * (j + 1) / 105.02**2, 2 * i, 2 * j + 1) for i in range(14) for j in range(i, 14))
    norm = sum(begins) * sum(ends)
    assert len(found) == AnswerOptions().candidates == 12
    assert [score for *_, score in found] == [-score / norm for score, *_ in every[:12]]


def test_the_number_of_candidates_grows_with_that_of_answers() -> None:
    assert AnswerOptions(answers=3).candidates == 16


def test_answers_with_the_same_text_are_one_where_the_first_stands() -> None:
    """By lower case, and without white space at the ends; one of white space only is none."""
    text = "Fever, cough. fever\n ok"
    spans = [(0, 5, 0.2), (7, 12, 0.3), (13, 20, 0.3), (19, 21, 0.9), (21, 23, 0.1)]
    candidates = [Answer(begin=begin, end=end, score=score) for begin, end, score in spans]
    missing = Answer(begin=-1, end=-1, score=0.25)
    found = best_answers(text, [*candidates, missing], options=AnswerOptions(answers=9, may_be_missing=True))
    assert [(each.begin, each.end) for each in found] == [(0, 5), (7, 12), (-1, -1), (21, 23)]
    assert [each.score for each in found] == pytest.approx([0.5, 0.3, 0.25, 0.1])
    assert best_answers(text, candidates, options=AnswerOptions(answers=2)) == found[:2]


def test_one_answer_of_up_to_15_pieces_is_wanted_if_nothing_is_said() -> None:
    assert AnswerOptions() == AnswerOptions(answers=1, max_answer_pieces=15, may_be_missing=False)


def test_options_that_are_1_are_taken() -> None:
    assert AnswerOptions(answers=1, max_answer_pieces=1).candidates == 12
