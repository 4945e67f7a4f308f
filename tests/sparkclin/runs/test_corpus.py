"""Notes as they lie in files of every format come in whole, with their ids; what cannot be right is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from sparkclin.errors import IncompleteError, InputError, OptionError
from sparkclin.runs.corpus import (
    LONG_NOTE,
    Corpus,
    NoteSource,
    count_corpus,
    count_notes,
    default_partitions,
    read_notes,
)

TEXTS = {"plain": "fever", "lines": 'first\r\nsecond, "quoted"\n\nlast \\" é 🩺', "empty": ""}


def texts_of(notes: DataFrame) -> dict[object, str | None]:
    assert notes.columns == ["note_id", "text"]
    return {row.note_id: row.text for row in notes.collect()}


def test_csv_keeps_line_breaks_quotes_and_backslashes(spark: SparkSession, tmp_path: Path) -> None:
    quoted = ['"{}","{}"'.format(key, text.replace('"', '""')) for key, text in TEXTS.items()]
    (tmp_path / "notes.csv").write_text("\n".join(["id,words", *quoted]) + "\n", encoding="utf-8", newline="")
    source = NoteSource(path=str(tmp_path / "notes.csv"), format="csv", id_column="id", text_column="words")
    assert texts_of(read_notes(spark, source)) == TEXTS


def test_with_format_text_a_file_is_a_note_and_its_path_the_id(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "ward 7").mkdir()
    (tmp_path / "ward 7" / "é+note 7%20.txt").write_text(TEXTS["lines"], encoding="utf-8", newline="")
    (tmp_path / "other.txt").write_text("fever\n")
    notes = read_notes(spark, NoteSource(path=str(tmp_path), format="text", recursive=True))
    assert texts_of(notes) == {"ward 7/é+note 7%20.txt": TEXTS["lines"], "other.txt": "fever\n"}


def test_jsonl_keeps_numbers_as_ids_and_nulls_as_texts(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text("\n".join(json.dumps({"note_id": n, "text": text}) for n, text in [(1, "x"), (2, None)]))
    notes = read_notes(spark, NoteSource(path=str(file), format="jsonl"))
    assert notes.schema["note_id"].dataType == T.LongType()
    assert texts_of(notes) == {1: "x", 2: None}


def test_texts_that_are_all_null_are_texts(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("select 1 as note_id, cast(null as string) as text").write.parquet(str(tmp_path / "notes"))
    assert texts_of(read_notes(spark, NoteSource(path=str(tmp_path / "notes")))) == {1: None}


def test_broken_lines_are_counted_and_not_shown(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text('{"note_id": 1, "text": "x"}\n{"note_id": 2, "text": "Quackenbush\n')
    with pytest.raises(InputError, match=r"^1 lines of .*notes.jsonl are not JSON objects") as found:
        read_notes(spark, NoteSource(path=str(file), format="jsonl"))
    assert "Quackenbush" not in str(found.value)
    file.write_text("no JSON at all\n")
    with pytest.raises(InputError, match=r"no line of .* is a JSON object"):
        read_notes(spark, NoteSource(path=str(file), format="jsonl"))


@pytest.mark.parametrize("kind", ["bigint", "array<string>", "binary"])
def test_a_text_column_that_is_not_text_is_refused(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    spark.createDataFrame([], f"note_id string, text {kind}").write.parquet(str(tmp_path / "notes"))
    with pytest.raises(InputError, match=f"column text of .* is {kind.partition('<')[0]}, expected string"):
        read_notes(spark, NoteSource(path=str(tmp_path / "notes")))


def test_columns_that_are_missing_are_named(spark: SparkSession, tmp_path: Path) -> None:
    spark.createDataFrame([], "id string, text string").write.parquet(str(tmp_path / "notes"))
    with pytest.raises(InputError, match=r"has no column note_id; it has id, text\. Name the right ones"):
        read_notes(spark, NoteSource(path=str(tmp_path / "notes")))


def test_a_path_without_notes_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is there: "):
        read_notes(spark, NoteSource(path=str(tmp_path / "nowhere")))
    with pytest.raises(OptionError, match="there is no input format 'xml': expected one of"):
        NoteSource(path="x", format="xml")


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("int", [7, -2]),
        ("bigint", [7, 2**62]),
        ("string", ["7", "-2", "007", None]),
        ("decimal(38,0)", [Decimal(7), Decimal(2**63 - 1)]),
    ],
)
def test_integer_ids_are_of_64_bits_whatever_they_come_as(
    spark: SparkSession, tmp_path: Path, kind: str, ids: list[object]
) -> None:
    spark.createDataFrame([(key, "x") for key in ids], f"note_id {kind}, text string").write.parquet(f"{tmp_path}/n")
    notes = read_notes(spark, NoteSource(path=f"{tmp_path}/n", integer_ids=True))
    assert notes.schema["note_id"].dataType == T.LongType()
    found = Counter(row.note_id for row in notes.collect())
    assert found == Counter(None if key is None else int(str(key)) for key in ids)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [("string", ["a7", " 7", "7.5", "7\n", "", str(2**63)]), ("double", [7.0]), ("decimal(38,2)", [Decimal("7.00")])],
)
def test_ids_that_are_no_integers_are_counted_and_not_shown(
    spark: SparkSession, tmp_path: Path, kind: str, wrong: list[object]
) -> None:
    rows = [*((key, "x") for key in wrong), (None, "x")]
    spark.createDataFrame(rows, f"note_id {kind}, text string").write.parquet(f"{tmp_path}/n")
    source = NoteSource(path=f"{tmp_path}/n", integer_ids=True)
    with pytest.raises(InputError) as found:
        read_notes(spark, source)
    assert (
        f"of {len(rows)} notes, {len(wrong)} have an id that is not an integer of 64 bits (the ids are {kind})"
        in str(found.value)
    )
    assert read_notes(spark, replace(source, integer_ids=False)).count() == len(rows)


def test_null_and_duplicate_ids_are_counted(spark: SparkSession) -> None:
    rows = [("a", "x"), ("a", "y"), (None, "z"), ("b", "w")]
    notes = spark.createDataFrame(rows, "note_id string, text string")
    with pytest.raises(InputError, match=r"of 4 notes, 1 notes have a null id and 2 notes share 1 ids"):
        count_notes(notes)
    assert count_notes(notes.filter("text in ('x', 'w')")) == 2


def test_notes_are_as_many_as_the_reader_has_counted(spark: SparkSession) -> None:
    notes = spark.createDataFrame([("a", "x"), ("b", "y")], "note_id string, text string")
    assert count_corpus(Corpus(source=NoteSource(path="in"), notes=notes, records=2)) == 2
    with pytest.raises(IncompleteError, match=r"3 records are in in, and Spark read 2 notes from them. Run again"):
        count_corpus(Corpus(source=NoteSource(path="in"), notes=notes, records=3))


def test_long_notes_are_named_before_the_work_begins(spark: SparkSession) -> None:
    lengths = {"a": LONG_NOTE, "b": LONG_NOTE + 1, "d": LONG_NOTE + 3, "an id": LONG_NOTE + 2, "e": LONG_NOTE + 1}
    notes = spark.createDataFrame(list(lengths.items()), "note_id string, n int").selectExpr(
        "note_id", "repeat('é', n) AS text"
    )
    said: list[str] = []
    assert count_notes(notes, say=said.append) == 5
    assert said == [
        "notes of more than 500,000 characters: 4, the longest with the id d (500,003), (id not shown) "
        "(500,002), b (500,001). --max-note-pieces leaves long notes out"
    ]
    assert count_notes(notes.filter("note_id = 'a'"), say=said.append) == 1
    assert len(said) == 1


def test_no_notes_at_all_are_refused(spark: SparkSession) -> None:
    with pytest.raises(InputError, match="there are no notes in the input"):
        count_notes(spark.createDataFrame([], "note_id string, text string"))


@pytest.mark.parametrize(
    ("n_notes", "parallelism", "partitions"),
    [(1, 2, 1), (60, 2, 8), (1_601, 2, 9), (100_000, 2, 500), (100_000, 200, 800), (10**9, 2, 10_000)],
)
def test_partitions_by_the_number_of_notes(n_notes: int, parallelism: int, partitions: int) -> None:
    assert default_partitions(n_notes, parallelism=parallelism) == partitions
