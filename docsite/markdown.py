"""Texts of the code as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence


def escaped(text: str) -> str:
    """A text that is shown as it is, but for what stands between backticks, which is code. An option is code too."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    plain = re.sub(r"([\\`*_{}\[\]<>#$|])", r"\\\1", text)
    return re.sub(r"(?<![\w-])(--[a-z](?:[a-z-]|\\_)*)", lambda found: f"`{found[1]}`", plain)


def cell(text: str) -> str:
    return escaped(" ".join(text.split()))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
