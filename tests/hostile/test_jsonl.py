"""JSON Lines: strict JSON in UTF-8, ids of one kind, texts that are texts; all else is counted and refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import InputError
from sparkclin.runs.corpus import NoteSource, read_corpus
from sparkclin.runs.sources import lines
from sparkclin.runs.sources.jsonl import record_of


@pytest.mark.parametrize(
    ("line", "record"),
    [
        pytest.param(b'{"text": "\\u00e9 \xc3\xa9"}\r', {"text": "é é"}, id="CRLF and escapes"),
        pytest.param(b' {"a": {"b": [1, 2.5, null]}} ', {"a": {"b": [1, 2.5, None]}}, id="nested"),
        pytest.param(b'{"text": "\\ud83e\\ude7a \\u0000"}', {"text": "🩺 \0"}, id="a pair of surrogates and NUL"),
        pytest.param(b'{"text": "\xff"}', None, id="not UTF-8"),
        pytest.param(b'{"text": "\xed\xa0\x80"}', None, id="a surrogate in bytes"),
        pytest.param(b'{"text": "a"} {"text": "b"}', None, id="two objects"),
        pytest.param(b'{"text": "a", "text": "b"}', None, id="a key twice"),
        pytest.param(b'{"text": "a"', None, id="cut off"),
        pytest.param(b'{"text": "a\tb"}', None, id="a bare tab"),
        pytest.param(b'{"text": NaN}', None, id="NaN"),
        pytest.param(b"[1]", None, id="a list"),
        pytest.param(b"[" * 100_000, None, id="deep"),
        pytest.param(b'{"n": ' + b"9" * 5000 + b"}", None, id="a number too long"),
        pytest.param(b"note_id,text", None, id="CSV"),
    ],
)
def test_a_line_is_an_object_or_broken(line: bytes, record: dict[str, Any] | None) -> None:
    assert record_of(line) == record


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def notes_of(spark: SparkSession, path: Path, **options: str) -> list[tuple[object, ...]]:
    corpus = read_corpus(spark, NoteSource(path=str(path), **options))  # type: ignore[arg-type]
    rows = [tuple(row) for row in corpus.notes.collect()]
    assert len(rows) == corpus.records
    return rows


def refused(spark: SparkSession, path: Path, **options: str) -> str:
    with pytest.raises(InputError) as found:
        notes_of(spark, path, **options)
    assert "Quackenbush" not in str(found.value)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_files_of_several_splits_are_read_whole(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "SPLIT_BYTES", 300)
    monkeypatch.setattr(lines, "LINES_AT_ONCE", 3)
    expected = {f"{name}{n}": "fever\n" * (n % 7) for name in "ab" for n in range(50)}
    for name in "ab":
        records = [{"text": text, "note_id": key} for key, text in expected.items() if key[0] == name]
        write(tmp_path / f"{name}.jsonl", *records)
    with (tmp_path / "b.jsonl").open("a") as stream:
        stream.write('\n \r\n{"note_id": "last", "more": [1]}')  # empty lines; no text; no line end
    (tmp_path / "c.jsonl").write_bytes(b"")
    rows = notes_of(spark, tmp_path)
    assert len(rows) == 101
    assert dict(rows) == {**expected, "last": None}  # type: ignore[arg-type]
    assert read_corpus(spark, NoteSource(path=str(tmp_path))).not_read == ("c.jsonl",)


def test_a_byte_order_mark_is_none_of_the_record(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('\ufeff{"note_id": 1, "text": "x"}\n')
    assert notes_of(spark, tmp_path) == [(1, "x")]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (
            [1, "a"],
            "of 2 records of .*, the ids .* all integers of 64 bits: 1 are strings, 1 are integers",
        ),
        ([1, 2.0, True, [3], 2**63], "1 are integers, 4 are neither"),
        (["a", "Quackenbush\ud800"], "1 are strings, 1 are no Unicode"),
    ],
    ids=["mixed", "others", "a lone surrogate"],
)
def test_ids_are_of_one_kind(spark: SparkSession, tmp_path: Path, ids: list[object], message: str) -> None:
    file = write(tmp_path / "a.jsonl", *({"note_id": key, "text": "Quackenbush"} for key in ids))
    with pytest.raises(InputError, match=message):
        notes_of(spark, file)
    assert refused(spark, file)


def test_a_text_that_is_no_text_is_not_made_one(spark: SparkSession, tmp_path: Path) -> None:
    texts = ["x", None, 7, {"Quackenbush": 1}, ["Quackenbush"]]
    file = write(tmp_path / "a.jsonl", *({"note_id": n, "text": text} for n, text in enumerate(texts)))
    assert "of 5 records of" in (message := refused(spark, file))
    assert "3 have a text that is neither a string nor null" in message


def test_a_lone_surrogate_in_a_text_is_kept_as_bytes_that_are_not_utf8(spark: SparkSession, tmp_path: Path) -> None:
    """Its note gets a status of its own."""
    file = write(tmp_path / "a.jsonl", {"note_id": 1, "text": "a\ud800b"})
    notes = read_corpus(spark, NoteSource(path=str(file))).notes
    assert [row[0] for row in notes.selectExpr("cast(text as binary)").collect()] == [b"a\xed\xa0\x80b"]


def test_keys_are_named_where_they_are_plain(spark: SparkSession, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", {"key": 1, "words": "x"}, {"John Quackenbush, fever": 2})
    assert "has no column note_id, text; it has 3 that are not named here" in refused(spark, file)


def test_the_file_of_the_first_broken_line_is_named(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", {"note_id": 1, "text": "x"})
    (tmp_path / "b.jsonl").write_text('{"note_id": 2, "text": "y"}\n{"note_id": "Quackenbush\n')
    assert f"1 lines of {tmp_path} are not JSON objects" in (message := refused(spark, tmp_path))
    assert f"(first: in {tmp_path}/b.jsonl)" in message


def test_one_array_over_many_lines_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"note_id": 1, "text": "Quackenbush"}], indent=2))
    assert "no line of" in refused(spark, tmp_path / "a.json")


def test_csv_read_as_jsonl_says_so(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("note_id,text\n1,Quackenbush\n")
    assert "--input-format csv" in refused(spark, tmp_path, format="jsonl")


def test_a_key_in_another_case_is_not_taken_for_a_missing_text(spark: SparkSession, tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl", {"note_id": 1, "text": "x"}, {"note_id": 2, "Text": "Quackenbush"}, {"note_id": 3}
    )
    assert "1 lack one of note_id, text and have it in another case" in refused(spark, file)
    file = write(
        tmp_path / "c.jsonl", {"note_id": 1, "text": None, "Text": "Quackenbush"}, {"note_id": 2, " text": "x"}
    )
    assert "2 lack one of note_id, text and have it in another case, or with spaces" in refused(spark, file)
    file = write(
        tmp_path / "b.jsonl", {"note_id": 1, "text": "x", "Text": "y"}, {"note_id": 3}, {"note_id": 4, "TEXT": None}
    )
    assert notes_of(spark, file) == [(1, "x"), (3, None), (4, None)]


def test_files_without_a_record_are_named(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "a b.jsonl", {"note_id": 1, "text": "x"})
    (tmp_path / "b.jsonl").write_text(" \n\n")
    (tmp_path / "c.jsonl").write_text("")
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(b""))
    assert read_corpus(spark, NoteSource(path=str(tmp_path))).not_read == ("b.jsonl", "c.jsonl", "d.jsonl.gz")
