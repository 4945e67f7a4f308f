"""Embed a corpus of clinical notes: `sparkclin embed --input PATH --output PATH`.

Writes one row per note, window, sentence or token with its vector, and a run report beside them. See the README.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparkclin.commands.running import add_run_arguments, add_window_arguments, reading_of, run_command
from sparkclin.schema import LEVELS
from sparkclin.text.segments import POOLINGS
from sparkclin.text.sentences import DEFAULT_SPLITTER, SPARK_NLP, SPLITTERS
from sparkclin.text.vectors import FLOAT32, VECTOR_DTYPES
from sparkclin.text.windows import CONTEXTS

if TYPE_CHECKING:
    from sparkclin.runs.run import Task
    from sparkclin.tasks.embed import EmbedOptions


def main(arguments: Sequence[str] | None = None, *, prog: str = "sparkclin embed") -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    return run_command(parser(prog), arguments, task=task_of)


def task_of(asked: argparse.Namespace) -> Task:
    from sparkclin.runs.tasks import embedding

    return embedding(options_of(asked))


def options_of(asked: argparse.Namespace) -> EmbedOptions:
    """Raises OptionError for what does not go together."""
    from sparkclin.tasks.embed import EmbedOptions

    return EmbedOptions(
        level=asked.level,
        pooling=asked.pooling,
        context=asked.context,
        normalize=asked.normalize,
        vector_dtype=asked.vector_dtype,
        splitter=asked.splitter,
        **reading_of(asked),
    )


def parser(prog: str = "sparkclin embed") -> argparse.ArgumentParser:
    build = argparse.ArgumentParser(prog=prog, description="Embed a corpus of clinical notes.")
    add_run_arguments(build)
    add = build.add_argument
    add("--level", choices=LEVELS, default="document", help="one vector per …; default: document")
    add("--pooling", choices=POOLINGS, default="mean", help="`first` is for tokens, cls, max, mean_max for the others")
    add(
        "--context", choices=CONTEXTS, default="note", help="what a sentence's vectors know of; default: its whole note"
    )
    add(
        "--splitter",
        choices=SPLITTERS,
        help=f"what finds sentences at level sentence; {SPARK_NLP}: Spark NLP's detector; default: {DEFAULT_SPLITTER}",
    )
    add("--normalize", action="store_true", help="divide each vector by its norm")
    add(
        "--vector-dtype",
        choices=VECTOR_DTYPES,
        default=FLOAT32,
        help=f"float16: half the size, as bytes; default: {FLOAT32}",
    )
    add_window_arguments(build)
    return build
