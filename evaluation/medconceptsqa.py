"""MedConceptsQA: how often a question about a medical code is nearest to its right choice, by the vectors alone.

    python -m sparkclin.evaluation.medconceptsqa FILE --model NAME [--models DIR] [--shots N --dev FILE] [--sample N]

FILE has the columns of the published data (ofir408/MedConceptsQA on Hugging Face; Ben Shoham and Rappoport, arXiv
2405.07348): question, option1 to option4, answer_id (A to D), vocab, level; others are not looked at. It is .parquet,
.csv or .jsonl. The published question has the choices below it; they are cut off before it becomes a vector.

Zero-shot: the answer is the choice whose vector has the largest cosine with the question's. Few-shot: the first N
questions of the same vocabulary and level in the dev split say how an answer's vector differs from its question's; the
mean of these differences is added to the question's vector, and then the same rule holds. The authors prompt a language
model instead, so their figures are another measurement. With four choices, chance is 0.25.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkclin.errors import InputError, OptionError, exit_status
from sparkclin.evaluation.classify import read_records
from sparkclin.evaluation.retrieval import Matrix, cosine_similarity

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparkclin.models.bundle import Bundle

CHOICES = ("option1", "option2", "option3", "option4")
LETTERS = "ABCD"
NEEDED = ("question", *CHOICES, "answer_id", "vocab", "level")
QUESTIONS_AT_ONCE = 4_000
"""Questions whose vectors are in the driver's memory together: 20,000 vectors, half a gigabyte at 768 numbers each."""

SEED = 7

Vector = npt.NDArray[np.float64]
Vectors = Mapping[str, Vector]
Group = tuple[str, str]


@dataclass(frozen=True)
class Question:
    """`stem` is the question without its choices; `answer` is the index of the right one."""

    stem: str
    choices: tuple[str, ...]
    answer: int
    vocabulary: str
    level: str

    @property
    def group(self) -> Group:
        return self.vocabulary, self.level

    def is_right(self, choice: int) -> bool:
        """A choice with the right one's words is right too: some codes share a description."""
        return self.choices[choice] == self.choices[self.answer]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Of the questions of a vocabulary and level, 0…1. `low` and `high` are the bounds of its 95 % interval."""

    vocabulary: str
    level: str
    questions: int
    right: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """`all` has the questions of all groups together. `mean` is the mean of the groups' accuracies, each counted alike,
    as in the authors' table."""

    shots: int
    groups: list[Accuracy]
    all: Accuracy
    mean: float


def read_questions(path: Path) -> list[Question]:
    """The questions of a file, in its order. Raises InputError for another kind of file, a missing column, an empty
    text, and an answer_id that is none of A to D."""
    records = read_records(path, needed=NEEDED, advice="Expected are those of ofir408/MedConceptsQA.")
    problems = []
    for name in ("question", *CHOICES, "vocab", "level"):
        empty = [row for row, record in enumerate(records) if not str(record[name] or "").strip()]
        problems += [f"{len(empty)} rows are without {name} (the first: row {empty[0]})"] if empty else []
    wrong = [row for row, record in enumerate(records) if record["answer_id"] not in tuple(LETTERS)]
    problems += [f"{len(wrong)} rows have an answer_id that is none of {', '.join(LETTERS)}"] if wrong else []
    if problems:
        raise InputError(f"{path.name}: {'; '.join(problems)}. Leave these rows out.")
    return [_question(record) for record in records]


def _question(record: Mapping[str, Any]) -> Question:
    choices = tuple(str(record[name]).strip() for name in CHOICES)
    return Question(
        stem=stem_of(str(record["question"]), choices[0]),
        choices=choices,
        answer=LETTERS.index(record["answer_id"]),
        vocabulary=str(record["vocab"]),
        level=str(record["level"]),
    )


def stem_of(question: str, first_choice: str) -> str:
    """What stands before `A. <first choice>`, as the authors' create_benchmark.py writes it; else all of it."""
    stem, found, _ = question.partition(f"A. {first_choice}")
    return stem.strip() if found and stem.strip() else question.strip()


def sample(questions: Sequence[Question], most: int | None) -> list[Question]:
    """At most so many questions per vocabulary and level, drawn with a fixed seed; the authors take 250."""
    if most is None:
        return list(questions)
    draw = random.Random(SEED)
    groups = _by_group(questions).values()
    return [question for group in groups for question in (draw.sample(group, most) if len(group) > most else group)]


def evaluate(
    questions: Sequence[Question],
    examples: Sequence[Question],
    *,
    shots: int,
    vectors_of: Callable[[Sequence[str]], Vectors],
) -> list[Report]:
    """The zero-shot report, and behind it the few-shot one where `shots` is not 0.

    `examples` are those of the dev split; `vectors_of` gives each text's vector. Raises InputError where a vocabulary
    and level has fewer examples than `shots`.
    """
    shown = first_examples(questions, examples, shots=shots)
    shifts = {group: shift(of_group, vectors_of(_texts(of_group))) for group, of_group in shown.items() if of_group}
    rules: dict[int, Mapping[Group, Vector]] = {0: {}, **({shots: shifts} if shots else {})}
    right: dict[int, list[bool]] = {number: [] for number in rules}
    for begin in range(0, len(questions), QUESTIONS_AT_ONCE):
        part = questions[begin : begin + QUESTIONS_AT_ONCE]
        vectors = vectors_of(_texts(part))
        for number, shift_of in rules.items():
            right[number] += [q.is_right(choose(q, vectors, shift_of.get(q.group, 0.0))) for q in part]
    return [report(questions, of_rule, shots=number) for number, of_rule in right.items()]


