"""CSV as it comes: every record exactly as it stands, or the run is refused with counts and a place, never its text."""

from __future__ import annotations

import csv
import gzip
import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import InputError, OptionError
from sparkclin.runs.corpus import Corpus, NoteSource, read_corpus, read_notes
from sparkclin.runs.sources import lines
from sparkclin.runs.sources.csv import CsvForm, RecordParser, parsed, surveyed

HEADER = b"note_id,text\n"
FORM = CsvForm(encoding="utf-8", delimiter=",")
COLUMNS = ("note_id", "text")


def lines_of(content: bytes, *, at_once: int = 2) -> lines.FileLines:
    """As tasks have them."""
    found = content.removesuffix(b"\n").split(b"\n")
    for start in range(0, len(found), at_once):
        yield "file:/notes.csv" if start == 0 else None, found[start : start + at_once]


def taken(content: bytes) -> dict[object, object]:
    (file,) = surveyed(lines_of(HEADER + content), FORM, COLUMNS)
    assert (file["broken"], file["undecoded"], file["header"]) == (0, 0, ["note_id", "text"])
    parser = RecordParser(form=FORM, n_fields=2, wanted=(0, 1))
    found = parsed(lines_of(HEADER + content), parser)
    rows = [(key, text.decode() if isinstance(text, bytes) else text) for key, text in found]
    assert file["records"] == len(rows) == len(dict(rows))
    return dict(rows)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        pytest.param(b"1,fever\n2,cough", {"1": "fever", "2": "cough"}, id="no line end at the end"),
        pytest.param(b"1,fever\r\n2,cough\r\n", {"1": "fever", "2": "cough"}, id="CRLF"),
        pytest.param(b'1,""\n2,\n3,"x"\n', {"1": "", "2": None, "3": "x"}, id="empty and missing"),
        pytest.param(b'1,"a\r\nb\rc\n\n\nd"\r\n2,e\r\n', {"1": "a\r\nb\rc\n\n\nd", "2": "e"}, id="line breaks"),
        pytest.param(b'1,"she said ""no"""\n2,"""\n"""\n', {"1": 'she said "no"', "2": '"\n"'}, id="quotes"),
        pytest.param(b'1,"a, b"\n"2, 3",c\n', {"1": "a, b", "2, 3": "c"}, id="delimiters"),
        pytest.param(b"1,a\\\n2,b\\n\n", {"1": "a\\", "2": "b\\n"}, id="backslashes"),
        pytest.param(b"\n1,a\n\n\r\n2,b\n\n", {"1": "a", "2": "b"}, id="lines without anything"),
        pytest.param("1,é\0🩺\u2028\x85\x0b\n".encode(), {"1": "é\0🩺\u2028\x85\x0b"}, id="NUL and odd characters"),
        pytest.param(b"1,\xef\xbb\xbfx\n", {"1": "\ufeffx"}, id="a byte order mark inside"),
        pytest.param(b" 1 , fever \n", {" 1 ": " fever "}, id="spaces"),
    ],
)
def test_what_is_whole_is_taken_as_it_stands(content: bytes, texts: dict[str, str | None]) -> None:
    assert taken(content) == texts


@pytest.mark.parametrize(
    ("content", "broken", "line"),
    [
        pytest.param(b'1,a\n2,"Fever\n3,chills\n4,"cough"\n', 1, 3, id="an unpaired quote"),
        pytest.param(b'1,"Fever\n2,chills', 1, 2, id="a quote open at the end"),
        pytest.param(b'1,a\n2,x"y"z\n3,b\n', 1, 3, id="quotes inside"),
        pytest.param(b'1,"a"b\n', 1, 2, id="more after a quote"),
        pytest.param(b'1, "a"\n', 1, 2, id="a space before a quote"),
        pytest.param(b'1,"she said \\"no\\""\n2,b\n', 1, 2, id="backslashes for quotes"),
        pytest.param(b"1,Fever, chills\n2,b\n", 1, 2, id="one field more"),
        pytest.param(b"1,a\n2\n", 1, 3, id="one field less"),
        pytest.param(b"1,a\rb\n", 1, 2, id="CR without quotes"),
        pytest.param(b"1,a\r2,b\r3,c", 1, 2, id="lines that end in CR"),
        pytest.param(b'1,"a\n\n\nb"\n2,c,d\n3\n', 2, 6, id="the line is counted in lines"),
    ],
)
def test_what_is_not_is_counted_with_its_line(content: bytes, broken: int, line: int) -> None:
    (file,) = surveyed(lines_of(HEADER + content), FORM, COLUMNS)
    assert (file["broken"], file["first"]) == (broken, line)
    with pytest.raises(InputError, match=rf"^/notes\.csv has a broken record in line {line}, .*being changed\.$"):
        list(parsed(lines_of(HEADER + content), RecordParser(form=FORM, n_fields=2, wanted=(0, 1))))


