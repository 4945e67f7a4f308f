"""Names that several sides share: of tasks, columns, statuses and levels. The one check of columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparkclin.errors import InputError

EMBED, ENTITIES, CLASSIFY, ANSWER = "embed", "entities", "classify", "answer"
"""Tasks: vectors, of a model without a head for another task; a label per piece; labels per note, or per pair of a note
and another text; the part of a note that answers a question."""

NOTE_ID, TEXT, PAIR, QUESTION = "note_id", "text", "pair", "question"
PIECES, N_PIECES, N_WINDOWS, STATUS = "pieces", "n_pieces", "n_windows", "status"
EMBEDDINGS, VECTORS, VECTOR = "embeddings", "vectors", "vector"

MODEL, ENGINE, PRECISION, MODEL_DIGEST = MADE_BY = ("model", "engine", "precision", "model_digest")
"""Columns of every task's rows, side by side: which exported model made a row. The digest is Bundle.digest."""

METADATA = "sparkclin"
"""The key of what this package says in a column's metadata."""

STATUSES = ("ok", "empty", "null", "not_utf8", "too_long", "pair_too_long")
STATUS_OK, STATUS_EMPTY, STATUS_NULL, STATUS_NOT_UTF8, STATUS_TOO_LONG, STATUS_PAIR_TOO_LONG = STATUSES
"""Of a note: read; white space only; null; its bytes are no text; it has more pieces than were to be read; its pair,
such as a question, leaves no room for it in a window."""

STATUS_NO_PIECES = "no_pieces"
"""Of a sentence of an embedded note that no piece begins in: where `..` is one piece, it may be two sentences."""

STATUS_NO_ANSWER = "no_answer"
"""Of an answer: that there is none."""

STATUS_NO_ENTITIES = "no_entities"
"""Of a note that was read and has none."""

LEVELS = ("document", "window", "sentence", "token")
"""What a note is cut into: a segment of each kind gets one vector."""


def check_note_columns(present: Sequence[str], *, also: Sequence[str] = ()) -> None:
    """Raises InputError where notes lack note_id, text or what else is needed."""
    if problems := column_problems(present, needed=(NOTE_ID, TEXT, *also)):
        raise InputError(
            f"{'; '.join(problems)}. Rename yours, or read the notes with sparkclin.runs.corpus.read_notes()."
        )


def column_problems(present: Sequence[str], *, needed: Sequence[str] = (), added: Sequence[str] = ()) -> list[str]:
    """What is wrong with the columns `present`: those `needed` that are missing, those `added` that are there already.

    Spark does not tell `Status` from `status`, so neither do the added ones.
    """
    there = {name.lower() for name in present}
    problems = []
    if missing := [name for name in needed if name not in present]:
        problems.append(f"there is no column {', '.join(missing)}; the columns are {printable_names(present)}")
    if clashing := [name for name in added if name.lower() in there]:
        problems.append(f"columns that would be added are there already: {', '.join(clashing)}")
    return problems


def printable(text: str) -> str:
    """The text, with escapes where it has a character that a terminal would obey."""
    return text if text.isprintable() else ascii(text)


MOST_FILES = 3


def named(names: Sequence[str], *, most: int = MOST_FILES) -> str:
    """The first names, by default of files, as they are named in a message."""
    return ", ".join(map(printable, names[:most])) + (", …" if len(names) > most else "")


def plain_value(value: object) -> str:
    """A setting or a figure for people: `4,094`, `yes`, `O, B-Disease`."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(map(plain_value, value))
    return str(value)


PLAIN_ID = "[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}"
"""An id that errors and reports may show; others, such as those with a space, may be a name or a text."""

ID_NOT_SHOWN = "(id not shown)"


def shown_id(note_id: str) -> str:
    """The id where it is plain."""
    return note_id if re.fullmatch(PLAIN_ID, note_id) else ID_NOT_SHOWN


IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
MOST_NAMES = 20


def printable_names(columns: Sequence[str]) -> str:
    """`note_id, text`; only how many there are where one of them is no plain identifier, such as one with a space.

    In a file without a header its first record stands in the place of the names: `17`, `Smith`, `Fever since Monday`.
    """
    odd = sum(not IDENTIFIER.fullmatch(name) for name in columns)
    if odd:
        return f"{len(columns)} that are not named here, because {odd} of the names are no identifiers"
    return named(columns, most=MOST_NAMES) or "none"
