from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sparkclin.errors import InputError
from sparkclin.evaluation.qa import Answer, Question, exact, f1, main, normalized, read_squad, score, score_rows

CONTEXT = "🩺 The patient took aspirin for chest pain."


def answers(*texts: str) -> list[dict[str, Any]]:
    return [{"text": text, "answer_start": CONTEXT.index(text)} for text in texts]


def qa(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "question": "what?", "answers": [], **fields}


ASKED = [qa("1", answers=answers("aspirin", "took aspirin")), qa("2", is_impossible=True, plausible_answers=[])]


def write(file: Path, qas: list[dict[str, Any]]) -> Path:
    content = {"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": CONTEXT, "qas": qas}]}]}
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_questions_are_read(tmp_path: Path) -> None:
    first, second = read_squad(write(tmp_path / "squad.json", ASKED))
    assert first == Question("1", CONTEXT, "what?", (Answer("aspirin", 19), Answer("took aspirin", 14)))
    assert second.answers == ()


@pytest.mark.parametrize(
    ("qas", "message"),
    [
        (
            [qa("7", answers=[{"text": "aspirin", "answer_start": 3}, *answers("took")])],
            r"squad.json: 1 answers do not stand in the context where answer_start says \(the first: question 7\)",
        ),
        ([qa("7", answers=[{"text": "", "answer_start": 3}])], r"1 answers do not stand"),
        ([qa("7"), qa("8", answers=[{"text": "x", "answer_start": 0}])], r"question 8\); 1 questions have no answer"),
        ([qa("7")], r"1 questions have no answer and are not is_impossible \(the first: question 7\)"),
        ([*ASKED, *ASKED], "2 questions have the id of another one"),
        ([], "there is no question"),
        ([{"id": "7"}], "has no 'answers': expected SQuAD's JSON"),
        ([3], "is of another form: expected SQuAD's JSON"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, qas: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_squad(write(tmp_path / "squad.json", qas))
    assert "aspirin" not in str(caught.value)


def test_answers_are_compared_as_the_official_script_does() -> None:
    assert normalized("The  U.S., an-ATHLETE; a") == "us anathlete"
    assert exact("the aspirin.", "Aspirin") == 1.0
    assert f1("took the aspirin", "aspirin") == pytest.approx(2 / 3)
    assert f1("pain pain", "pain") == pytest.approx(2 / 3)
    assert f1("pain pain fever", "pain pain") == pytest.approx(4 / 5)  # every repetition counts
    assert f1("chest pain", "pain in the chest") == pytest.approx(4 / 5)  # the order does not
    assert (exact("chest pain", "pain chest"), exact("aspirin", "")) == (0.0, 0.0)
    assert (f1("aspirin", ""), f1("", "aspirin"), f1("", ""), f1("x", "y")) == (0.0, 0.0, 1.0, 0.0)


def test_of_several_answers_the_best_counts_and_no_answer_may_be_right(tmp_path: Path) -> None:
    questions = read_squad(write(tmp_path / "squad.json", ASKED))
    scored = score(questions, {"1": "took the aspirin today", "2": ""})
    assert (scored.questions, scored.unanswerable, scored.exact) == (2, 1, 0.5)
    assert scored.f1 == pytest.approx((2 * 2 / 5 + 1) / 2)
    assert score(questions, {"1": "took aspirin", "2": "aspirin"}).f1 == 0.5


def found(*rows: tuple[str, int, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["note_id", "rank", "text"])


def test_the_best_row_of_each_question_counts(tmp_path: Path) -> None:
    questions = read_squad(write(tmp_path / "squad.json", ASKED))
    rows = found(("1", 1, "pain"), ("1", 0, "aspirin"), ("2", 0, None), ("2", 1, "pain"))
    assert score_rows(questions, rows).exact == 1.0
    for wrong in (rows[rows["note_id"] == "1"], pd.concat([rows, found(("2", 0, "x"))])):
        with pytest.raises(InputError, match=r"1 of 2 questions have not one row of rank 0 .*question 2\)"):
            score_rows(questions, wrong)


def test_the_command_makes_notes_and_scores_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    squad, notes, answered = (tmp_path / name for name in ("squad.json", "notes.jsonl", "answers.parquet"))
    write(squad, ASKED)
    assert main(["notes", str(squad), "--output", str(notes)]) == 0
    assert [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()] == [
        {"note_id": "1", "text": CONTEXT, "question": "what?"},
        {"note_id": "2", "text": CONTEXT, "question": "what?"},
    ]
    found(("1", 0, "aspirin"), ("2", 0, "pain")).to_parquet(answered)
    assert main(["score", str(answered), str(squad)]) == 0
    assert json.loads(capsys.readouterr().out) == {"questions": 2, "unanswerable": 1, "exact": 0.5, "f1": 0.5}
    write(squad, [])
    assert main(["score", str(answered), str(squad)]) == 1
    assert capsys.readouterr().err.startswith("error: squad.json: there is no question")


def test_an_answer_ends_behind_its_last_character() -> None:
    answer = Answer("aspirin", 19)
    assert CONTEXT[answer.begin : answer.end] == "aspirin"


def test_what_is_given_as_an_answer_to_an_impossible_question_is_none(tmp_path: Path) -> None:
    [question] = read_squad(write(tmp_path / "squad.json", [qa("1", is_impossible=True, answers=answers("aspirin"))]))
    assert question.answers == ()


@pytest.mark.parametrize(
    ("given", "found", "expected"),
    [(("The",), "", 1.0), (("The", "aspirin"), "", 0.0), (("The", "aspirin"), "aspirin", 1.0), (("a.",), "a", 1.0)],
)
def test_an_answer_of_articles_and_punctuation_alone_is_none(
    given: tuple[str, ...], found: str, expected: float
) -> None:
    question = Question("1", CONTEXT, "what?", tuple(Answer(text, 0) for text in given))
    scored = score([question], {"1": found})
    assert (scored.exact, scored.f1, scored.unanswerable) == (expected, expected, 0)
