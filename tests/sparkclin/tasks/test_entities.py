"""Entities of whole notes through Spark, against transformers' logits of each window."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyspark.sql import Row, SparkSession
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    BigBirdForTokenClassification,
    LongformerForTokenClassification,
    TokenClassificationPipeline,
)
from transformers.pipelines.token_classification import AggregationStrategy

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
from sparkclin.text.entities import AGGREGATIONS
from sparkclin.text.labels import softmax
from sparkclin.text.pieces import PieceEncoder
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
    windows = bundle.manifest.windows()
    assert len((NOTES["long"] or "").split()) > windows.max_pieces  # so it has several windows
    for note_id in ("short", "long", "emoji"):
        expected = entities_by_reference(
            checkpoint, NOTES[note_id] or "", aggregation, max_pieces=windows.max_pieces, stride=windows.stride
        )
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
    checkpoint: Path, text: str, aggregation: str, *, max_pieces: int, stride: int
) -> list[tuple[str, int, int, float]]:
    """Return kind, begin, end and score of a note's entities by transformers: its tokenizer, its model's logits and its
    pipeline's words, but for `word`. Windows, and which of them a piece is of, are by their definitions."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForTokenClassification.from_pretrained(checkpoint)
    model.train(False)
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = found["input_ids"], found["offset_mapping"]
    begins = [0]
    while begins[-1] + max_pieces < len(ids):
        begins.append(begins[-1] + max_pieces - stride)
    logits = []
    for begin in begins:
        row = [tokenizer.cls_token_id, *ids[begin : begin + max_pieces], tokenizer.sep_token_id]
        with torch.inference_mode():
            logits.append(model(torch.tensor([row])).logits[0, 1:-1].double().numpy())
    scores = []
    for piece in range(len(ids)):
        to_edge = [min(piece - begin, begin + len(of) - 1 - piece) for begin, of in zip(begins, logits, strict=True)]
        owner = to_edge.index(max(to_edge))  # the first of equals
        of_piece = np.exp(logits[owner][piece - begins[owner]])
        scores.append(of_piece / of_piece.sum())
    pipeline = TokenClassificationPipeline(model=model, tokenizer=tokenizer)
    if aggregation == "word":
        cut = [span for _, span in tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)]
        words = words_by_letters(text, cut, offsets, scores)
        grouped = pipeline.group_entities(
            [
                {"entity": LABELS[int(of.argmax())], "score": of.max(), "word": "", "start": begin, "end": end}
                for begin, end, of in words
            ]
        )
    else:
        strategy = AggregationStrategy(aggregation)
        no_special = np.zeros(len(ids))
        pieces = pipeline.gather_pre_entities(text, np.array(ids), scores, offsets, no_special, strategy)
        grouped = pipeline.aggregate(pieces, strategy)
    entities = [
        (entity["entity_group"], *without_space(text, entity["start"], entity["end"]), float(entity["score"]))
        for entity in grouped
    ]
    return [entity for entity in entities if entity[0] != "O" and entity[1] < entity[2]]


def words_by_letters(
    text: str,
    pre_tokens: list[tuple[int, int]],
    offsets: list[tuple[int, int]],
    scores: list[np.ndarray[Any, Any]],
) -> list[tuple[int, int, np.ndarray[Any, Any]]]:
    """Return begin, end and scores of each word: a run of letters and digits of a pre-token, or another character that
    can be seen, with the scores of the piece that begins with it. A piece of both, such as `'s`, is a word without its
    punctuation."""
    spans = [
        (first + match.start(), first + match.end())
        for first, last in pre_tokens
        for match in re.finditer(r"[^\W_]+|[^\w\s]|_", text[first:last])
    ]
    found: list[tuple[int, int, np.ndarray[Any, Any]]] = []
    for offset, of_piece in zip(offsets, scores, strict=True):
        begin, end = without_space(text, *offset)
        inside = [span for span in spans if begin < span[1] and span[0] < end]
        if not inside or inside[0][0] < begin or (found and begin < found[-1][1]):
            continue
        letters = [span for span in inside if text[span[0]].isalnum()] or inside
        found.append((letters[0][0], letters[-1][1], of_piece))
    return found


def without_space(text: str, begin: int, end: int) -> tuple[int, int]:
    found = text[begin:end]
    return begin + len(found) - len(found.lstrip()), max(begin, end - len(found) + len(found.rstrip()))


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
