"""Leftovers of a run that was killed: they are named on stderr, and removed unless their rows are whole."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from sparkclin.errors import masked
from sparkclin.runs.claims import ROWS, claims_on, folders_of, token_of
from sparkclin.runs.report import JSON_FILE
from sparkclin.schema import printable
from sparkclin.spark import storage


def clear_folders(location: str) -> None:
    """Clear the folders next to an output whose run has no claim any more."""
    folders = folders_of(location)  # first: a run writes its claim before its folder
    claimed = {token_of(claim) for claim in claims_on(location)}
    for folder in folders:
        if token_of(folder) not in claimed:
            clear(folder, rows=f"{folder}/{ROWS}")


def clear(folder: str, *, rows: str) -> None:
    """Name what a killed run left in `folder`, and remove it unless its `rows` are whole."""
    if is_whole(rows):
        _say(f"{rows} holds the whole rows of a run that was ended before it published them: move or remove them")
        return
    if files := list(storage.files_below(folder)):
        size, changed_s = sum(file.size for file in files), max(file.changed for file in files) / 1000
        last = datetime.fromtimestamp(changed_s, UTC).isoformat(timespec="seconds")
        _say(
            f"{folder} holds {len(files):,} files ({size / 1e6:,.1f} MB, the last written {last}) of a run that was "
            "ended before its output was whole: they are removed"
        )
    storage.delete(folder)


def is_whole(rows: str) -> bool:
    """Return whether a run wrote its report, which it does after all checks."""
    return storage.exists(f"{rows}/{JSON_FILE}")


def _say(left: str) -> None:
    print(printable(masked(left)), file=sys.stderr)
