"""What is shown of a run for entities: counted by words, placed by code points."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from sparkclin.runs.findings import Findings, Mark, Variant, frequent_variants, marked_notes
from sparkclin.tasks.entities import output_schema

MADE_BY = ("m", "onnx", "fp32", "0123456789abcdef")
NOTES = {"a": "🩺 Aspirin, then aspirin for Gout", "b": "gout. Aspirin", "c": "well", "d": " \n", "e": None}
FOUND = {
    "a": [("Chemical", "Aspirin,"), ("Chemical", "aspirin"), ("Disease", "Gout"), ("Disease", " ")],
    "b": [("Chemical", "Aspirin"), ("Disease", "gout.")],
}


@pytest.fixture
def notes(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(list(NOTES.items()), "note_id string, text string")


@pytest.fixture
def rows(spark: SparkSession) -> DataFrame:
    """As find_entities() gives them, a note's last one first."""
    found: list[tuple[object, ...]] = []
    for note_id, text in NOTES.items():
        entities = FOUND.get(note_id, [])
        for number, (label, words) in reversed(list(enumerate(entities))):
            begin = (text or "").index(words)
            found.append((note_id, number, begin, begin + len(words), words, label, 0.5, "ok", *MADE_BY))
        if not entities:
            found.append((note_id, *[None] * 6, "no_entities", *MADE_BY))
    return spark.createDataFrame(found, output_schema(T.StringType()))


def test_variants_are_counted_without_case_and_marks_around_them(rows: DataFrame) -> None:
    assert frequent_variants(rows) == (
        Variant("Chemical", "aspirin", 3, 2),
        Variant("Disease", "gout", 2, 2),
    )


def test_the_most_frequent_of_each_label_are_kept(spark: SparkSession) -> None:
    """Of equal ones the first in the alphabet; white space inside is one space; marks alone stay."""
    words = ["x", "x", "z \n z", "z z", "y", "++"]
    found = [("n", i, 0, 1, text, "Sign", 0.5, "ok", *MADE_BY) for i, text in enumerate(words)]
    rows = spark.createDataFrame(found, output_schema(T.StringType()))
    assert [(v.words, v.entities) for v in frequent_variants(rows, most=3)] == [("x", 2), ("z z", 2), ("++", 1)]


def test_notes_with_text_are_shown_in_the_order_of_their_ids(notes: DataFrame, rows: DataFrame) -> None:
    shown = marked_notes(notes, rows, most=10)
    assert [note.note_id for note in shown] == ["a", "b", "c"]
    assert [note.text for note in shown] == [NOTES[note.note_id] for note in shown]
    assert shown[0].marks == (
        Mark(2, 10, "Chemical", 0.5), Mark(16, 23, "Chemical", 0.5), Mark(28, 32, "Disease", 0.5),
    )  # fmt: skip
    assert shown[2].marks == ()
    assert len(marked_notes(notes, rows, most=2)) == 2


def test_the_summary_is_a_table_per_label_below_what_the_model_says_of_itself() -> None:
    variants = (Variant("Chemical", "a\x1b[2Jb", 1_200, 7), Variant("Disease", "gout", 3, 2))
    findings = Findings(model="m", description="F1 of 0.4.", n_notes=9, notes=(), variants=variants)
    assert findings.summary().split("\n\n") == [
        "m: F1 of 0.4.",
        "most frequent: Chemical  FOUND  IN NOTES\na�[2Jb                   1,200  7",
        "most frequent: Disease  FOUND  IN NOTES\ngout                    3      2",
    ]
