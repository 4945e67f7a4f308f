"""Answers of logits, against the expected ones of transformers' last pipeline for questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparkclin.errors import OptionError
from sparkclin.text.answers import NO_ANSWER, Answer, AnswerOptions, best_answers, merge_answers, plan_answers
from sparkclin.text.pieces import Pieces
from sparkclin.text.pooling import PartOutput
from sparkclin.text.tokenization import TokenizedNote

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
