"""Rows of OMOP's note_nlp: the standard's columns and widths, ids without gaps, nothing cut, nothing lost unseen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparkclin.commands.ner import main, notes_of, parser, task_of
from sparkclin.errors import IncompleteError, ModelError, OptionError
from sparkclin.models.bundle import Bundle
from sparkclin.models.repository import ModelRepository
from sparkclin.schema import ENTITIES
from sparkclin.tasks.entities import output_schema
from sparkclin.tasks.note_nlp import NOTE_NLP, WIDTHS, check_first_id, check_note_nlp, nlp_system, note_nlp
from testkit.bundles import manifest_of, stage

STARTED = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
SYSTEM = "sparkclin 1; tiny onnx fp32; sha256 00"
STANDARD = """
note_nlp_id bigint, note_id bigint, section_concept_id int, snippet string, `offset` string, lexical_variant string,
note_nlp_concept_id int, note_nlp_source_concept_id int, nlp_system string, nlp_date date, nlp_datetime timestamp,
term_exists string, term_temporal string, term_modifiers string
"""
LONG = "".join(chr(0x1F300 + n % 200) if n % 3 == 0 else chr(97 + n % 26) for n in range(600))
TEXTS = {1: "no fever, on 🩺 aspirin", 2: LONG, 3: "well", 2**40: "aspirin", -5: "fever", 4: None}
MADE_BY = ("tiny", "onnx", "fp32", "0123456789abcdef")
PLACES = [(1, 3, 8), (1, 15, 22), (2, 0, 10), (2, 300, 311), (2, 590, 600), (2**40, 0, 7), (-5, 0, 5)]

Place = tuple[int, int, int]


def entities_of(spark: SparkSession, places: Sequence[Place]) -> DataFrame:
    """As find_entities() gives them: a row per place (note_id, begin, end) in TEXTS, and one of nulls for a note
    without."""
    rows: list[tuple[object, ...]] = []
    for note_id, text in TEXTS.items():
        spans = [(begin, end) for key, begin, end in places if key == note_id]
        for index, (begin, end) in enumerate(spans):
            rows.append((note_id, index, begin, end, (text or "")[begin:end], "SIGN", 0.96875, "ok", *MADE_BY))
        if not spans:
            status = "null" if text is None else "no_entities"
            rows.append((note_id, None, None, None, None, None, None, status, *MADE_BY))
    return spark.createDataFrame(rows, output_schema(T.LongType()))


@pytest.fixture(scope="module")
def notes(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(list(TEXTS.items()), "note_id bigint, text string")


def made(entities: DataFrame, notes: DataFrame, *, first_id: int = 1) -> DataFrame:
    return note_nlp(entities, notes, system=SYSTEM, at=STARTED, first_id=first_id)


def rows_of(found: DataFrame) -> list[Row]:
    return found.orderBy("note_nlp_id").collect()


def test_a_row_has_what_the_standard_says(spark: SparkSession, notes: DataFrame) -> None:
    found = made(entities_of(spark, PLACES), notes)
    expected = spark.createDataFrame([], STANDARD).schema
    assert [(f.name, f.dataType) for f in found.schema] == [(f.name, f.dataType) for f in expected]
    [_, row, *_] = rows_of(found)
    # As Python's own time zone and Spark's have it, the moment is that of the run.
    assert row.nlp_datetime.timestamp() == STARTED.timestamp()
    assert {**row.asDict(), "nlp_datetime": None} == {
        "note_nlp_id": 2,
        "note_id": 1,
        "section_concept_id": 0,
        "snippet": "no fever, on 🩺 aspirin",
        "offset": "3",
        "lexical_variant": "fever",
        "note_nlp_concept_id": 0,
        "note_nlp_source_concept_id": 0,
        "nlp_system": SYSTEM,
        "nlp_date": date(2026, 11, 24),
        "nlp_datetime": None,
        "term_exists": None,
        "term_temporal": None,
        "term_modifiers": "label=SIGN;end=8;score=0.9688",
    }


def test_rows_are_numbered_by_note_and_place_however_they_lie(spark: SparkSession, notes: DataFrame) -> None:
    in_order = sorted(PLACES)
    for entities in (entities_of(spark, PLACES), entities_of(spark, PLACES).repartition(5, "text")):
        found = rows_of(made(entities, notes, first_id=101))
        assert [row.note_nlp_id for row in found] == list(range(101, 101 + len(in_order)))
        assert [(row.note_id, int(row.offset)) for row in found] == [place[:2] for place in in_order]


@pytest.mark.parametrize(
    ("begin", "end", "first"),
    [(0, 10, 0), (100, 110, 0), (120, 130, 0), (121, 131, 1), (300, 311, 181), (470, 480, 350), (590, 600, 350),
     (200, 449, 200), (200, 450, 200), (0, 250, 0), (350, 600, 350)],
)  # fmt: skip
def test_a_snippet_is_the_250_characters_around_the_entity(
    spark: SparkSession, notes: DataFrame, begin: int, end: int, first: int
) -> None:
    [row] = rows_of(made(entities_of(spark, [(2, begin, end)]), notes))
    assert row.snippet == LONG[first : first + 250]
    assert row.lexical_variant == LONG[begin:end]
    assert row.lexical_variant in row.snippet


def test_a_note_meets_all_its_entities_at_once(
    spark: SparkSession, notes: DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """Spark counts all characters of the note before each text that it cuts out, which is quadratic."""
    made(entities_of(spark, PLACES), notes).explain(extended=True)
    plan = capsys.readouterr().out
    assert "Generate inline" in plan
    assert "substring" not in plan


def test_what_no_row_can_hold_is_left_out_and_counted(spark: SparkSession, notes: DataFrame) -> None:
    entities = entities_of(spark, [(2, 0, 250), (2, 300, 551), (3, 0, 4)])
    found = made(entities, notes)
    assert [(row.note_nlp_id, row.note_id, row.offset) for row in rows_of(found)] == [(1, 2, "0"), (2, 3, "0")]
    assert check_note_nlp(found, entities) == {"rows": 2, "too_long": 1}


def test_notes_without_entities_have_no_row(spark: SparkSession, notes: DataFrame, tmp_path: Path) -> None:
    entities = entities_of(spark, [])
    made(entities, notes).write.parquet(str(tmp_path / "note_nlp"))
    written = spark.read.parquet(str(tmp_path / "note_nlp"))
    assert [field.name for field in written.schema] == [field.name for field in NOTE_NLP]
    assert check_note_nlp(written, entities, first_id=7) == {"rows": 0, "too_long": 0}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.filter("note_nlp_id != 3"), "6 rows with 6 ids: 1 entities are missing and 0 rows"),
        (lambda f: f.union(f.filter("note_nlp_id = 3")), "8 rows with 7 ids: 0 entities are missing and 1 rows"),
        (
            lambda f: f.filter("note_nlp_id != 3").union(f.filter("note_nlp_id = 4")),
            "7 rows with 6 ids: 1 entities are missing and 1 rows",
        ),
        (lambda f: f.withColumn("offset", F.lit("0")), "7 rows with 7 ids: 4 entities are missing and 4 rows"),
        (lambda f: f.withColumn("note_nlp_id", F.lit(1)), "7 rows with 1 ids: 0 entities are missing and 0 rows"),
        (lambda f: f.withColumn("note_nlp_id", F.expr("note_nlp_id + 1")), "7 rows with 7 ids: 0 entities are missing"),
    ],
    ids=["lost", "doubled", "one for another", "elsewhere", "one id", "other ids"],
)
def test_damage_is_found(
    spark: SparkSession, notes: DataFrame, damage: Callable[[DataFrame], DataFrame], message: str
) -> None:
    entities = entities_of(spark, PLACES)
    whole = made(entities, notes)
    assert check_note_nlp(whole, entities) == {"rows": 7, "too_long": 0}
    with pytest.raises(IncompleteError, match=message):
        check_note_nlp(damage(whole), entities)


def test_notes_that_changed_meanwhile_are_found_and_not_shown(spark: SparkSession, notes: DataFrame) -> None:
    entities = entities_of(spark, PLACES)
    changed = notes.withColumn(
        "text", F.when(F.col("note_id") == 1, F.lit("Quackenbush, on 🩺 aspirin")).otherwise(F.col("text"))
    )
    gone = notes.filter("note_id != 1")
    for other, surplus in ((changed, 2), (gone, 0)):
        with pytest.raises(IncompleteError, match=f"2 entities are missing and {surplus} rows") as found:
            check_note_nlp(made(entities, other), entities)
        assert "Quackenbush" not in str(found.value)


def ner_bundle(root: Path, *, name: str = "tiny_ner", labels: Sequence[str] = ("O", "B-SIGN")) -> Bundle:
    """A registered model for entities that cannot be loaded."""
    staged = stage(root, name=name)
    manifest = manifest_of(staged, name=name, task=ENTITIES, labels=tuple(labels))
    return ModelRepository(root).register(staged, manifest)


def test_the_system_names_program_model_and_hash(tmp_path: Path) -> None:
    bundle = ner_bundle(tmp_path)
    digest = hashlib.sha256((bundle.path / "sparkclin.json").read_bytes()).hexdigest()
    assert nlp_system(bundle) == f"sparkclin 0.1.0; tiny_ner tensorflow fp32; sha256 {digest[:16]}"


def test_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    nlp_system(ner_bundle(tmp_path, labels=["O", "B-" + "x" * (WIDTHS["term_modifiers"] - 40)]))
    wrong = ner_bundle(tmp_path, name="n" * 100, labels=["O", "B-" + "x" * 2000])
    with pytest.raises(ModelError, match=r"term_modifiers would have 20\d\d characters, more than the 2000 of OMOP"):
        nlp_system(wrong)


@pytest.mark.parametrize("first_id", [0, -1, 2**63])
def test_a_first_id_that_cannot_be_is_refused(first_id: int) -> None:
    with pytest.raises(OptionError, match=f"the first note_nlp_id is {first_id}"):
        check_first_id(first_id)


def asked(*more: str) -> list[str]:
    return ["--input", "in", "--output", "out", *more]


def test_the_input_is_omops_note_table_unless_the_options_say_otherwise() -> None:
    source = notes_of(parser().parse_args(asked("--output-schema", "omop"))).source
    assert (source.id_column, source.text_column, source.integer_ids) == ("note_id", "note_text", True)
    source = notes_of(parser().parse_args(asked("--output-schema", "omop", "--text-column", "words"))).source
    assert source.text_column == "words"
    source = notes_of(parser().parse_args(asked())).source
    assert (source.text_column, source.integer_ids) == ("text", False)


def test_the_first_id_goes_with_the_schema_that_has_one() -> None:
    with pytest.raises(OptionError, match="--first-note-nlp-id is for --output-schema omop"):
        task_of(parser().parse_args(asked("--first-note-nlp-id", "5")))
    with pytest.raises(OptionError, match="the first note_nlp_id is 0"):
        task_of(parser().parse_args(asked("--output-schema", "omop", "--first-note-nlp-id", "0")))


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize(
    ("note", "message"),
    [
        ({"note_id": 1, "text": "fever"}, "has no column note_text; it has note_id, text. Name the right ones:"),
        ({"note_id": "n-1", "note_text": "fever"}, "of 1 notes, 1 have an id that is not an integer of 64 bits"),
        ({"note_id": None, "note_text": "fever", "person_id": 7}, "1 notes have a null id"),
    ],
)
def test_a_table_that_is_not_omops_is_refused_before_the_work_begins(
    tmp_path: Path, note: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ner_bundle(tmp_path)
    (tmp_path / "note.jsonl").write_text(json.dumps(note), encoding="utf-8")
    source = ["--input", f"{tmp_path}/note.jsonl", "--input-format", "jsonl", "--models", str(tmp_path)]
    assert main([*source, "--output", f"{tmp_path}/out", "--output-schema", "omop"]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "fever" not in said
    assert not (tmp_path / "out").exists()
