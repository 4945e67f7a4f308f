"""MedConceptsQA on made questions in the published layout, with vectors whose nearest can be told by eye."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sparkclin.errors import InputError
from sparkclin.evaluation.medconceptsqa import (
    LETTERS,
    Question,
    Vectors,
    evaluate,
    main,
    read_questions,
    sample,
    stem_of,
    wilson,
)
from testkit.demo import MODEL

CONCEPTS = {
    "I10": "Essential (primary) hypertension",
    "J45": "Asthma",
    "E11": "Type 2 diabetes mellitus",
    "N17": "Acute kidney failure",
    "L40": "Psoriasis",
}


def published(number: int, code: str, answer: str, choices: Sequence[str], *, level: str = "easy") -> dict[str, Any]:
    """A row as the authors' create_benchmark.py writes it (github nadavlab/MedConceptsQA)."""
    lines = "\n".join(f"    {letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
    return {
        "question_id": number,
        "answer": answer,
        "answer_id": LETTERS[list(choices).index(answer)],
        **{f"option{index}": choice for index, choice in enumerate(choices, start=1)},
        "question": f"\n    What is the description of the medical code {code} in ICD10CM?\n{lines}\n    ",
        "vocab": "ICD10CM",
        "level": level,
    }


def rows(*, level: str = "easy") -> list[dict[str, Any]]:
    """A question per concept; the right choice is at another place each time."""
    names = list(CONCEPTS.values())
    made = []
    for number, (code, answer) in enumerate(CONCEPTS.items()):
        others = [name for name in names if name != answer][:3]
        choices = [*others[: number % 4], answer, *others[number % 4 :]]
        made.append(published(number + 1, code, answer, choices, level=level))
    return made


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_the_published_columns_are_read_of_every_kind_of_file(tmp_path: Path, suffix: str) -> None:
    file = write(tmp_path / f"test{suffix}", rows())
    questions = read_questions(file)
    assert [question.answer for question in questions] == [0, 1, 2, 3, 0]
    assert questions[1].stem == "What is the description of the medical code J45 in ICD10CM?"
    assert questions[1].choices[1] == "Asthma"
    assert questions[1].group == ("ICD10CM", "easy")


def write(file: Path, records: list[dict[str, Any]]) -> Path:
    frame = pd.DataFrame(records)
    match file.suffix:
        case ".parquet":
            frame.to_parquet(file)
        case ".csv":
            frame.to_csv(file, index=False)
        case _:
            frame.to_json(file, orient="records", lines=True)
    return file


def test_a_stem_is_what_stands_before_the_first_choice() -> None:
    assert stem_of("Which vitamin A. deficiency?\nA. Asthma\nB. Psoriasis", "Asthma") == "Which vitamin A. deficiency?"
    assert stem_of(" Which code? ", "Asthma") == "Which code?"


def test_what_is_wrong_with_a_file_is_told_at_once_and_without_its_text(tmp_path: Path) -> None:
    first, second, *_ = rows()
    broken = [{**first, "option2": " "}, {**second, "answer_id": "2"}]
    with pytest.raises(InputError) as raised:
        read_questions(write(tmp_path / "test.jsonl", broken))
    assert str(raised.value) == (
        "test.jsonl: 1 rows are without option2 (the first: row 0); 1 rows have an answer_id that is none of A, B, C, "
        "D. Leave these rows out."
    )
    del first["vocab"]
    with pytest.raises(InputError, match=r"no column vocab in row 0.*Expected are those of ofir408/MedConceptsQA"):
        read_questions(write(tmp_path / "test.parquet", [first]))


def question(
    stem: str, answer: int, *, level: str = "easy", choices: tuple[str, ...] = ("n", "e", "s", "w")
) -> Question:
    return Question(stem, choices, answer, "ICD10CM", level)


COMPASS = {"n": (0.0, 1.0), "e": (1.0, 0.0), "s": (0.0, -1.0), "w": (-1.0, 0.0)}


def plane(texts: Sequence[str], *, stems: Mapping[str, tuple[float, float]]) -> Vectors:
    return {text: np.array({**COMPASS, **stems}[text]) for text in texts}


def test_zero_shot_takes_the_choice_of_largest_cosine() -> None:
    asked = [question("q1", 0), question("q2", 0), question("q3", 3, level="hard")]
    stems = {"q1": (0.1, 9.0), "q2": (0.9, 0.8), "q3": (-0.1, 0.0)}
    (found,) = evaluate(asked, [], shots=0, vectors_of=lambda texts: plane(texts, stems=stems))
    assert [(group.level, group.right, group.questions) for group in found.groups] == [("easy", 1, 2), ("hard", 1, 1)]
    assert found.all.accuracy == pytest.approx(2 / 3)
    assert found.mean == pytest.approx(0.75)


def test_few_shot_adds_how_the_examples_answers_differ_from_their_questions() -> None:
    """Questions lie where the answer is, and two to the east of it."""
    stems = {name: (x + 2.0, y) for name, (x, y) in zip(("qn", "qe", "qs", "qw"), COMPASS.values(), strict=True)}
    asked = [question(name, answer) for answer, name in enumerate(stems)]
    examples = [question("qn", 0), question("qs", 2), question("qe", 3)]
    zero, few = evaluate(asked, examples, shots=2, vectors_of=lambda texts: plane(texts, stems=stems))
    assert (zero.shots, zero.all.right) == (0, 1)
    assert (few.shots, few.all.right) == (2, 4)


def test_a_choice_with_the_words_of_the_right_one_is_right() -> None:
    asked = [question("q", 2, choices=("n", "e", "n", "w"))]
    (found,) = evaluate(asked, [], shots=0, vectors_of=lambda texts: plane(texts, stems={"q": (0.0, 1.0)}))
    assert found.all.right == 1


def test_too_few_examples_are_refused_by_group() -> None:
    asked = [question("q", 0), question("q", 0, level="hard")]
    with pytest.raises(InputError, match=r"--shots 1 .*: ICD10CM hard has 0\.$"):
        evaluate(asked, [question("q", 0)], shots=1, vectors_of=lambda texts: plane(texts, stems={}))


def test_a_sample_is_drawn_per_group_and_is_the_same_again() -> None:
    asked = [question(f"q{i}", 0, level=level) for i in range(9) for level in ("easy", "hard")]
    drawn = sample([*asked, question("only", 0, level="medium")], 4)
    assert {level: sum(q.level == level for q in drawn) for level in ("easy", "hard", "medium")} == {
        "easy": 4,
        "hard": 4,
        "medium": 1,
    }
    assert sample(asked, 4) == sample(asked, 4)
    assert sample(asked, None) == asked


@pytest.mark.parametrize(("right", "questions", "expected"), [(0, 10, (0, 0.2775)), (5, 10, (0.2366, 0.7634))])
def test_intervals_are_wilsons(right: int, questions: int, expected: tuple[float, float]) -> None:
    assert wilson(right, questions) == pytest.approx(expected, abs=1e-4)


@pytest.mark.usefixtures("spark")
def test_the_command_scores_a_model_zero_shot_and_few_shot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = write(tmp_path / "test.parquet", [*rows(), *rows(level="hard")])
    dev = write(tmp_path / "dev.parquet", [*rows()[:2], *rows(level="hard")[:2]])
    assert main([str(test), "--model", MODEL, "--shots", "2", "--dev", str(dev)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["model"] == MODEL
    assert [report["shots"] for report in printed["reports"]] == [0, 2]
    for report in printed["reports"]:
        assert [(group["level"], group["questions"]) for group in report["groups"]] == [("easy", 5), ("hard", 5)]
        assert 0 <= report["all"]["low"] <= report["all"]["accuracy"] <= report["all"]["high"] <= 1
        easy, hard = report["groups"]
        assert easy["right"] == hard["right"]
    assert main([str(test), "--model", MODEL, "--shots", "2"]) == 1
    assert "--shots 2 needs --dev FILE" in capsys.readouterr().err


@pytest.mark.usefixtures("spark")
def test_the_vectors_are_the_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A question in the very words of a choice has cosine 1 with it."""
    made = [{**row, "question": row["answer"]} for row in rows()]
    assert main([str(write(tmp_path / "test.csv", made)), "--model", MODEL, "--sample", "4"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["reports"]
    assert (found["all"]["right"], found["all"]["questions"]) == (4, 4)
