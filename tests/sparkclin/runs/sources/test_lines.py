"""The lines of several files in one task: none is lost where one file ends and the next begins."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import IncompleteError, InputError
from sparkclin.runs.corpus import NoteSource, count_corpus, read_corpus
from sparkclin.runs.sources import csv, jsonl, lines
from sparkclin.runs.sources.lines import RECORDS, Batches, Count, FileLines, each_file

FILES = {"a": [b"1", b"2"], "b": [b"3"], "c": [b"4", b"5", b"6"], "d": [b"7", b"8"]}


def batch_of(*rows: tuple[bytes, str | None]) -> pa.RecordBatch:
    """An Arrow batch of lines, each with the path of the file that begins with it."""
    columns = [pa.array([line for line, _ in rows], pa.binary()), pa.array([path for _, path in rows], pa.string())]
    return pa.RecordBatch.from_arrays(columns, names=["line", "path"])


def batches_of(files: dict[str, list[bytes]], *, at_once: int) -> list[pa.RecordBatch]:
    """The lines of files as a task has them, so many in a batch; a file without lines is not there."""
    rows = [(line, path if n == 0 else None) for path, found in files.items() for n, line in enumerate(found)]
    return [batch_of(*rows[start : start + at_once]) for start in range(0, len(rows), at_once)]


def counted_by(count: Count, files: dict[str, list[bytes]], *, at_once: int) -> int:
    counted = Counter[str]()
    given = batches_of(files, at_once=at_once)
    assert list(count(iter(given), counted)) == given
    return counted[RECORDS]


@pytest.mark.parametrize("at_once", range(1, 10))
def test_lines_come_file_by_file_wherever_batches_end(at_once: int) -> None:
    found: dict[str, list[bytes]] = {}
    path = ""
    for begins, some in each_file(batches_of(FILES, at_once=at_once)):
        path = begins or path
        assert (begins is not None) == (path not in found)
        found.setdefault(path, []).extend(some)
        assert 0 < len(some) <= at_once
    assert found == FILES


def test_a_batch_has_the_end_of_a_file_and_the_begins_of_others() -> None:
    batches = [batch_of((b"1", "a"), (b"2", None)), batch_of((b"3", None), (b"4", "b"), (b"5", "c")), batch_of()]
    assert list(each_file(batches)) == [("a", [b"1", b"2"]), (None, [b"3"]), ("b", [b"4"]), ("c", [b"5"])]


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("files", "records"),
    [
        ({"a": b"id,text\n1,x\n2,y", "b": b"id,text\n3,z"}, 3),
        ({"a": b'id,text\n1,"x\ny\n\nz"\n2,"a""b"\n\r\n\n3,c', "b": b"id,text", "c": b"id,text\n4,d"}, 4),
        ({"a": b'id,text\n1,"open\nto the end', "b": b"id,text\n2,y"}, 2),
        ({"a": b"id,text\n1,x", "b": b'id,text\n2,"open'}, 2),
        ({"a": b'"id\n",text\n1,x'}, 1),
        ({"a": b'"id', "b": b"\n", "c": b"id,text\n1,x"}, 1),
        ({}, 0),
    ],
)
def test_records_of_csv_are_counted_by_their_quotes(files: dict[str, bytes], records: int, at_once: int) -> None:
    """Headers do not count, nor lines without anything; a quote that is not closed ends with its file."""
    of_lines = {path: content.split(b"\n") for path, content in files.items()}
    assert counted_by(csv.count_records, of_lines, at_once=at_once) == records


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_records_of_jsonl_are_lines_with_anything(at_once: int) -> None:
    files = {"a": [b"{}", b"", b" \t\r", b"[1]\r"], "b": [b"\xef\xbb\xbf"], "c": [b"\xef\xbb\xbf{}", b" x "]}
    assert counted_by(jsonl.count_records, files, at_once=at_once) == 4
    assert counted_by(jsonl.count_records, {}, at_once=at_once) == 0


def losing(batches: Batches) -> FileLines:
    """As each_file(), but for what a batch has of a file before the next one begins in it."""
    for batch in batches:
        found, paths = batch.column(0).to_pylist(), batch.column(1).to_pylist()
        starts = [n for n, path in enumerate(paths) if path] or [0]
        for start, end in zip(starts, [*starts[1:], len(found)], strict=True):
            if start < end:
                yield paths[start], found[start:end]


def miscounting(batches: Batches, counted: Counter[str]) -> Iterator[pa.RecordBatch]:
    """As a Count that stops with the first batch."""
    for number, batch in enumerate(batches):
        counted[RECORDS] += batch.num_rows if number == 0 else 0
        yield batch


def write_files(folder: Path, format_: str, *, n_files: int, n_notes: int) -> None:
    """More files than tasks, so that tasks have several of them."""
    for file in range(n_files):
        ids = [f"{file}-{note}" for note in range(n_notes)]
        rows = (
            ["note_id,text", *(f"{note_id},fever" for note_id in ids)]
            if format_ == "csv"
            else [f'{{"note_id": "{note_id}", "text": "fever"}}' for note_id in ids]
        )
        (folder / f"{file:02}.{format_}").write_text("\n".join(rows))


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_what_the_reader_loses_is_counted_and_what_the_count_loses_is_read(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    monkeypatch.setattr(lines, "LINES_AT_ONCE", 4)
    n_files = lines._TASKS_PER_CORE * spark.sparkContext.defaultParallelism + 8
    write_files(tmp_path, format_, n_files=n_files, n_notes=5)
    source, reader = NoteSource(path=str(tmp_path)), {"csv": csv, "jsonl": jsonl}[format_]
    assert count_corpus(read_corpus(spark, source)) == 5 * n_files
    with monkeypatch.context() as patch:
        for module in (lines, reader):
            patch.setattr(module, "each_file", losing)
        with pytest.raises(IncompleteError, match=rf"^{5 * n_files} records are in .*, and Spark read \d+ notes"):
            count_corpus(read_corpus(spark, source))
    monkeypatch.setattr(reader, "count_records", miscounting)
    with pytest.raises(IncompleteError, match=rf"records are in .*, and Spark read {5 * n_files} notes"):
        count_corpus(read_corpus(spark, source))


def test_the_count_goes_to_the_end_wherever_the_reader_stops() -> None:
    """As survey() does, whatever each_file() takes."""
    counted = Counter[str]()
    passing = iter(jsonl.count_records(batches_of(FILES, at_once=1), counted))
    next(passing)
    deque(passing, maxlen=0)
    assert counted[RECORDS] == 8


@pytest.mark.parametrize(
    ("format_", "contents"),
    [
        ("csv", {"a": "note_id,text\n1,x\n2,y", "b": "", "c": "note_id,text", "d": "note_id,text\n3,z\n\n"}),
        ("jsonl", {"a": '{"note_id": "1", "text": "x"}\n{"note_id": "2", "text": "y"}', "b": "", "c": "\n \n",
                   "d": '\n{"note_id": "3", "text": "z"}\n'}),
    ],
)  # fmt: skip
def test_empty_files_and_files_without_a_last_line_break_are_read_whole(
    spark: SparkSession, tmp_path: Path, format_: str, contents: dict[str, str]
) -> None:
    for name, content in contents.items():
        (tmp_path / f"{name}.{format_}").write_text(content)
    corpus = read_corpus(spark, NoteSource(path=str(tmp_path)))
    assert sorted(tuple(row) for row in corpus.notes.collect()) == [("1", "x"), ("2", "y"), ("3", "z")]
    assert (corpus.records, corpus.not_read) == (3, (f"b.{format_}", f"c.{format_}"))


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_a_file_that_cannot_be_read_is_named(spark: SparkSession, tmp_path: Path, format_: str) -> None:
    write_files(tmp_path, format_, n_files=3, n_notes=1)
    (tmp_path / f"01.{format_}.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=rf"^{tmp_path}/01\.{format_}\.gz cannot be read by Spark"):
        read_corpus(spark, NoteSource(path=str(tmp_path)))


def all_lines(found: Sequence[tuple[str | None, list[bytes]]]) -> list[bytes]:
    return [line for _, some in found for line in some]


def test_lines_of_random_files_are_all_there() -> None:
    files = {f"f{n}": [b"%d-%d" % (n, line) for line in range(n % 4)] for n in range(20)}
    for at_once in (1, 3, 7, 1000):
        found = list(each_file(batches_of(files, at_once=at_once)))
        assert all_lines(found) == [line for some in files.values() for line in some]
