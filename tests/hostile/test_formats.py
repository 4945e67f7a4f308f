"""The format is what the names say; where they say none, it is asked for. And what is found reaches the report."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import InputError, OptionError, SetupError
from sparkclin.runs.corpus import NoteSource, read_corpus
from sparkclin.runs.sources import lines
from sparkclin.runs.sources.files import InputFile, InputFiles
from sparkclin.runs.sources.formats import format_of
from sparkclin.spark.session import MOST_OF_A_LINE, check_session
from tests.sparkclin.processes import run_python


def files_named(*names: str) -> InputFiles:
    read = tuple(InputFile(path=f"file:/x/{name}", name=name, below=name, size=1, changed=0) for name in names)
    return InputFiles(path="file:/x", shown="x", base="file:/x", roots=("file:/x",), read=read, not_read=())


@pytest.mark.parametrize(
    ("names", "format_"),
    [
        (["part-0.snappy.parquet", "b.PARQUET"], "parquet"),
        (["a.csv", "b.csv.gz", "c.tsv"], "csv"),
        (["a.jsonl", "b.ndjson.bz2", "c.json", "D.JSON.GZ", "e.json.zip"], "jsonl"),
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


BZIP2 = {
    "whole": bz2.compress(b"note_id,text\n1,a\n") + bz2.compress(b"2,b\n"),
    "a second stream cut off in its magic bytes": bz2.compress(b"note_id,text\n1,a\n") + bz2.compress(b"2,b\n")[:3],
    "more behind its end": bz2.compress(b"note_id,text\n1,a\n") + b"2,b\n",
}


@pytest.mark.parametrize("content", BZIP2.values(), ids=BZIP2)
@pytest.mark.parametrize("name", ["a.csv.bz2", "a.jsonl.BZ2", "a.txt.bz2"])
def test_bzip2_is_refused(spark: SparkSession, tmp_path: Path, name: str, content: bytes) -> None:
    """Hadoop takes the last two for whole, and a note is lost."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"are packed in another way than \.gz .*Unpack them, or pack them by gzip"):
        read_corpus(spark, NoteSource(path=str(tmp_path)))


@pytest.mark.parametrize("ending", ["GZ", "zst", "lz4", "snappy", "deflate", "xz", "zip", "Z"])
@pytest.mark.parametrize("format_", ["csv", "jsonl", "text"])
def test_other_packed_files_are_refused(spark: SparkSession, tmp_path: Path, ending: str, format_: str) -> None:
    (tmp_path / f"a.{ending}").write_bytes(gzip.compress(b"note_id,text\n1,a\n"))
    with pytest.raises(InputError, match="are packed in another way"):
        read_corpus(spark, NoteSource(path=str(tmp_path), format=format_))


PACKED = gzip.compress(b"note_id,text\n1,a\n") + gzip.compress(b"2,b\n3,c\n")
DAMAGED = {
    "wrong checksum": PACKED[:-6] + bytes([PACKED[-6] ^ 1]) + PACKED[-5:],
    "more behind its end": PACKED + b"garbage that is no member",
    **{f"{cut} bytes less": PACKED[:-cut] for cut in (1, 4, 8, 12, 20)},
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_gzip_is_read_to_its_end_or_refused(spark: SparkSession, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv.gz").write_bytes(PACKED)
    assert read_corpus(spark, NoteSource(path=str(tmp_path))).records == 3
    (tmp_path / "a.csv.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.csv\.gz cannot be read .*copy it again"):
        read_corpus(spark, NoteSource(path=str(tmp_path)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_mark_that_a_text_begins_with_is_no_text(spark: SparkSession, tmp_path: Path, encoding: str) -> None:
    texts = {"a.txt": b"\xef\xbb\xbffever", "b.txt": b"\xef\xbb\xbf\xff \xf0", "c.txt": b"\xef\xbb\xbf", "d.txt": b"x"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
    notes = read_corpus(spark, NoteSource(path=str(tmp_path), encoding=encoding)).notes
    found = dict(map(tuple, notes.selectExpr("note_id", "cast(text as binary)").collect()))
    assert found == {name: text.removeprefix(b"\xef\xbb\xbf") for name, text in texts.items()}


@pytest.mark.parametrize("format_", ["csv", "jsonl", "text"])
def test_what_a_session_says_of_long_lines_does_not_count(spark: SparkSession, tmp_path: Path, format_: str) -> None:
    """Hadoop would leave out lines that are longer, and say nothing."""
    long = "fever " * 50
    written = {
        "csv": f"note_id,text\n1,{long}\n2,x\n",
        "jsonl": f'{{"note_id": "1", "text": "{long}"}}\n{{"note_id": "2", "text": "x"}}\n',
        "text": long,
    }
    (tmp_path / f"a.{format_}").write_text(written[format_])
    configuration = spark.sparkContext._jsc.hadoopConfiguration()
    configuration.set(MOST_OF_A_LINE, "100")
    spark.conf.set(MOST_OF_A_LINE, "100")
    try:
        notes = read_corpus(spark, NoteSource(path=str(tmp_path), format=format_)).notes
        assert long in [row.text for row in notes.collect()]
        with pytest.raises(SetupError, match=MOST_OF_A_LINE):
            check_session(spark)
    finally:
        configuration.unset(MOST_OF_A_LINE)
        spark.conf.unset(MOST_OF_A_LINE)


def test_files_that_are_packed_into_one_task_keep_their_headers_apart(spark: SparkSession, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(f"note_id,text\n{name},cough\n")
    code = """
import sys, sparkclin
from sparkclin.runs.corpus import NoteSource, read_notes
settings = {"spark.ui.enabled": "false", "spark.sql.files.maxPartitionNum": "1"}
spark = sparkclin.spark_session(settings=settings, spark_nlp=False)
print(sorted(row.note_id for row in read_notes(spark, NoteSource(path=sys.argv[1])).collect()))
"""
    assert run_python(code, str(tmp_path)).stdout.strip() == "['a', 'b']"
    assert spark


def test_tasks_that_read_several_files_are_refused(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(f"note_id,text\n{name},cough\n")
    monkeypatch.setattr(lines, "_MOST", 1)
    with pytest.raises(InputError, match=r"Spark reads the 2 files of .* in 1 tasks"):
        read_corpus(spark, NoteSource(path=str(tmp_path)))
