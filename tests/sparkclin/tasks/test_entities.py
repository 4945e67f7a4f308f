"""Entities of whole notes through Spark, against transformers' logits of each window."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession
from transformers import BigBirdForTokenClassification, LongformerForTokenClassification

import sparkclin
from sparkclin.commands.ner import main
from sparkclin.errors import InputError, ModelError
from sparkclin.export.convert import ExportOptions, convert
from sparkclin.export.errors import CheckpointError
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.heads import reference_logits
from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from sparkclin.schema import ENTITIES
from sparkclin.tasks.entities import NerOptions, find_entities, output_schema
from sparkclin.text.entities import AGGREGATIONS, EntityOptions, kinds_of, merge_entities, plan_entities
from sparkclin.text.labels import softmax
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.pooling import PartOutput
from sparkclin.text.tokenization import tokenize
from testkit.checkpoints import NOTES, random_bigbird, random_checkpoint
from testkit.stock import by_jvm, by_name, needs_stock

pytestmark = [pytest.mark.slow, pytest.mark.export]

LABELS = {0: "O", 1: "B-DRUG", 2: "I-DRUG", 3: "B-SIGN", 4: "I-SIGN"}
MAKERS = {
    "longformer": (random_checkpoint, LongformerForTokenClassification),
    "big_bird": (random_bigbird, BigBirdForTokenClassification),
}


@pytest.fixture(scope="module", params=MAKERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make, model_class = MAKERS[request.param]
    return make(tmp_path_factory.mktemp("checkpoint"), model_class=model_class, id2label=LABELS)


@pytest.fixture(scope="module", params=["onnx", "tensorflow", "openvino"])
def bundle(
    request: pytest.FixtureRequest, spark: SparkSession, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    models = tmp_path_factory.mktemp("models")
    options = ExportOptions(checkpoint=str(checkpoint), name="a_ner", models=models, engine=request.param)
    return convert(options, spark=spark)


def test_the_manifest_says_task_and_labels(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (manifest.task, manifest.labels) == (ENTITIES, tuple(LABELS.values()))
    assert [(output.name, output.size) for output in manifest.outputs] == [("logits", 5)]
    assert max(figure["max_abs_difference"] for figure in manifest.parity["head"]["vectors"]) <= 1e-4
    assert max(figure["max_abs_difference"] for figure in manifest.parity["vectors"]) <= 1e-4


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_note_of_any_length_has_the_entities_of_its_logits(
    spark: SparkSession, checkpoint: Path, bundle: Bundle, aggregation: str
) -> None:
    notes = spark.createDataFrame(list(NOTES.items()), "note_id string, text string")
    found = find_entities(notes, bundle=bundle, options=NerOptions(aggregation=aggregation))
    expected_schema = output_schema(notes.schema["note_id"].dataType)
    assert [(f.name, f.dataType) for f in found.schema] == [(f.name, f.dataType) for f in expected_schema]
    by_note: dict[str, list[Row]] = {note_id: [] for note_id in NOTES}
    for row in found.orderBy("note_id", "entity").collect():
        by_note[row.note_id].append(row)
    for note_id in ("empty", "null"):
        [row] = by_note[note_id]
        assert (row.status, row.entity, row.label, row.text) == (note_id, None, None, None)
    trained = TrainedModel.read(str(checkpoint))
    for note_id in ("short", "long", "emoji"):
        expected = entities_by_reference(trained, bundle, NOTES[note_id] or "", aggregation)
        rows = [row for row in by_note[note_id] if row.status == "ok"]
        assert rows or [row.status for row in by_note[note_id]] == ["no_entities"]
        assert [(row.label, row.begin, row.end) for row in rows] == [entity[:3] for entity in expected]
        np.testing.assert_allclose([row.score for row in rows], [entity[3] for entity in expected], atol=1e-4)
        assert [row.text for row in rows] == [(NOTES[note_id] or "")[row.begin : row.end] for row in rows]
        assert [row.entity for row in rows] == list(range(len(rows)))
    assert len(by_note["long"]) > 10 or aggregation != "simple"


def test_entities_are_cut_where_the_text_is(
    spark: SparkSession, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    """Spark counts all characters of the note before each text that it cuts out, and it copies the whole note into the
    row of each entity, which are both quadratic."""
    notes = spark.createDataFrame(list(NOTES.items()), "note_id string, text string")
    find_entities(notes, bundle=bundle, options=NerOptions()).explain(extended=True)
    plan = capsys.readouterr().out
    assert "explode" in plan
    assert "substring" not in plan


def entities_by_reference(
    trained: TrainedModel, bundle: Bundle, text: str, aggregation: str
) -> list[tuple[str, int, int, float]]:
    manifest, config = bundle.manifest, trained.config
    encoder = PieceEncoder(trained.tokenizer_json)
    options = EntityOptions(labels=manifest.labels, aggregation=aggregation, unknown_id=encoder.unknown_id)
    [note] = tokenize([text], [()], encoder=encoder, options=manifest.windows())
    rows = [[config.cls_id, *note.pieces.ids[begin:end].tolist(), config.sep_id] for begin, end in note.windows]
    logits = [reference_logits(trained, np.array(row, np.int32)) for row in rows]
    plan = plan_entities(note, options=options)
    parts = [PartOutput(part.segment, 1, logits[part.window][part.begin]) for part in plan.parts]
    merged = merge_entities(plan.segments, parts, options=options)
    kinds = kinds_of(options.labels)
    return [(kinds[int(e.vector[0])], e.begin, e.end, float(e.vector[1])) for e in merged]  # type: ignore[index]


def test_the_stock_annotator_gives_the_label_of_every_piece(
    spark: SparkSession, checkpoint: Path, bundle: Bundle
) -> None:
    needs_stock(bundle)
    annotator = by_name(spark, bundle)
    notes = spark.createDataFrame(list(NOTES.items()), "note_id string, text string")
    tokenized = sparkclin.NoteTokenizer.pretrained(bundle.manifest.name).transform(notes)
    trained, encoder = TrainedModel.read(str(checkpoint)), PieceEncoder(bundle.tokenizer_json())
    manifest = bundle.manifest
    found = {row.note_id: row.ner for row in annotator.transform(tokenized).collect()}
    from_jvm = {row.note_id: row.ner for row in by_jvm(spark, bundle, tokenized).collect()}
    assert from_jvm == found
    assert (found["empty"], found["null"]) == ([], [])
    for note_id in ("short", "long", "emoji"):
        [note] = tokenize([NOTES[note_id]], [()], encoder=encoder, options=manifest.windows())
        pieces = [note.pieces.ids[begin:end] for begin, end in note.windows]
        assert (len(pieces) > 1) == (note_id == "long")
        rows = [np.array([manifest.cls_id, *ids, manifest.sep_id], np.int32) for ids in pieces]
        logits = np.concatenate([reference_logits(trained, row)[1:-1] for row in rows])
        assert [label.result for label in found[note_id]] == [LABELS[index] for index in logits.argmax(axis=1)]
        scores = [[float(label.metadata[name]) for name in LABELS.values()] for label in found[note_id]]
        np.testing.assert_allclose(scores, softmax(logits), atol=1e-5)
        windows = [int(label.metadata["sentence"]) for label in found[note_id]]
        assert windows == np.repeat(np.arange(len(pieces)), [len(ids) for ids in pieces]).tolist()


@pytest.mark.parametrize("label", ["word", "two\nlines", " spaced"])
def test_labels_that_the_stock_annotator_would_lose_are_refused(label: str, tmp_path: Path) -> None:
    named = {0: "O", 1: label}
    folder = random_checkpoint(tmp_path / "checkpoint", model_class=LongformerForTokenClassification, id2label=named)
    with pytest.raises(CheckpointError, match=f"{re.escape(repr(label))} .* Give them other names with --labels"):
        convert(ExportOptions(checkpoint=str(folder), name="a_ner", models=tmp_path / "models"))


def test_the_pipeline_writes_them_with_a_report(bundle: Bundle, tmp_path: Path, spark: SparkSession) -> None:
    source, output = tmp_path / "notes.jsonl", tmp_path / "entities"
    source.write_text("".join(json.dumps({"note_id": k, "text": v}) + "\n" for k, v in NOTES.items()), encoding="utf-8")
    models = bundle.location.rpartition("/")[0]
    arguments = ["--input", str(source), "--input-format", "jsonl", "--output", str(output), "--models", models]
    assert main([*arguments, "--aggregation", "first", "--max-pieces", "50", "--stride", "10"]) == 0
    report = json.loads((output / "_report.json").read_text(encoding="utf-8"))
    assert {"ok": 3, "empty": 1, "null": 1}.items() <= report["counts"]["statuses"].items()
    asked = {"aggregation": "first", "max_pieces": 50, "stride": 10, "labels": list(LABELS.values())}
    assert asked.items() <= report["settings"].items()
    assert spark.read.parquet(str(output)).select("note_id").distinct().count() == len(NOTES)
    assert report["rows"] == spark.read.parquet(str(output)).count()
    made_by = spark.read.parquet(str(output)).select(*bundle.made_by).distinct().collect()
    assert [row.asDict() for row in made_by] == [bundle.made_by]


def test_the_pipeline_writes_note_nlp_for_omop(bundle: Bundle, tmp_path: Path, spark: SparkSession) -> None:
    texts = dict(enumerate(NOTES.values(), start=7))
    rows = [(note_id, 1, text) for note_id, text in texts.items()]
    spark.createDataFrame(rows, "note_id int, person_id int, note_text string").write.parquet(f"{tmp_path}/note")
    models = bundle.location.rpartition("/")[0]
    arguments = ["--input", f"{tmp_path}/note", "--output", f"{tmp_path}/out", "--models", models]
    assert main([*arguments, "--output-schema", "omop", "--first-note-nlp-id", "1001"]) == 0
    spans = spark.read.parquet(f"{tmp_path}/out/spans")
    assert {row.note_id: row.status for row in spans.collect() if row.note_id > 9} == {10: "empty", 11: "null"}
    found = spans.filter("status = 'ok'").orderBy("note_id", "entity").collect()
    written = spark.read.parquet(f"{tmp_path}/out/note_nlp").orderBy("note_nlp_id").collect()
    assert [row.note_nlp_id for row in written] == list(range(1001, 1001 + len(found)))
    assert len(found) > 10
    for row, span in zip(written, found, strict=True):
        assert (row.note_id, row.offset, row.lexical_variant) == (span.note_id, str(span.begin), span.text)
        assert row.term_modifiers.startswith(f"label={span.label};end={span.end};score=0.")
        assert row.snippet in (texts[row.note_id] or "")
    report = json.loads((tmp_path / "out" / "_report.json").read_text(encoding="utf-8"))
    assert report["rows"] == spans.count()
    assert report["derived"] == {"note_nlp": {"rows": len(found), "too_long": 0}}
    assert {"output_schema": "omop", "first_note_nlp_id": 1001}.items() <= report["settings"].items()
    assert {row.nlp_system.rpartition(" ")[2] for row in written} == {report["model"]["manifest_sha256"][:16]}
    assert {row.model_digest for row in spans.collect()} == {report["model"]["manifest_sha256"][:16]}
    assert {row.nlp_date.isoformat() for row in written} == {report["started"][:10]}


def test_a_model_of_another_task_is_refused(spark: SparkSession) -> None:
    embedding = ModelRepository(DEMO_MODELS).find("clinical_longformer_demo")
    notes = spark.createDataFrame([("a", "fever")], "note_id string, text string")
    with pytest.raises(ModelError, match="a model for the task 'embed'; 'entities' takes one"):
        find_entities(notes, bundle=embedding, options=NerOptions())


def test_columns_that_are_missing_are_named(spark: SparkSession, bundle: Bundle) -> None:
    notes = spark.createDataFrame([("a", "fever")], "key string, words string")
    with pytest.raises(InputError, match="there is no column note_id, text; the columns are key, words"):
        find_entities(notes, bundle=bundle, options=NerOptions())
