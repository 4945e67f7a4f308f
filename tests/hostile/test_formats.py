"""The format is what the names say; where they say none, it is asked for. And what is found reaches the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import InputError, OptionError
from sparkclin.runs.corpus import NoteSource, read_corpus
from sparkclin.runs.sources.files import InputFile, InputFiles
from sparkclin.runs.sources.formats import format_of


def files_named(*names: str) -> InputFiles:
    read = tuple(InputFile(path=f"file:/x/{name}", name=name, below=name, size=1) for name in names)
    return InputFiles(path="file:/x", shown="x", base="file:/x", read=read, not_read=())


@pytest.mark.parametrize(
    ("names", "format_"),
    [
        (["part-0.snappy.parquet", "b.PARQUET"], "parquet"),
        (["a.csv", "b.csv.gz", "c.tsv"], "csv"),
        (["a.jsonl", "b.ndjson.bz2", "c.json", "D.JSON.GZ"], "jsonl"),
        (["a.txt", "b c.d.txt"], "text"),
    ],
)
def test_names_say_a_format(names: list[str], format_: str) -> None:
    assert format_of(files_named(*names)) == format_


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.csv", "b.jsonl", "c.jsonl"], r"1 \.csv, 2 \.jsonl"),
        (["part-00000", "b.csv"], r"1 without an ending, 1 \.csv"),
        (["a.zip"], r"1 \.zip"),
        (["notes.v2"], r"1 \.v2"),
        ([".csv", "x.d/csv"], "2 without an ending"),
    ],
)
def test_names_that_do_not_are_counted(names: list[str], said: str) -> None:
    message = rf"^the names of the files of x do not say one format \({said}; .*--input-format\.$"
    with pytest.raises(InputError, match=message):
        format_of(files_named(*names))


def test_columns_are_called_as_asked_whatever_is_found(spark: SparkSession, tmp_path: Path) -> None:
    """Files of text have none."""
    (tmp_path / "a.txt").write_text("x")
    corpus = read_corpus(spark, NoteSource(path=str(tmp_path), id_column="key", text_column="words"))
    assert (corpus.source.format, corpus.notes.columns) == ("text", ["note_id", "text"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.txt", {"pair_column": "pair"}, "a column of other texts was named"),
        ("a.txt", {"delimiter": ";"}, "--delimiter is for csv"),
        ("a.jsonl", {"encoding": "latin-1"}, "--encoding is for csv and text, and the input is jsonl"),
    ],
)
def test_options_are_checked_with_the_format_that_is_found(
    spark: SparkSession, tmp_path: Path, name: str, options: dict[str, str], message: str
) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(OptionError, match=message):
        read_corpus(spark, NoteSource(path=str(tmp_path), **options))  # type: ignore[arg-type]


def test_text_of_another_encoding(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("é €".encode("cp1252"))
    (tmp_path / "b.txt").write_bytes(b"")
    corpus = read_corpus(spark, NoteSource(path=str(tmp_path), encoding="cp1252"))
    assert {row.note_id: row.text for row in corpus.notes.collect()} == {"a.txt": "é €", "b.txt": ""}
    (tmp_path / "c.txt").write_bytes(b"Quackenbush \x81")
    with pytest.raises(InputError, match=r"^1 of 3 files of .* are not cp1252\. Check --encoding\.$"):
        read_corpus(spark, NoteSource(path=str(tmp_path), encoding="cp1252"))


def test_text_that_is_not_utf8_keeps_its_bytes(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"fever \xff\r\n")
    notes = read_corpus(spark, NoteSource(path=str(tmp_path))).notes
    assert [row[0] for row in notes.selectExpr("cast(text as binary)").collect()] == [b"fever \xff\r\n"]
