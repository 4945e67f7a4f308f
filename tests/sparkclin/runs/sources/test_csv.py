"""CSV by RFC 4180: which records lines are, and which fields records have."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sparkclin.errors import InputError
from sparkclin.runs.sources import csv
from sparkclin.runs.sources.csv import CsvForm, HeaderNames, RecordParser, each_record, parsed, surveyed
from tests.sparkclin.runs.sources.file_lines import lines_of

FORM = CsvForm(encoding="utf-8", delimiter=",")
COLUMNS = ("note_id", "text")


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_records_are_numbered_by_their_first_lines_in_each_file(at_once: int) -> None:
    files = {
        "a%20b.csv": b'h,t\r\n1,"x\r\ny"\r\n\n\r\n2,z\n',
        "c.csv": b'h,t\n3,"open\n4,',
        "d.csv": b"h,t\n5,w",
        "e.csv": b'6,"open',
    }
    assert list(each_record(lines_of(files, at_once=at_once))) == [
        ("/a b.csv", 1, b"h,t"), ("/a b.csv", 2, b'1,"x\r\ny"'), ("/a b.csv", 6, b"2,z"),
        ("/c.csv", 1, b"h,t"), ("/c.csv", 2, b'3,"open\n4,'),
        ("/d.csv", 1, b"h,t"), ("/d.csv", 2, b"5,w"),
        ("/e.csv", 1, b'6,"open'),
    ]  # fmt: skip


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_records_of_several_files_in_a_task_are_parsed_each_behind_its_header(at_once: int) -> None:
    files = {"a": b"note_id,text,n\n1,x,0\n2,,0", "b": b"note_id,text,n\n", "c": b'note_id,text,n\n"3","y\nz",\n'}
    parser = RecordParser(form=FORM, n_fields=3, wanted=(0, 1))
    assert list(parsed(lines_of(files, at_once=at_once), parser)) == [("1", b"x"), ("2", None), ("3", b"y\nz")]


def test_each_file_of_a_task_has_its_own_figures() -> None:
    files = {
        "a": b"note_id,text\n1,x\n2\n3,\xff\nTEXT,note_id\n4,y",
        "b": b"note_id,text",
        "c": b"id,text,more\n1,x,\n2,y\n",
        "d": b'1,a"b\n',
    }
    assert list(surveyed(lines_of(files), FORM, COLUMNS)) == [
        {"path": "/a", "header": ["note_id", "text"], "records": 5, "broken": 1, "undecoded": 1, "headers": 1,
         "first": 3},
        {"path": "/b", "header": ["note_id", "text"], "records": 0, "broken": 0, "undecoded": 0, "headers": 0,
         "first": None},
        {"path": "/c", "header": ["id", "text", "more"], "records": 2, "broken": 1, "undecoded": 0, "headers": 0,
         "first": 3},
        {"path": "/d", "header": None, "records": 0, "broken": 0, "undecoded": 0, "headers": 0, "first": None},
    ]  # fmt: skip
    assert list(surveyed(iter(()), FORM, COLUMNS)) == []


@pytest.mark.parametrize("problem", [b"1", b"1,\xff", b'1,"open'])
def test_a_record_that_was_whole_before_and_is_broken_now_is_an_error(problem: bytes) -> None:
    files = {"a": b"note_id,text\n0,x\n" + problem, "b": b"note_id,text"}
    with pytest.raises(InputError, match=r"^/a has a broken record in line 3, and had none before"):
        list(parsed(lines_of(files), RecordParser(form=FORM, n_fields=2, wanted=(0, 1))))


@pytest.mark.parametrize("most", [15, 16, 17])
def test_a_record_may_have_so_many_bytes(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """That of 16 is whole up to its limit. What is longer is held by a quote alone, and its end is still found."""
    monkeypatch.setattr(csv, "MOST_BYTES", most)
    record = b'1,"fever\ncough"'
    found = list(each_record(lines_of({"a": b"note_id,text\n" + record + b"\n2,x"})))
    assert [number for _, number, _ in found] == [1, 2, 4]
    assert [text for *_, text in found] == [b"note_id,text", record if most >= 16 else b'"', b"2,x"]


def test_a_record_that_goes_on_after_the_limit_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever follows it until its quote is closed is not taken for records of its own."""
    monkeypatch.setattr(csv, "MOST_BYTES", 8)
    found = list(each_record(lines_of({"a": b'1,"aaaaaaaa\n2,b\n3,c\n4,d"\n5,e'})))
    assert [(number, text[:1]) for _, number, text in found] == [(1, b'"'), (5, b"5")]
    (figures,) = surveyed(lines_of({"a": b'note_id,text\n1,"aaaaaaaa\n2,b\n3,c\n4,d"\n5,e'}), FORM, COLUMNS)
    assert (figures["records"], figures["broken"], figures["first"]) == (2, 1, 2)


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (b"note_id,text", ["note_id", "text"]),
        (b'\xef\xbb\xbf"note_id","te""xt"', ["note_id", 'te"xt']),
        (b'"a,b",,c', ["a,b", "", "c"]),
        (b"a,", ["a", ""]),
        (b"", [""]),
        (b'a"b,c', None),
        (b'"a"b,c', None),
        (b"\xff,c", None),
    ],
)
def test_a_header_has_the_names_of_its_fields(record: bytes, names: list[str] | None) -> None:
    assert FORM.header(record) == names


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "^", "]"])
def test_any_character_can_part_fields(delimiter: str) -> None:
    form = CsvForm(encoding="cp1252", delimiter=delimiter)
    record = delimiter.join(["a,b", f'"x{delimiter}y"', "\x80"]).encode()
    assert form.header(record.replace(b"\xc2\x80", b"\x80")) == ["a,b", f"x{delimiter}y", "€"]
    parser = RecordParser(form=form, n_fields=3, wanted=(2, 1))
    assert parser.values(record.replace(b"\xc2\x80", b"\x80")) == ["€", f"x{delimiter}y"]


@pytest.mark.parametrize(
    ("record", "wanted", "values"),
    [
        (b"1,,x", (0, 1, 2), ["1", None, "x"]),
        (b'1,"",""""', (0, 1, 2), ["1", "", '"']),
        (b'1,"a""b",c', (1,), ['a"b']),
        (b"1,2,3", (2, 0), ["3", "1"]),
        (b"1,2,3", (), []),
        (b"1,2", (0,), None),
        (b"1,2,3,4", (0,), None),
        (b'1,2,"3"x', (0,), None),
        (b"1,2,3\r4", (0,), None),
        (b'"1\r\n",2,3', (0,), ["1\r\n"]),
    ],
)
def test_a_record_has_the_fields_of_its_header(
    record: bytes, wanted: tuple[int, ...], values: list[str | None] | None
) -> None:
    assert RecordParser(form=FORM, n_fields=3, wanted=wanted).values(record) == values


@pytest.mark.parametrize(
    ("record", "columns", "is_header"),
    [
        (b"note_id,text", COLUMNS, True),
        (b'more,"TEXT", Note_ID ', COLUMNS, True),
        (b"note_id,texts", COLUMNS, False),
        (b"note_id", COLUMNS, False),
        (b"1,note_id text", COLUMNS, False),
        (b'note_id,text,"open', COLUMNS, False),
        (b'"a ""b""",text', ('a "b"', "text"), True),
        (b"x", (), True),
    ],
)
def test_a_header_between_records_is_told_by_the_names_of_all_columns(
    record: bytes,
    columns: Sequence[str],
    is_header: bool,  # noqa: FBT001
) -> None:
    assert HeaderNames(form=FORM, columns=columns).are_in(record) is is_header
