"""A run's command line: the options that all runs have, and `run_command()`, which makes a command of a task.

    def main(arguments=None, *, prog="sparkclin mine"):
        return run_command(parser(prog), arguments, task=my_task)

`parser()` has what add_run_arguments() adds, and the task's own options; `my_task` makes a Task of the parsed options.
`sparkclin/commands/embed.py` is an example. What needs pyspark is imported when a command runs: a usage text and a
wrong option do not wait for it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from sparkclin.engines import ENGINES, PRECISIONS
from sparkclin.errors import INTERRUPTED, OptionError, SparkclinError, masked
from sparkclin.runs.corpus import INPUT_FORMATS, NoteSource
from sparkclin.runs.sink import OUTPUT_FORMATS, Sink
from sparkclin.runs.sources.files import HIDDEN_FILES
from sparkclin.runs.sources.text import UTF_8
from sparkclin.schema import NOTE_ID, TEXT, printable
from sparkclin.spark.failures import plain, unsafe_debug
from sparkclin.spark.interrupts import without_tracebacks
from sparkclin.spark.options import SessionOptions
from sparkclin.spark.session import under_spark_submit

if TYPE_CHECKING:
    from sparkclin.runs.run import RunRequest, Task


def run_command(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    *,
    task: Callable[[argparse.Namespace], Task],
    request: Callable[[argparse.Namespace], RunRequest] | None = None,
    afterwards: Callable[[argparse.Namespace, RunRequest], str] | None = None,
) -> int:
    """Runs a task as the options say; returns the exit status: 0, or 1 for what went wrong, said in a line.

    `request` makes a RunRequest of the options where request_of() alone would not do. `afterwards` does what is left
    when all is written; its request names the version of a Delta table that was read. What it returns goes to stdout,
    where nothing else does. Wrong usage ends the program with status 2, as with every parser. Ctrl-C ends it with
    INTERRUPTED.
    """
    asked = parser.parse_args(arguments)
    if asked.unsafe_debug:
        print("--unsafe-debug: errors and logs are shown as they are, note text in them too", file=sys.stderr)
    try:
        check_arguments(asked)
        with unsafe_debug(shown=asked.unsafe_debug), nullcontext() if asked.unsafe_debug else without_tracebacks():
            from sparkclin.runs.run import run

            requested = (request or request_of)(asked)
            report = run(task(asked), requested)
            print(f"\n{printable(masked(asked.output))}\n{report.summary()}", file=sys.stderr)
            version = report.settings.get("input_version")
            written = replace(requested, source=replace(requested.source, version=version))
            if more := afterwards(asked, written) if afterwards else "":
                print(f"\n{more}", flush=True)
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: no output is left", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if asked.unsafe_debug:
            raise
        print(f"error: {plain(error)}", file=sys.stderr)
        return 1
    return 0


def check_arguments(asked: argparse.Namespace) -> None:
    """Raises OptionError for arguments with bytes that are no UTF-8: Java takes no such text."""
    odd = [name for name, value in vars(asked).items() if _has_odd_bytes(value)]
    if odd:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in odd)
        raise OptionError(f"{named} has bytes that are not UTF-8, which Java cannot take. Name it in UTF-8.")


def _has_odd_bytes(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_odd_bytes, value))
    return isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value)


def request_of(
    asked: argparse.Namespace,
    *,
    text_column: str = TEXT,
    integer_ids: bool = False,
    pair_column: str | None = None,
    pair_text: str | None = None,
) -> RunRequest:
    """What the options of add_run_arguments() ask for; raises OptionError for what cannot be.

    `text_column` is where the texts are unless the options say it, the others are as in NoteSource.
    """
    from sparkclin.runs.run import ModelChoice, RunRequest

    return RunRequest(
        source=NoteSource(
            path=asked.input,
            format=asked.input_format,
            id_column=asked.id_column,
            text_column=asked.text_column or text_column,
            integer_ids=integer_ids,
            pair_column=pair_column,
            pair_text=pair_text,
            recursive=asked.recursive,
            hidden_files=asked.hidden_files,
            encoding=asked.encoding,
            delimiter=asked.delimiter,
        ),
        sink=Sink(path=asked.output, format=asked.output_format),
        model=ModelChoice(
            repository=asked.models,
            name=asked.model,
            language=asked.language,
            engine=asked.engine,
            precision=asked.precision,
            trust=tuple(asked.trust),
        ),
        partitions=asked.partitions,
        session=session_of(asked),
    )


def session_of(asked: argparse.Namespace) -> SessionOptions:
    """What the options of add_session_arguments() ask for; raises OptionError for what cannot be, and for any where
    spark-submit has started Spark already."""
    if under_spark_submit() and (asked.master or asked.conf or asked.driver_memory):
        raise OptionError(
            "--master, --conf and --driver-memory are spark-submit's own: give them before the program, not behind it."
        )
    return SessionOptions(master=asked.master, driver_memory=asked.driver_memory, settings=dict(asked.conf))


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every run: the notes, the model, the output, the session."""
    parser.usage = "%(prog)s --input PATH --output PATH [OPTION …]"
    add = parser.add_argument
    add(
        "--input", required=True, metavar="PATH", help="the notes: a file or folder on any file system that Spark reads"
    )
    add("--output", required=True, metavar="PATH", help="where the rows go; must not exist")
    _add_model_arguments(parser.add_argument_group("the model"))
    _add_note_arguments(parser.add_argument_group("how the notes are read"))
    written = parser.add_argument_group("how the rows are written").add_argument
    written("--output-format", choices=OUTPUT_FORMATS, default="parquet", help="default: parquet")
    written(
        "--partitions", type=positive, metavar="N", help="tasks, and files written; default: by the number of notes"
    )
    add_session_arguments(parser)


