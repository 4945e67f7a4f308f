"""The format that the names of files say."""

from __future__ import annotations

import re
from collections import Counter

from sparkclin.errors import InputError
from sparkclin.runs.sources.files import InputFiles
from sparkclin.schema import named

_FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".txt": "text",
}
_COMPRESSED = re.compile(r"\.(gz|bz2|zst|snappy|lz4|lzo|deflate|xz|br|z|zip|7z|tar|tgz|tbz2?|txz)$", re.IGNORECASE)
GZIP = ".gz"
"""The one compression that Hadoop reads to its end or not at all: it takes bzip2 that is cut off between two blocks, or
has something behind its end, for whole, and the others as they are where it lacks a library."""


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


def check_compression(files: InputFiles) -> None:
    """Raises InputError for compressed files other than gzip's, of which notes may be missing, for `.GZ`, which Hadoop
    does not know, and for gzip without a byte, which is cut off: of nothing at all it has some 20."""
    packed = [file.name for file in files.read if _COMPRESSED.search(file.name) and not file.name.endswith(GZIP)]
    if packed:
        raise InputError(
            f"{len(packed)} files of {files.shown} are packed in another way than {GZIP} ({named(packed)}), of which "
            f"notes could be missing. Unpack them, or pack them by gzip, with names that end in {GZIP}."
        )
    if cut := [file.name for file in files.read if file.name.endswith(GZIP) and not file.size]:
        raise InputError(
            f"{len(cut)} files of {files.shown} are named {GZIP} and have no byte ({named(cut)}): gzip has some even "
            "of nothing, so they are cut off. Copy them again, or remove them."
        )


def ending_of(name: str) -> str:
    """`.csv` of `a.csv.gz`, in lower case."""
    found = re.search(r"[^/](\.\w+)$", _COMPRESSED.sub("", name)) or re.search(r"[^/](\.\w+)$", name)
    return found[1].lower() if found else ""


def advice_on_format(files: InputFiles, format_: str, *, otherwise: str = "Check --input-format.") -> str:
    """What to give where the names say another format."""
    named = {_FORMATS.get(ending_of(file.name)) for file in files.read}
    other = next(iter(named)) if len(named) == 1 else None
    return f"Their names say --input-format {other}." if other and other != format_ else otherwise
