"""The errors a user of sparkclin can meet.

Each message says what was found, what was expected and what to do. Note text never appears in one: ids, counts and
lengths only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


class SparkclinError(Exception):
    """Base of all errors that sparkclin raises on purpose."""


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


def exit_status(action: Callable[[], object]) -> int:
    """Runs what a command does; its exit status: 0, or 1 for what the user can mend, said in a line."""
    try:
        action()
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
