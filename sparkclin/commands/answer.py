"""Ask a corpus of clinical notes: `sparkclin answer --input PATH --output PATH --question TEXT`.

Writes one row per answer, the best first, and a run report. See the README.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparkclin.commands.running import (
    add_run_arguments,
    add_window_arguments,
    reading_of,
    request_of,
    run_command,
)
from sparkclin.errors import OptionError
from sparkclin.schema import PAIR, QUESTION
from sparkclin.text.answers import AnswerOptions

if TYPE_CHECKING:
    from sparkclin.runs.run import RunRequest, Task
    from sparkclin.tasks.answers import QuestionOptions


def main(arguments: Sequence[str] | None = None, *, prog: str = "sparkclin answer") -> int:
    """Return the exit status: 0, 1 for an error that the user can fix, 2 for wrong usage."""
    return run_command(parser(prog), arguments, task=task_of, request=notes_of)


def task_of(asked: argparse.Namespace) -> Task:
    from sparkclin.runs.tasks import answering

    return answering(options_of(asked))


def notes_of(asked: argparse.Namespace) -> RunRequest:
    """Raises OptionError if both a question for all notes and a column of questions are given."""
    if asked.question is not None and asked.question_column is not None:
        raise OptionError("--question and --question-column were both given. Give only one of the two.")
    column = asked.question_column or (QUESTION if asked.question is None else None)
    return request_of(asked, pair_column=column, pair_text=asked.question)


def options_of(asked: argparse.Namespace) -> QuestionOptions:
    """Raises OptionError for what cannot be."""
    from sparkclin.tasks.answers import QuestionOptions

    answers = AnswerOptions(
        answers=asked.answers, max_answer_pieces=asked.max_answer_pieces, may_be_missing=asked.no_answer
    )
    return QuestionOptions(question=PAIR, answers=answers, **reading_of(asked))


def parser(prog: str = "sparkclin answer") -> argparse.ArgumentParser:
    build = argparse.ArgumentParser(prog=prog, description="Ask a corpus of clinical notes.")
    add_run_arguments(build)
    add = build.add_argument
    add("--question", metavar="TEXT", help="one question for all notes; default: each note's own")
    add("--question-column", metavar="NAME", help=f"where each note's question is; default: {QUESTION}")
    add("--answers", type=int, default=AnswerOptions.answers, metavar="N", help="how many per note; default: 1")
    add(
        "--max-answer-pieces",
        type=int,
        default=AnswerOptions.max_answer_pieces,
        metavar="N",
        help=f"the longest answer; default: {AnswerOptions.max_answer_pieces}",
    )
    add(
        "--no-answer",
        action="store_true",
        help="the model was trained on questions without an answer, so 'no answer' may be the best one",
    )
    add_window_arguments(build)
    return build
