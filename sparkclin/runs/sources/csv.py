"""CSV by RFC 4180, exactly: every record is taken as it stands, or counted as broken.

A field is quoted, with quotes doubled inside, or has no quote and no line break. `""` is empty, a field without
anything is null. A record has as many fields as its file's header. Lines without anything, between records, are none.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from sparkclin.errors import InputError
from sparkclin.runs.sources.files import InputFiles, check_folders
from sparkclin.runs.sources.formats import advice_on_format, check_compression, ending_of
from sparkclin.runs.sources.lines import RECORDS, Batches, FileLines, each_file, map_lines, survey
from sparkclin.runs.sources.notes import SourceNotes, as_compared, batches_of, check_columns, schema_of, with_texts
from sparkclin.runs.sources.places import plain

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparkclin.runs.corpus import NoteSource

MOST_BYTES = 256 * 1024**2
"""Of a record: a quote that is not closed would take the rest of the file."""

_PROBLEMS = {
    "broken": "are not as RFC 4180 says, with the fields of the header",
    "undecoded": "are not {}",
    "headers": "are a header again, as where files were put behind each other",
}
"""Of records, by what is counted of each file."""

QUOTING = "a field with a quote, a line break or the delimiter is in quotes, with the quotes in it doubled"

_QUOTE = b'"'
_TAB = "\t"


def read_csv(spark: SparkSession, source: NoteSource, files: InputFiles) -> SourceNotes:
    """The notes of files that have the same header each.

    Raises InputError, with counts, where a record is broken, headers differ, or a column is missing.
    """
    check_folders(files)
    check_compression(files)
    form = CsvForm(encoding=source.encoding, delimiter=source.delimiter or _delimiter(files))
    columns = source.columns
    seen = survey(spark, files, lambda lines: surveyed(lines, form, columns), count=count_records, split=False)
    found = sorted(seen.found, key=lambda file: str(file["path"]))
    _check_records(found, source, form, files)
    header = _only_header(found, files)
    check_columns(files.shown, columns, header, header=True)
    wanted = [header.index(name) for name in columns]
    parser = RecordParser(form=form, n_fields=len(header), wanted=tuple(wanted))

    def rows(batches: Batches) -> Iterator[pa.RecordBatch]:
        return batches_of(parsed(each_file(batches), parser), id_type=pa.string(), pair=len(wanted) > 2)

    notes = map_lines(spark, files, rows, schema_of(pair=len(wanted) > 2), split=False)
    return SourceNotes(
        notes=with_texts(notes),
        records=seen.records,
        not_read=files.without_records({file["path"] for file in found if file["records"]}),
    )


@dataclass(frozen=True, kw_only=True)
class CsvForm:
    """How CSV is written; `delimiter` is one character."""

    encoding: str
    delimiter: str

    @property
    def field(self) -> str:
        """A pattern of one field. It gives nothing back, so that a record takes linear time."""
        return rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"\r\n{re.escape(self.delimiter)}]*+)'

    def header(self, record: bytes) -> list[str] | None:
        """The names in the first record of a file; None where it is broken."""
        try:
            text = record.removeprefix(BOM_UTF8).decode(self.encoding)
        except UnicodeDecodeError:
            return None
        name = re.compile(f"({self.field})({re.escape(self.delimiter)}|\\Z)")
        names, end = [], 0
        while found := name.match(text, end):
            names.append(_value(found[1]) or "")
            end = found.end()
            if not found[2]:
                return names
        return None


@dataclass(frozen=True, kw_only=True)
class RecordParser:
    """Takes the fields `wanted`, by their numbers from 0, of records of `n_fields`."""

    form: CsvForm
    n_fields: int
    wanted: tuple[int, ...] = ()

    def values(self, record: bytes) -> list[str | None] | None:
        """The wanted ones; None where the record is broken. Raises UnicodeDecodeError."""
        found = self._pattern.fullmatch(record.decode(self.form.encoding))
        return None if found is None else [_value(found[f"f{number}"]) for number in self.wanted]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        field = self.form.field
        fields = (f"(?P<f{n}>{field})" if n in self.wanted else field for n in range(self.n_fields))
        return re.compile(re.escape(self.form.delimiter).join(fields))


def _value(field: str) -> str | None:
    if field.startswith('"'):
        return field[1:-1].replace('""', '"')
    return field or None


class _Splitter:
    """A file's records, of its lines: a record ends where its quotes are paired."""

    def __init__(self) -> None:
        self._number = 0
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._first = 0

    def feed(self, lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
        """Each record that ends in these lines, without its line end, and the number of its first line, from 1."""
        for line in lines:
            self._number += 1
            odd = line.count(_QUOTE) & 1
            if self._held:
                self._hold(line)
                if odd:
                    yield from self.end()
            elif odd:
                self._first = self._number
                self._hold(line)
            elif line and line != b"\r":
                yield self._number, line.removesuffix(b"\r")

    def end(self) -> Iterator[tuple[int, bytes]]:
        """The record that is held: at the end of a file one whose quotes are not paired."""
        if self._held:
            yield self._first, b"\n".join(self._held).removesuffix(b"\r")
        self._held, self._held_bytes = [], 0

    def _hold(self, line: bytes) -> None:
        """Of a record that is too long to be one, only its beginning, which is broken."""
        self._held_bytes += len(line) + 1
        if self._held_bytes <= MOST_BYTES or not self._held:
            self._held.append(line)
        else:
            self._held = [_QUOTE]


def each_record(lines: FileLines) -> Iterator[tuple[str, int, bytes]]:
    """The path, the number of the first line and the bytes of each record, of one file after the other."""
    path, splitter = "", _Splitter()
    for begins, some in lines:
        if begins is not None:
            yield from ((path, *record) for record in splitter.end())
            path, splitter = plain(unquote(begins)), _Splitter()
        for number, record in splitter.feed(some):
            yield path, number, record
    yield from ((path, *record) for record in splitter.end())


def count_records(batches: Batches, counted: Counter[str]) -> Batches:
    """A Count: of records behind the header of each file. A record ends with a line up to which quotes are paired."""
    in_file, is_open = 0, False
    for batch in batches:
        for line, path in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            if path is not None:
                counted[RECORDS] += max(in_file + is_open - 1, 0)
                in_file, is_open = 0, False
            was_open, is_open = is_open, is_open ^ bool(line.count(_QUOTE) % 2)
            in_file += not is_open and (was_open or line not in (b"", b"\r"))
        yield batch
    counted[RECORDS] += max(in_file + is_open - 1, 0)


@dataclass(frozen=True, kw_only=True)
class HeaderNames:
    """Tells a header between records, as where files were put behind each other: it has the names of all `columns` of
    notes, in any order and case, quoted or not."""

    form: CsvForm
    columns: Sequence[str]

    def are_in(self, record: bytes) -> bool:
        lower = record.lower()  # few records have all the names anywhere, and only those are parsed
        if not all(name in lower for name in self._in_bytes):
            return False
        found = {as_compared(name) for name in self.form.header(record) or ()}
        return found.issuperset(map(as_compared, self.columns))

    @cached_property
    def _in_bytes(self) -> list[bytes]:
        return [name.replace('"', '""').encode(self.form.encoding, "replace").lower() for name in self.columns]


def surveyed(lines: FileLines, form: CsvForm, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Of each file its path, its header, how many records it has, how many are broken, how many are not in the encoding
    and how many are a header of the `columns` again, and the line where the first of these begins."""
    file: dict[str, Any] = {}
    names = HeaderNames(form=form, columns=columns)
    parser = RecordParser(form=form, n_fields=0)
    for path, number, record in each_record(lines):
        if file.get("path") != path:
            if file:
                yield file
            header = form.header(record)
            file = {"path": path, "header": header, "records": 0, **dict.fromkeys(_PROBLEMS, 0), "first": None}
            parser = RecordParser(form=form, n_fields=len(header or ()))
            continue
        file["records"] += 1
        if (problem := "headers" if names.are_in(record) else _problem(record, parser)) is not None:
            file[problem] += 1
            file["first"] = file["first"] or number
    if file:
        yield file


def _problem(record: bytes, parser: RecordParser) -> str | None:
    try:
        return "broken" if parser.values(record) is None else None
    except UnicodeDecodeError:
        return "undecoded"


def parsed(lines: FileLines, parser: RecordParser) -> Iterator[Sequence[object]]:
    """The wanted fields of each record: an id, then texts as UTF-8. Raises InputError for a broken one."""
    file = None
    for path, number, record in each_record(lines):
        if path != file:  # its header
            file = path
            continue
        try:
            values = parser.values(record)
        except UnicodeDecodeError:
            values = None
        if values is None:
            raise InputError(f"{path} has a broken record in line {number}, and had none before: it is being changed.")
        yield values[0], *(text if text is None else text.encode() for text in values[1:])


def _check_records(found: Sequence[dict[str, Any]], source: NoteSource, form: CsvForm, files: InputFiles) -> None:
    if headless := [file["path"] for file in found if file["header"] is None]:
        raise InputError(
            f"the first line of {len(headless)} files is no header in CSV that is {form.encoding} (first: "
            f"{headless[0]}). {advice_on_format(files, 'csv')} Or give --encoding or --delimiter."
        )
    counts = {kind: sum(file[kind] for file in found) for kind in _PROBLEMS}
    problems = [f"{number:,} {_PROBLEMS[kind].format(form.encoding)}" for kind, number in counts.items() if number]
    if not problems:
        return
    first = next(file for file in found if file["first"])
    records = sum(file["records"] for file in found)
    raise InputError(
        f"of {records:,} records of {source.path}, {' and '.join(problems)}. The first begins in line "
        f"{first['first']:,} of {first['path']}. Mend them ({QUOTING}), or give --delimiter or --encoding: no note may "
        "get lost."
    )


def _only_header(found: Sequence[dict[str, Any]], files: InputFiles) -> list[str]:
    """That of all files; raises InputError where they differ. Their names are not shown: one may be a patient's."""
    if not found:
        raise InputError(f"there is no record in {files.shown}. Check --input.")
    first: list[str] = found[0]["header"]
    unlike = [file["path"] for file in found if file["header"] != first]
    if unlike:
        raise InputError(
            f"{len(unlike)} of {len(found)} files of {files.shown} have another first line than {found[0]['path']} "
            f"(first: {unlike[0]}). Each needs the same header: the same columns in the same order."
        )
    return first


def _delimiter(files: InputFiles) -> str:
    return _TAB if all(ending_of(file.name) == ".tsv" for file in files.read) else ","