def test_a_quote_that_is_never_closed_does_not_take_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkclin.runs.sources.csv.MOST_BYTES", 1000)
    (file,) = surveyed(lines_of(HEADER + b'1,"' + b"fever\n" * 1000), FORM, COLUMNS)
    assert (file["records"], file["broken"], file["first"]) == (1, 1, 2)


@pytest.mark.parametrize("n", [30_000])
def test_a_broken_record_takes_linear_time(n: int) -> None:
    record = b'1,"' + b'""' * n + b'"x' + b',"' * 2 * n
    assert RecordParser(form=FORM, n_fields=2, wanted=(1,)).values(record) is None


def corpus_of(spark: SparkSession, path: Path, **options: str) -> Corpus:
    return read_corpus(spark, NoteSource(path=str(path), **options))  # type: ignore[arg-type]


def refused(spark: SparkSession, path: Path, **options: str) -> str:
    with pytest.raises(InputError) as found:
        corpus_of(spark, path, **options)
    message = str(found.value)
    assert not {"Quackenbush", "fever"} & set(message.replace(",", " ").split())
    assert "\n" not in message
    return message


def test_random_records_of_several_files_come_in_exactly(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "SPLIT_BYTES", 100)
    monkeypatch.setattr(lines, "LINES_AT_ONCE", 3)
    rng = random.Random(0)
    letters = ['"', '""', "\n", "\r\n", "\r", ",", "\0", "é", "🩺", "\ufeff", "\u2028", " ", "a", "\\", "'", ";", "\t"]
    expected: dict[str, str] = {}
    for number in range(4):
        with (tmp_path / f"{number}.csv").open("w", encoding="utf-8", newline="") as stream:
            end = rng.choice(["\n", "\r\n"])
            write = csv.writer(stream, lineterminator=end, quoting=rng.choice([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
            write.writerow(["key", "other", "words"])
            for _ in range(200):
                text, other = ("".join(rng.choices(letters, k=rng.randrange(20))) for _ in range(2))
                expected[key := f"{len(expected)}{other}"] = text
                write.writerow([key, other, text])
    corpus = corpus_of(spark, tmp_path, id_column="key", text_column="words")
    rows = [tuple(row) for row in corpus.notes.collect()]
    assert len(rows) == corpus.records == 800
    assert dict(rows) == expected


def test_files_are_read_unsplit_whatever_the_session_says(spark: SparkSession, tmp_path: Path) -> None:
    """And the session says it still."""
    spark.conf.set("spark.sql.files.maxPartitionBytes", "64")
    try:
        for name in "ab":
            rows = "".join(f'{name}{n},"fever\n{name}"\n' for n in range(100))
            (tmp_path / f"{name}.csv").write_bytes(HEADER + rows.encode())
        notes = corpus_of(spark, tmp_path).notes
        assert notes.rdd.getNumPartitions() == 2
        assert {(row.note_id[0], row.text) for row in notes.collect()} == {("a", "fever\na"), ("b", "fever\nb")}
        assert spark.conf.get("spark.sql.files.maxPartitionBytes") == "64"
        assert spark.read.text(str(tmp_path)).rdd.getNumPartitions() > 2
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")


def test_broken_records_of_all_files_are_refused_in_a_line(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(HEADER + b"1,fever\n")
    (tmp_path / "b c.csv").write_bytes(HEADER + b'2,"Quackenbush\n3,x\n')
    (tmp_path / "d.csv").write_bytes(HEADER + b"4,Quackenbush, fever\n5,\xff\n6,x\n")
    message = refused(spark, tmp_path)
    assert message.startswith(f"of 5 records of {tmp_path}, 2 are not as RFC 4180 says")
    assert f" and 1 are not utf-8. The first begins in line 2 of {tmp_path}/b c.csv." in message
    assert "--delimiter or --encoding" in message


def test_headers_are_compared(spark: SparkSession, tmp_path: Path) -> None:
    """A file without one would give its first patient to nobody."""
    (tmp_path / "a.csv").write_bytes(HEADER + b"1,x\n")
    for other in (b"Quackenbush,fever\n2,y\n", b"text,note_id\nx,2\n", b"note_id,text,more\n2,x,y\n"):
        (tmp_path / "b.csv").write_bytes(other)
        assert "1 of 2 files of" in (message := refused(spark, tmp_path))
        assert "b.csv" in message
    (tmp_path / "b.csv").write_bytes(b"")
    corpus = corpus_of(spark, tmp_path)
    assert (corpus.records, corpus.not_read) == (1, ("b.csv",))


def test_a_patient_in_the_place_of_the_header_is_not_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"77,Quackenbush\n2,y\n")
    assert "has no column note_id, text; its header has 2 others" in refused(spark, tmp_path)
    (tmp_path / "a.csv").write_bytes(b"note_id,text,text\n1,x,y\n")
    assert "has several columns text" in refused(spark, tmp_path)
    (tmp_path / "a.csv").write_bytes(b"Note_ID,TEXT\n1,x\n")
    assert "Note_ID, TEXT differ in case only" in refused(spark, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", "note_id;text\n1;é, ü\n".encode("latin-1"), {"encoding": "latin-1", "delimiter": ";"}),
        ("a.tsv", "note_id\ttext\n1\té, ü\n".encode(), {}),
        ("a.csv", "note_id\ttext\n1\té, ü\n".encode(), {"delimiter": "\\t"}),
        ("a.csv", '\ufeffnote_id,text\n1,"é, ü"\n'.encode(), {}),
        ("a.csv", '\ufeffnote_id,text\n1,"é, ü"\n'.encode(), {"encoding": "utf-8-sig"}),
        ("a.csv.gz", gzip.compress('\ufeffnote_id,text\n1,"é, ü"\n'.encode()), {}),
    ],
    ids=["latin-1", "tsv", "tab", "byte order mark", "utf-8-sig", "gzip"],
)
def test_other_forms(spark: SparkSession, tmp_path: Path, name: str, content: bytes, options: dict[str, str]) -> None:
    (tmp_path / name).write_bytes(content)
    assert [tuple(row) for row in corpus_of(spark, tmp_path / name, **options).notes.collect()] == [("1", "é, ü")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "utf-16"}, "--encoding 'utf-16' is not a known one in which ASCII is as it is"),
        ({"encoding": "utf-7"}, "--encoding 'utf-7'"),
        ({"encoding": "iso2022_jp"}, "--encoding 'iso2022_jp'"),
        ({"encoding": "raw_unicode_escape"}, "--encoding 'raw_unicode_escape'"),
        ({"encoding": "unicode_escape"}, "--encoding 'unicode_escape'"),
        ({"encoding": "idna"}, "--encoding 'idna'"),
        ({"encoding": "rot13"}, "--encoding 'rot13'"),
        ({"encoding": "nothing"}, "--encoding 'nothing'"),
        ({"encoding": "latin-1", "format": "jsonl"}, "--encoding is for csv and text"),
        ({"delimiter": '"'}, "--delimiter is one character"),
        ({"delimiter": "||"}, "--delimiter is one character"),
        ({"delimiter": ";", "format": "text"}, "--delimiter is for csv"),
    ],
)
def test_options_that_cannot_be(options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        NoteSource(path="x", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_header_between_records_is_no_note(spark: SparkSession, tmp_path: Path, mark: bytes) -> None:
    """As where files were put behind each other by `cat`."""
    (tmp_path / "a.csv").write_bytes(mark + HEADER + b"1,x\r\n" + mark + b"note_id,text\r\n2,y\n")
    assert "1 are a header again" in (message := refused(spark, tmp_path))
    assert "begins in line 3" in message


@pytest.mark.parametrize(
    "again",
    ['"note_id","text"', "NOTE_ID,Text", "text,note_id", ' note_id ,"text "', 'text,note_id,"ward"', "note_id,text,"],
)
def test_a_header_is_one_however_it_is_written(again: str) -> None:
    """Each tool writes it in its own way."""
    (file,) = surveyed(lines_of(HEADER + f"1,x\n{again}\n2,y\n".encode()), FORM, COLUMNS)
    assert (file["records"], file["headers"], file["first"]) == (3, 1, 3)


@pytest.mark.parametrize("record", ["note_id,x", "1,text", '1,"note_id,text"', "text,text", '"note_id,text",x'])
def test_a_note_about_headers_is_none(record: str) -> None:
    (file,) = surveyed(lines_of(HEADER + f"{record}\n".encode()), FORM, COLUMNS)
    assert (file["records"], file["headers"], file["broken"]) == (1, 0, 0)


def test_files_without_a_record_are_named(spark: SparkSession, tmp_path: Path) -> None:
    files = {"a.csv": HEADER + b"1,x\n", "b.csv": HEADER, "c d.csv": b"", "e.csv.gz": gzip.compress(b"")}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    corpus = corpus_of(spark, tmp_path)
    assert (corpus.records, corpus.not_read) == (1, ("b.csv", "c d.csv", "e.csv.gz"))


def test_a_cut_off_gzip_is_named(spark: SparkSession, tmp_path: Path) -> None:
    for name in "abc":
        rows = b"".join(b"%s%d,fever %d\n" % (name.encode(), n, n * n) for n in range(5000))
        packed = gzip.compress(HEADER + rows)
        (tmp_path / f"{name}.csv.gz").write_bytes(packed[: len(packed) // 2] if name == "b" else packed)
    message = refused(spark, tmp_path)
    assert "b.csv.gz cannot be read by Spark (EOFException). A compressed file is cut off" in message


def test_what_is_no_csv_says_its_format(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"note_id": 1, "text": "Quackenbush"}\n')
    assert "--input-format jsonl" in refused(spark, tmp_path, format="csv")


def test_texts_are_read_by_the_names_of_their_columns(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'text,"odd ""name""",pair,note_id\nx,y,z,1\n')
    source = NoteSource(path=str(tmp_path), text_column='odd "name"', pair_column="pair")
    assert [tuple(row) for row in read_notes(spark, source).collect()] == [("1", "y", "z")]