def _add_model_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--model", metavar="NAME", help="default: the repository's only model for the task")
    add("--models", metavar="DIR", help="the model repository; default: $SPARKCLIN_MODELS, else the demo models")
    add("--language", metavar="LANGUAGE", help="of a name that exists in several languages, such as en")
    add("--engine", choices=ENGINES, help="default: the fastest that the model has")
    add("--precision", choices=PRECISIONS, help="bf16, int8: faster, not exact; default: fp32 where the model has it")
    add(
        "--trust",
        action="append",
        default=[],
        metavar="SHA256",
        help="run only the model whose manifest has this SHA-256, or one that a file names; may be repeated",
    )


def _add_note_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--input-format", choices=INPUT_FORMATS, help="text: a file is a note; default: by the names of the files")
    add("--recursive", action="store_true", help="also read the files in folders below the input")
    add(
        "--hidden-files",
        choices=HIDDEN_FILES,
        default=HIDDEN_FILES[0],
        help="files that Spark passes over, because their names begin with _ or . or end in ._COPYING_; default: "
        f"{HIDDEN_FILES[0]}",
    )
    add("--encoding", default=UTF_8, metavar="NAME", help=f"of csv and text; default: {UTF_8}")
    add("--delimiter", metavar="CHARACTER", help="of csv; default: a comma, or a tab in files named .tsv")
    add("--id-column", default=NOTE_ID, metavar="NAME", help=f"default: {NOTE_ID}")
    add("--text-column", metavar="NAME", help=f"default: {TEXT}")


def add_session_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a session that the command starts."""
    group = parser.add_argument_group("Spark", "With spark-submit these go before the program.")
    add = group.add_argument
    add("--master", metavar="URL", help="where tasks run: local[4], spark://HOST:PORT, yarn…; default: local[*]")
    add(
        "--driver-memory",
        metavar="SIZE",
        help="of Java, such as 16g; with a local master the model runs there; default: 8g",
    )
    add(
        "--conf",
        action="append",
        type=setting,
        default=[],
        metavar="KEY=VALUE",
        help="a Spark setting; may be repeated",
    )
    add("--unsafe-debug", action="store_true", help="show errors and logs as they are, which may show note text")


def reading_of(asked: argparse.Namespace) -> dict[str, int | None]:
    """The fields of ReadingOptions, by the options of add_window_arguments()."""
    return {name: getattr(asked, name) for name in ("max_pieces", "stride", "max_note_pieces")}


def positive(text: str) -> int:
    """An option's number; raises ArgumentTypeError for less than 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def setting(text: str) -> tuple[str, str]:
    """A Spark setting's key and value; raises ArgumentTypeError for what is no `KEY=VALUE`."""
    key, equals, value = text.partition("=")
    if not (key.strip() and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is no KEY=VALUE")
    return key.strip(), value


def not_negative(text: str) -> int:
    return 0 if text == "0" else positive(text)


def add_window_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of tasks that read notes in windows."""
    add = parser.add_argument
    add("--max-pieces", type=positive, metavar="N", help="pieces per window; default: the most the model reads")
    add("--stride", type=not_negative, metavar="N", help="pieces that two windows share; default: by the model")
    add("--max-note-pieces", type=positive, metavar="N", help="a longer note is not read; default: all are")
