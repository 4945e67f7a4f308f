"""Questions with answers in SQuAD's form: JSON in, notes out, and exact match and F1 of what a run found.

    python -m sparkclin.evaluation.qa notes SQUAD --output NOTES
    python -m sparkclin.evaluation.qa score PREDICTIONS SQUAD

SQUAD is a JSON file of version 1.1 or 2.0 (`is_impossible`). Every question becomes a note: its id is the question's,
its text the whole context. PREDICTIONS is a parquet with note_id, rank and text; what has rank 0 counts, and no text is
no answer. Answers are compared as SQuAD's official script does (evaluate-v2.0.py, Rajpurkar et al., arXiv 1806.03822).
"""

from __future__ import annotations

import argparse
import json
import re
import string
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from sparkclin.errors import InputError, exit_status
from sparkclin.evaluation.notes import write_jsonl

ARTICLES = re.compile(r"\b(a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Answer:
    """`begin` counts code points of the context."""

    text: str
    begin: int

    @property
    def end(self) -> int:
        return self.begin + len(self.text)


@dataclass(frozen=True)
class Question:
    """Without an answer where the context has none."""

    question_id: str
    context: str
    question: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, kw_only=True)
class AnswerScore:
    """Means over questions, between 0 and 1. A question without an answer counts as right where none was found;
    `unanswerable` is how many there are."""

    questions: int
    unanswerable: int
    exact: float
    f1: float


def read_squad(path: Path) -> list[Question]:
    """The questions of a file. Raises InputError for another form, ids that are not unique, questions that miss their
    answers, and answers that do not stand where `answer_start` says."""
    questions: list[Question] = []
    lacking, misplaced = [], []
    try:
        data = json.loads(path.read_text(encoding="utf-8"))["data"]
        for paragraph in (paragraph for article in data for paragraph in article["paragraphs"]):
            for asked in paragraph["qas"]:
                given = [] if asked.get("is_impossible") else asked["answers"]
                answers = tuple(Answer(answer["text"], answer["answer_start"]) for answer in given)
                question = Question(str(asked["id"]), paragraph["context"], asked["question"], answers)
                questions.append(question)
                lacking += [question.question_id] * (not answers and not asked.get("is_impossible"))
                wrong = [a for a in answers if not a.text or question.context[a.begin : a.end] != a.text]
                misplaced += [question.question_id] * len(wrong)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else "is of another form"
        raise InputError(
            f"{path.name} {what}: expected SQuAD's JSON: data > paragraphs > context, qas > id, question, answers."
        ) from None
    repeated = len(questions) - len({question.question_id for question in questions})
    problems = [f"{repeated} questions have the id of another one"] * bool(repeated)
    problems += [
        f"{len(ids)} {what} (the first: question {ids[0]})"
        for ids, what in (
            (misplaced, "answers do not stand in the context where answer_start says"),
            (lacking, "questions have no answer and are not is_impossible"),
        )
        if ids
    ]
    if not questions:
        problems.append("there is no question")
    if problems:
        raise InputError(f"{path.name}: {'; '.join(problems)}. Mend them, or leave them out.")
    return questions


def normalized(text: str) -> str:
    """As normalize_answer() of the official script: lower case, without punctuation, articles and extra white space."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(NO_PUNCTUATION)).split())


def exact(answer: str, found: str) -> float:
    return float(normalized(answer) == normalized(found))


def f1(answer: str, found: str) -> float:
    """Of the words that both have, as compute_f1() of the official script."""
    words, words_found = normalized(answer).split(), normalized(found).split()
    if not words or not words_found:
        return float(words == words_found)
    common = (Counter(words) & Counter(words_found)).total()
    return 2 * common / (len(words) + len(words_found))


def score(questions: Sequence[Question], found: Mapping[str, str]) -> AnswerScore:
    """`found` has the answer to each question by its id, empty where none was found. Of several right answers the one
    that fits best counts."""
    exacts, f1s = [], []
    for question in questions:
        # An answer of punctuation and articles alone is none, as in the official script.
        answers = [answer.text for answer in question.answers if normalized(answer.text)] or [""]
        exacts.append(max(exact(answer, found[question.question_id]) for answer in answers))
        f1s.append(max(f1(answer, found[question.question_id]) for answer in answers))
    return AnswerScore(
        questions=len(questions),
        unanswerable=sum(not question.answers for question in questions),
        exact=sum(exacts) / len(exacts),
        f1=sum(f1s) / len(f1s),
    )


def score_rows(questions: Sequence[Question], rows: pd.DataFrame) -> AnswerScore:
    """Of what a run wrote: note_id, rank, text. Raises InputError where a question has not one row of rank 0."""
    best = rows[rows["rank"] == 0]
    counts = Counter(best["note_id"].astype(str))
    wrong = [question.question_id for question in questions if counts[question.question_id] != 1]
    if wrong:
        raise InputError(
            f"{len(wrong)} of {len(questions)} questions have not one row of rank 0 in the predictions (the first: "
            f"question {wrong[0]}): are they those of these questions?"
        )
    texts = best["text"].where(best["text"].notna(), "")
    return score(questions, dict(zip(best["note_id"].astype(str), texts, strict=True)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m sparkclin.evaluation.qa", description=(__doc__ or "").splitlines()[0]
    )
    actions = parser.add_subparsers(dest="action", required=True)
    notes, scoring = (actions.add_parser(name) for name in ("notes", "score"))
    notes.add_argument("squad", type=Path, help="SQuAD's JSON, 1.1 or 2.0")
    notes.add_argument("-o", "--output", type=Path, required=True, help=".jsonl with note_id, text and question")
    scoring.add_argument("predictions", type=Path, help="parquet with note_id, rank and text")
    scoring.add_argument("squad", type=Path, help="SQuAD's JSON, 1.1 or 2.0")
    options = parser.parse_args(arguments)
    return exit_status(lambda: act(options))


def act(options: argparse.Namespace) -> None:
    questions = read_squad(options.squad)
    if options.action == "notes":
        records = ({"note_id": q.question_id, "text": q.context, "question": q.question} for q in questions)
        write_jsonl(records, options.output)
    else:
        rows = pd.read_parquet(options.predictions, columns=["note_id", "rank", "text"])
        print(json.dumps(asdict(score_rows(questions, rows)), indent=2))


if __name__ == "__main__":
    sys.exit(main())
