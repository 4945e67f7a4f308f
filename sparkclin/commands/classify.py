"""Label a corpus of clinical notes: `sparkclin classify --input PATH --output PATH`.

Writes one row per note and label, with its score, and a run report. See the README.
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
from sparkclin.schema import PAIR
from sparkclin.text.labels import LABEL_AGGREGATIONS, THRESHOLD

if TYPE_CHECKING:
    from sparkclin.runs.run import RunRequest, Task
    from sparkclin.tasks.labels import ClassifyOptions


def main(arguments: Sequence[str] | None = None, *, prog: str = "sparkclin classify") -> int:
    """Return the exit status: 0, 1 for an error that the user can fix, 2 for wrong usage."""
    return run_command(parser(prog), arguments, task=task_of, request=notes_of)


def task_of(asked: argparse.Namespace) -> Task:
    from sparkclin.runs.tasks import classifying

    return classifying(options_of(asked))


def notes_of(asked: argparse.Namespace) -> RunRequest:
    return request_of(asked, pair_column=asked.pair_column)


def options_of(asked: argparse.Namespace) -> ClassifyOptions:
    """Raises OptionError for what cannot be."""
    from sparkclin.tasks.labels import ClassifyOptions

    return ClassifyOptions(
        pair=PAIR if asked.pair_column else None,
        pair_first=asked.pair_first,
        aggregation=asked.aggregation,
        threshold=asked.threshold,
        **reading_of(asked),
    )


def parser(prog: str = "sparkclin classify") -> argparse.ArgumentParser:
    build = argparse.ArgumentParser(prog=prog, description="Label a corpus of clinical notes.")
    add_run_arguments(build)
    add = build.add_argument
    add("--pair-column", metavar="NAME", help="a text that each note is read with, such as a statement to be checked")
    add(
        "--pair-first",
        action="store_true",
        help="the model was trained with that text before the note; default: behind",
    )
    add(
        "--aggregation",
        choices=LABEL_AGGREGATIONS,
        default=LABEL_AGGREGATIONS[0],
        help=f"how the probabilities of a long note's windows become one; default: {LABEL_AGGREGATIONS[0]}",
    )
    add(
        "--threshold",
        type=float,
        metavar="P",
        help=f"probability from which labels that do not exclude each other are predicted; default: {THRESHOLD}; "
        "refused for other models",
    )
    add_window_arguments(build)
    return build
