"""JSON Lines: which lines are records, and what is said of them before they are read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sparkclin.errors import InputError
from sparkclin.runs.sources.jsonl import each_line, parsed, record_of, surveyed
from tests.sparkclin.runs.sources.file_lines import lines_of

COLUMNS = ("note_id", "text")


def figures(*lines: bytes, columns: tuple[str, ...] = COLUMNS) -> Counter[str]:
    (found,) = surveyed(lines_of({"a": b"\n".join(lines)}), columns)
    return Counter(found["counts"])


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_lines_with_anything_are_records_of_their_file(at_once: int) -> None:
    """A byte order mark belongs to the file, if that begins with it."""
    mark = b"\xef\xbb\xbf"
    files = {"a%20b": mark + b"{}\n\n \t\r\n[1]", "c": mark, "d": b"x\n" + mark + b"y\n"}
    assert list(each_line(lines_of(files, at_once=at_once))) == [
        ("/a b", b"{}"), ("/a b", b"[1]"), ("/d", b"x"), ("/d", mark + b"y"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b'{"a": "\xc3\xa9"}', {"a": "é"}),
        (b'{"a": 1, "a": 1}', None),
        (b'{"a": {"b": 1, "b": 2}}', None),
        (b'{"a": "\xff"}', None),
        (b'{"a": Infinity}', None),
        (b"[{}]", None),
        (b"null", None),
        (b"{}", {}),
    ],
)
def test_a_record_is_an_object_with_each_key_once(line: bytes, record: dict[str, Any] | None) -> None:
    assert record_of(line) == record


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_records_of_several_files_in_a_task_are_parsed(at_once: int) -> None:
    files = {
        "a": b'{"note_id": 1, "text": "x"}\n{"note_id": 2, "text": null}',
        "b": b"\n",
        "c": b'\n{"note_id": 3}\n{"text": "\\ud800\\u00e9", "note_id": 4, "more": 5}\n',
    }
    assert list(parsed(lines_of(files, at_once=at_once), COLUMNS)) == [
        (1, b"x"), (2, None), (3, None), (4, b"\xed\xa0\x80\xc3\xa9"),
    ]  # fmt: skip
    assert list(parsed(lines_of({"a": b'{"k": "1", "p": "q", "t": "u"}'}), ("k", "t", "p"))) == [("1", b"u", b"q")]


def test_a_line_that_was_whole_before_and_is_broken_now_is_an_error() -> None:
    with pytest.raises(InputError, match=r"^/b has a broken line, and had none before: it is being changed"):
        list(parsed(lines_of({"a": b"{}", "b": b"{}\n{"}), COLUMNS))


def test_a_task_tells_its_files_its_keys_and_its_first_broken_line() -> None:
    files = {
        "b": b'{"note_id": 1, "text": "x"}\n{"note_id": 2, "mood": 1}',
        "c": b"\n",
        "d": b"{\n[1]",
        "a": b'{"note_id": 3}\n{',
    }
    (found,) = surveyed(lines_of(files), COLUMNS)
    assert found["files"] == ["/a", "/b"]
    assert found["keys"] == ["mood", "note_id", "text"]
    assert found["first"] == "/d"
    assert found["counts"] == {"records": 3, "broken": 3, "id integer": 3, "other texts": 0, "other case": 0}


def test_a_task_without_lines_tells_nothing() -> None:
    assert list(surveyed(iter(()), COLUMNS)) == [{"counts": Counter(), "files": [], "keys": [], "first": None}]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b'"7"', "string"), (b'""', "string"), (b'"\\ud800"', "surrogate"), (b"null", "null"), (b"7", "integer"),
        (b"-9223372036854775808", "integer"), (b"-9223372036854775809", "other"),
        (b"9223372036854775807", "integer"), (b"9223372036854775808", "other"),
        (b"true", "other"), (b"7.0", "other"), (b"[]", "other"),
    ],
)  # fmt: skip
def test_ids_are_counted_by_their_kinds(value: bytes, kind: str) -> None:
    found = figures(b'{"note_id": ' + value + b', "text": "x"}')
    assert {key: number for key, number in found.items() if key.startswith("id ")} == {f"id {kind}": 1}


def test_an_id_that_is_not_there_is_null() -> None:
    assert figures(b'{"text": "x"}')["id null"] == 1


@pytest.mark.parametrize(
    ("line", "others"),
    [
        (b'{"note_id": 1, "text": "x", "pair": "y"}', 0),
        (b'{"note_id": 1, "text": null}', 0),
        (b'{"note_id": 1, "text": 5}', 1),
        (b'{"note_id": 1, "text": "x", "pair": []}', 1),
        (b'{"note_id": 1, "text": {}, "pair": 5}', 1),
    ],
)
def test_records_with_a_text_of_another_kind_are_counted(line: bytes, others: int) -> None:
    assert figures(line, columns=("note_id", "text", "pair"))["other texts"] == others


@pytest.mark.parametrize(
    ("line", "others"),
    [
        (b'{"note_id": 1, "Text": "x"}', 1),
        (b'{"note_id": 1, " text ": "x"}', 1),
        (b'{"note_id": 1, "text": null, "TEXT": "x"}', 1),
        (b'{"note_id": 1, "text": "x", "TEXT": "y"}', 0),
        (b'{"note_id": 1, "TEXT": null}', 0),
        (b'{"note_id": 1, "texts": "x"}', 0),
        (b'{"NOTE_ID": 1, "text": "x"}', 1),
    ],
)
def test_records_with_a_key_in_another_case_are_counted_where_they_lack_it(line: bytes, others: int) -> None:
    assert figures(line)["other case"] == others


def test_of_very_many_keys_only_those_of_notes_are_told() -> None:
    many = [b'{"k%d": 1}' % n for n in range(150)]
    (found,) = surveyed(lines_of({"a": b"\n".join([*many, b'{"note_id": 1, "last": 1, "text": "x"}'])}), COLUMNS)
    assert len(found["keys"]) == 102
    assert {"note_id", "text"} < set(found["keys"])
    assert "last" not in found["keys"]
