"""The format that the names of files say."""

from __future__ import annotations

import re
from collections import Counter

from sparkclin.errors import InputError
from sparkclin.runs.sources.files import InputFiles

_FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".txt": "text",
}
_COMPRESSED = re.compile(r"\.(gz|bz2|zst|snappy|lz4|deflate)$", flags=re.IGNORECASE)


def format_of(files: InputFiles) -> str:
    """The format that all names say; raises InputError where they say none, or several."""
    kinds = Counter(ending_of(file.name) for file in files.read)
    formats = {_FORMATS.get(kind) for kind in kinds}
    if len(formats) == 1 and None not in formats:
        return next(iter(formats)) or ""
    said = ", ".join(f"{number:,} {kind or 'without an ending'}" for kind, number in sorted(kinds.items()))
    raise InputError(
        f"the names of the files of {files.shown} do not say one format ({said}; known are {', '.join(_FORMATS)}). "
        "Give --input-format."
    )


def ending_of(name: str) -> str:
    """`.csv` of `a.csv.gz`, in lower case."""
    found = re.search(r"[^/](\.\w+)$", _COMPRESSED.sub("", name))
    return found[1].lower() if found else ""


def advice_on_format(files: InputFiles, format_: str, *, otherwise: str = "Check --input-format.") -> str:
    """What to give where the names say another format."""
    named = {_FORMATS.get(ending_of(file.name)) for file in files.read}
    other = next(iter(named)) if len(named) == 1 else None
    return f"Their names say --input-format {other}." if other and other != format_ else otherwise
