"""The errors a user of sparkclin can meet.

Each message says what was found, what was expected and what to do. Note text never appears in one: ids, counts and
lengths only. Nor do credentials that a URL may carry.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

# A port, as in hdfs://name:8020/a@b, is no password. Without a colon it is the container of abfss://notes@account.
_PASSWORD = re.compile(r"(?<=://)[^\s/:@]*:(?!\d+/)\S*@")
_TOKEN = re.compile(r"(?<!abfs://)(?<!abfss://)(?<!wasb://)(?<!wasbs://)(?<=://)[^\s/:@]+@")
_QUERY = re.compile(r"(://[^\s?]*\?)\S*=\S*")


INTERRUPTED = 130
"""The exit status of a command that Ctrl-C ends, as shells have it."""

# What a terminal would obey: names of files may have such.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def masked(text: str) -> str:
    """The text with `***` for what is secret in a URL: user and password, and a query, which may be a signature."""
    return _QUERY.sub(r"\1***", _TOKEN.sub("***@", _PASSWORD.sub("***@", text)))


def without_controls(text: str) -> str:
    """The text with escapes for what a terminal would obey, but for line breaks."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


class SparkclinError(Exception):
    """Base of all errors that sparkclin raises on purpose."""

    def __init__(self, message: str = "") -> None:
        super().__init__(without_controls(masked(message)))


class SetupError(SparkclinError):
    """Java, Spark, Spark NLP or a jar is missing or of the wrong version."""


class ModelError(SparkclinError):
    """A model is unknown, incomplete, altered, or not what its manifest says."""


class InputError(SparkclinError):
    """The notes handed in cannot be processed as they are: missing columns, duplicate or null ids."""


class OptionError(SparkclinError, ValueError):
    """An option has a value that it cannot have."""


class IncompleteError(SparkclinError):
    """What came out does not account for all that went in."""


class StepError(SparkclinError):
    """Spark, Java or Python failed at a step: which exception, and where. What it says is left out, because it may show
    note text."""


def exit_status(action: Callable[[], object]) -> int:
    """Runs what a command does; its exit status: 0, or 1 for what the user can mend, said in a line."""
    try:
        action()
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
