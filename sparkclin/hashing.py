"""SHA-256 in hex digits: of a file on this machine, as `sha256sum` prints it, and of a text."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_text(text: str) -> str:
    """Of its UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