def first_examples(
    questions: Sequence[Question], examples: Sequence[Question], *, shots: int
) -> dict[Group, list[Question]]:
    """The examples that each vocabulary and level is shown: the first ones, as the authors take them."""
    there = _by_group(examples)
    shown = {group: there.get(group, [])[:shots] for group in _by_group(questions)}
    few = [f"{' '.join(group)} has {len(of_group)}" for group, of_group in shown.items() if len(of_group) < shots]
    if few:
        raise InputError(
            f"--shots {shots} needs as many dev questions of every vocabulary and level: {', '.join(few)}."
        )
    return shown


def shift(examples: Sequence[Question], vectors: Vectors) -> Vector:
    """The mean difference of an answer's vector from its question's, (width,)."""
    differences = [vectors[e.choices[e.answer]] - vectors[e.stem] for e in examples]
    return np.asarray(np.mean(differences, axis=0))


def choose(question: Question, vectors: Vectors, shift_by: Vector | float = 0.0) -> int:
    """The index of the choice of largest cosine; of equal ones the first."""
    rows = [vectors[question.stem] + shift_by, *(vectors[choice] for choice in question.choices)]
    matrix: Matrix = np.stack(rows)
    return int(cosine_similarity(matrix)[0, 1:].argmax())


def report(questions: Sequence[Question], right: Sequence[bool], *, shots: int) -> Report:
    by_group: dict[Group, list[bool]] = {}
    for question, is_right in zip(questions, right, strict=True):
        by_group.setdefault(question.group, []).append(is_right)
    groups = [accuracy(group, of_group) for group, of_group in sorted(by_group.items())]
    mean = float(np.mean([group.accuracy for group in groups]))
    return Report(shots=shots, groups=groups, all=accuracy(("all", "all"), right), mean=mean)


def accuracy(group: Group, right: Sequence[bool]) -> Accuracy:
    low, high = wilson(sum(right), len(right))
    return Accuracy(
        vocabulary=group[0],
        level=group[1],
        questions=len(right),
        right=sum(right),
        accuracy=sum(right) / len(right),
        low=low,
        high=high,
    )


def wilson(right: int, questions: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927), which stays within 0…1 for small counts."""
    z = 1.959964
    share = right / questions
    centre = share + z * z / (2 * questions)
    spread = z * math.sqrt(share * (1 - share) / questions + z * z / (4 * questions * questions))
    scale = 1 + z * z / questions
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def embedded(texts: Sequence[str], *, spark: SparkSession, bundle: Bundle) -> Vectors:
    """Each text's vector by embed(): the mean over its pieces."""
    import sparkclin

    rows = [(str(index), text) for index, text in enumerate(texts)]
    notes = spark.createDataFrame(rows, "note_id string, text string")
    table = sparkclin.embed(notes, model=bundle).select("note_id", "vector")
    return {
        texts[int(note_id)]: np.asarray(vector, dtype=np.float64)
        for note_id, vector in table.toPandas().itertuples(index=False, name=None)
    }


def _texts(questions: Sequence[Question]) -> list[str]:
    """Every text once, in the order in which it first occurs."""
    return list(dict.fromkeys(text for question in questions for text in (question.stem, *question.choices)))


def _by_group(questions: Sequence[Question]) -> dict[Group, list[Question]]:
    groups: dict[Group, list[Question]] = {}
    for question in questions:
        groups.setdefault(question.group, []).append(question)
    return groups


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """What is printed. Raises SparkclinError for what the user can mend."""
    import sparkclin

    if asked.shots < 0 or (asked.sample is not None and asked.sample < 1):
        raise OptionError("--shots is 0 or more, and --sample 1 or more.")
    if asked.shots and asked.dev is None:
        raise OptionError(f"--shots {asked.shots} needs --dev FILE, with the questions and answers to learn from.")
    questions = sample(read_questions(asked.file), asked.sample)
    examples = read_questions(asked.dev) if asked.shots else []
    repository = sparkclin.ModelRepository(asked.models) if asked.models else sparkclin.active_repository()
    bundle = repository.find(asked.model)
    spark = sparkclin.spark_session(app_name="sparkclin medconceptsqa")
    reports = evaluate(questions, examples, shots=asked.shots, vectors_of=partial(embedded, spark=spark, bundle=bundle))
    return {"model": bundle.manifest.name, "reports": [asdict(report) for report in reports]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m sparkclin.evaluation.medconceptsqa", description=summary)
    parser.add_argument("file", type=Path, help=".parquet, .csv or .jsonl of the test split")
    parser.add_argument("--model", required=True, metavar="NAME", help="whose vectors")
    parser.add_argument("--models", metavar="DIR", help="default: $SPARKCLIN_MODELS, else the demo models")
    parser.add_argument("--shots", type=int, default=0, metavar="N", help="examples to learn from; default: none")
    parser.add_argument("--dev", type=Path, metavar="FILE", help="the dev split, where the examples are")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="at most N questions per vocabulary and level; default: all"
    )
    asked = parser.parse_args(arguments)
    return exit_status(lambda: print(json.dumps(run(asked), indent=2)))


if __name__ == "__main__":
    sys.exit(main())
