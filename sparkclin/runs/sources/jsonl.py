"""JSON Lines (UTF-8): every line is an object that says each of its keys once, or is counted as broken.

An id is a string or an integer of 64 bits, of one kind in all records; a text is a string or null, or is not there.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from sparkclin.errors import InputError
from sparkclin.runs.sources.files import InputFiles, check_folders
from sparkclin.runs.sources.formats import advice_on_format, check_compression
from sparkclin.runs.sources.lines import RECORDS, Batches, FileLines, each_file, map_lines, survey
from sparkclin.runs.sources.notes import SourceNotes, as_compared, batches_of, check_columns, schema_of, with_texts
from sparkclin.runs.sources.places import plain

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparkclin.runs.corpus import NoteSource

_BIGINT = 2**63
_MOST_KEYS = 100
_NOTHING = b" \t\r" + BOM_UTF8


def read_jsonl(spark: SparkSession, source: NoteSource, files: InputFiles) -> SourceNotes:
    """The notes of files of JSON Lines; a text whose key is missing is null.

    Raises InputError, with counts, for lines that are broken, ids and texts of other kinds, and a key that no record
    has.
    """
    check_folders(files)
    check_compression(files)
    columns = source.columns
    seen = survey(spark, files, lambda lines: surveyed(lines, columns), count=count_records, split=True)
    found, counts = seen.found, Counter[str]()
    for part in found:
        counts.update(part["counts"])
    _check_lines(found, counts, files)
    if counts["records"]:
        check_columns(files.shown, columns, sorted({key for part in found for key in part["keys"]}))
    _check_values(counts, source)
    integers = bool(counts["id integer"])

    def rows(batches: Batches) -> Iterator[pa.RecordBatch]:
        id_type = pa.int64() if integers else pa.string()
        return batches_of(parsed(each_file(batches), columns), id_type=id_type, pair=len(columns) > 2)

    schema = schema_of(id_type="bigint" if integers else "string", pair=len(columns) > 2)
    notes = map_lines(spark, files, rows, schema, split=True)
    return SourceNotes(
        notes=with_texts(notes),
        records=seen.records,
        not_read=files.without_records({path for part in found for path in part["files"]}),
    )


def record_of(line: bytes) -> dict[str, Any] | None:
    """The object that a line is; None where it is none in strict JSON, in UTF-8, or has a key twice."""
    try:
        record = _decoder.decode(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key is there twice")
    return record


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_json)


def each_line(lines: FileLines) -> Iterator[tuple[str, bytes]]:
    """The path and the bytes of each line that has anything but white space."""
    path = ""
    for begins, some in lines:
        if begins is not None:
            path, some[0] = plain(unquote(begins)), some[0].removeprefix(BOM_UTF8)
        for line in some:
            if line.strip(b" \t\r"):
                yield path, line


def count_records(batches: Batches, counted: Counter[str]) -> Batches:
    """A Count: of lines that have anything but white space and a byte order mark."""
    for batch in batches:
        counted[RECORDS] += sum(bool(line.strip(_NOTHING)) for line in batch.column(0).to_pylist())
        yield batch


def surveyed(lines: FileLines, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Of all lines of a task: counts of records, of broken lines, and of ids and texts by their kinds; the files that
    have a record; the keys, as far as there are not too many; and the file of the first broken line."""
    counts, files, keys, first = Counter[str](), set[str](), set[str](), None
    needed, alike = set(columns), {as_compared(name) for name in columns}
    for path, line in each_line(lines):
        record = record_of(line)
        if record is None:
            counts["broken"] += 1
            first = first or path
            continue
        counts["records"] += 1
        files.add(path)
        if len(keys) < _MOST_KEYS:
            keys |= record.keys()
        present = record.keys() & needed
        keys |= present
        counts[f"id {_id_kind(record.get(columns[0]))}"] += 1
        counts["other texts"] += any(not isinstance(record.get(name), str | None) for name in columns[1:])
        if any(record.get(name) is None for name in columns):
            other = (key for key in record.keys() - needed if record[key] is not None)
            counts["other case"] += any(as_compared(key) in alike for key in other)
    yield {"counts": counts, "files": sorted(files), "keys": sorted(keys), "first": first}


def _id_kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case str():
            return "string" if _is_unicode(value) else "surrogate"
        case int() if not isinstance(value, bool) and -_BIGINT <= value < _BIGINT:
            return "integer"
    return "other"


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def parsed(lines: FileLines, columns: Sequence[str]) -> Iterator[Sequence[object]]:
    """Of each record the id and the texts, as UTF-8 but for lone surrogates. Raises InputError for a broken line."""
    for path, line in each_line(lines):
        record = record_of(line)
        if record is None:
            raise InputError(f"{path} has a broken line, and had none before: it is being changed.")
        texts = (record.get(name) for name in columns[1:])
        yield (
            record.get(columns[0]),
            *(text if text is None else text.encode("utf-8", "surrogatepass") for text in texts),
        )


def _check_lines(found: Sequence[dict[str, Any]], counts: Counter[str], files: InputFiles) -> None:
    if not counts["broken"]:
        return
    if not counts["records"]:
        raise InputError(f"no line of {files.shown} is a JSON object. {advice_on_format(files, 'jsonl')}")
    first = next(part["first"] for part in found if part["first"])
    raise InputError(
        f"{counts['broken']} lines of {files.shown} are not JSON objects in UTF-8 that have each key once (first: in "
        f"{first}). Mend or remove them: no note may get lost."
    )


def _check_values(counts: Counter[str], source: NoteSource) -> None:
    kinds = {kind: counts[f"id {kind}"] for kind in ("string", "integer", "surrogate", "other") if counts[f"id {kind}"]}
    problems = []
    if len(kinds) > 1 or not kinds.keys() <= {"string", "integer"}:
        said = {"string": "strings", "integer": "integers", "surrogate": "no Unicode", "other": "neither"}
        listed = ", ".join(f"{number:,} are {said[kind]}" for kind, number in kinds.items())
        problems.append(f"the ids ({source.id_column}) are not all strings or all integers of 64 bits: {listed}")
    if counts["other texts"]:
        problems.append(f"{counts['other texts']:,} have a text that is neither a string nor null")
    if counts["other case"]:
        names = ", ".join(source.columns)
        problems.append(f"{counts['other case']:,} lack one of {names} and have it in another case, or with spaces")
    if problems:
        raise InputError(f"of {counts['records']:,} records of {source.path}, {'; '.join(problems)}. Mend them.")
