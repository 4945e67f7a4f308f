"""Lines of several files, as the readers of a task get them."""

from __future__ import annotations

from sparkclin.runs.sources.lines import FileLines


def lines_of(files: dict[str, bytes], *, at_once: int = 2) -> FileLines:
    """As tasks have them; no lines are of two files."""
    for path, content in files.items():
        found = content.split(b"\n")
        for start in range(0, len(found), at_once):
            yield f"file:/{path}" if start == 0 else None, found[start : start + at_once]
