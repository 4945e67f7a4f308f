"""Labels of notes and pairs, and answers to questions, through Spark, against transformers alone (training/)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from transformers import (
    BigBirdForQuestionAnswering,
    BigBirdForSequenceClassification,
    LongformerForQuestionAnswering,
    LongformerForSequenceClassification,
)

import sparkclin
from sparkclin.commands import answer as answer_notes
from sparkclin.commands import classify as classify_notes
from sparkclin.export.convert import ExportOptions, convert
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.heads import reference_logits
from sparkclin.models.bundle import Bundle
from sparkclin.schema import ANSWER, CLASSIFY
from sparkclin.stages.stock_answers import chosen_spans, question_windows
from sparkclin.text.labels import probabilities
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.tokenization import tokenize, tokenize_pairs
from testkit.checkpoints import TEXTS, random_bigbird, random_checkpoint
from testkit.stock import by_jvm, by_name, needs_stock
from training import predict_classify, predict_qa

pytestmark = [pytest.mark.slow, pytest.mark.export]

LABELS = {0: "calm", 1: "worse", 2: "better"}
QUESTIONS = ["was he seen in the clinic?", "blood pressure", "  ", "the patient " * 300]
NOTES: list[dict[str, Any]] = [
    {"note_id": "short", "text": "He's well.\n\nBP 120/80,  on aspirin (81mg)", "question": QUESTIONS[0]},
    {"note_id": "long", "text": " ".join(TEXTS) * 12, "question": QUESTIONS[1]},
    {"note_id": "emoji", "text": "🩺 fever 🤒 and chills " * 9, "question": QUESTIONS[0]},
    {"note_id": "empty", "text": " \n", "question": QUESTIONS[0]},
    {"note_id": "null", "text": None, "question": QUESTIONS[0]},
]
BAD_PAIRS: list[dict[str, Any]] = [
    {"note_id": "asked nothing", "text": TEXTS[0], "question": QUESTIONS[2]},
    {"note_id": "not asked", "text": TEXTS[0], "question": None},
    {"note_id": "asked too much", "text": TEXTS[0], "question": QUESTIONS[3]},
]
CLASSES = {
    "longformer": (random_checkpoint, LongformerForSequenceClassification, LongformerForQuestionAnswering),
    "big_bird": (random_bigbird, BigBirdForSequenceClassification, BigBirdForQuestionAnswering),
}


class Way(NamedTuple):
    family: str
    engine: str


WAYS = [
    Way(family="longformer", engine="tensorflow"),
    Way(family="big_bird", engine="onnx"),
    Way(family="longformer", engine="openvino"),
    Way(family="big_bird", engine="openvino"),
]
"""Both families are compared with all engines in tests/export; here it is the way through Spark."""


def made(tmp_path_factory: pytest.TempPathFactory, family: str, head: int, **settings: Any) -> Path:
    make, *classes = CLASSES[family]
    # transformers' Longformer reads a row of any length only where its windows are alike.
    window: dict[str, Any] = {"attention_window": 8} if family == "longformer" else {}
    return make(tmp_path_factory.mktemp("checkpoint"), model_class=classes[head], **window, **settings)


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.fixture(scope="module")
def family(way: Way) -> str:
    return way.family


@pytest.fixture(scope="module")
def classifier(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    problem = "multi_label_classification" if family == "big_bird" else "single_label_classification"
    return made(tmp_path_factory, family, 0, id2label=LABELS, problem_type=problem)


@pytest.fixture(scope="module")
def reader(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory, family, 1)


def exported(spark: SparkSession, checkpoint: Path, way: Way, models: Path) -> Bundle:
    options = ExportOptions(checkpoint=str(checkpoint), name="a_model", models=models, engine=way.engine)
    return convert(options, spark=spark)


@pytest.fixture(scope="module")
def classifying(spark: SparkSession, way: Way, classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exported(spark, classifier, way, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def reading(spark: SparkSession, way: Way, reader: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exported(spark, reader, way, tmp_path_factory.mktemp("models"))


def notes_file(folder: Path, notes: Sequence[dict[str, Any]]) -> Path:
    file = folder / "notes.jsonl"
    file.write_text("".join(json.dumps(note) + "\n" for note in notes), encoding="utf-8")
    return file


def run(main: Any, bundle: Bundle, folder: Path, notes: Sequence[dict[str, Any]], *options: str) -> pd.DataFrame:
    given = ["--input", str(notes_file(folder, notes)), "--input-format", "jsonl", "--output", str(folder / "out")]
    assert main([*given, "--models", bundle.location.rpartition("/")[0], *options]) == 0
    found = pd.read_parquet(folder / "out")
    assert found[list(bundle.made_by)].drop_duplicates().to_dict("records") == [bundle.made_by]
    return found


def test_the_manifests_say_what_the_models_are(classifying: Bundle, reading: Bundle, family: str) -> None:
    manifest = classifying.manifest
    assert (manifest.task, manifest.labels) == (CLASSIFY, tuple(LABELS.values()))
    multi = family == "big_bird"
    assert manifest.problem_type == ("multi_label_classification" if multi else "single_label_classification")
    assert manifest.global_attention == ("none" if multi else "first")
    assert (reading.manifest.task, reading.manifest.problem_type) == (ANSWER, None)
    assert reading.manifest.global_attention == ("none" if multi else "question")
    for bundle in (classifying, reading):
        assert max(figure["max_abs_difference"] for figure in bundle.manifest.parity["head"]["vectors"]) <= 1e-4


@pytest.mark.parametrize(
    ("options", "aggregation", "pair_first"),
    [([], "mean", None), (["--pair-column", "question", "--aggregation", "max"], "max", False),
     (["--pair-column", "question", "--pair-first"], "mean", True)],
)  # fmt: skip
def test_labels_are_those_of_transformers(
    classifying: Bundle,
    classifier: Path,
    tmp_path: Path,
    options: list[str],
    aggregation: str,
    *,
    pair_first: bool | None,
) -> None:
    found = run(classify_notes.main, classifying, tmp_path, NOTES, *options)
    given = NOTES if pair_first is None else [{**note, "pair": note["question"]} for note in NOTES]
    theirs = predict_classify.predicted(
        given,
        str(classifier),
        predict_classify.PredictOptions(pair_first=bool(pair_first), aggregation=aggregation),
    )
    keys = ["note_id", "label_index"]
    ours, theirs = (frame.sort_values(keys).reset_index(drop=True) for frame in (found, theirs))
    assert (ours.groupby("note_id").n_windows.first()["long"]) > 1
    compared = ["note_id", "label_index", "label", "predicted", "status"]
    values, expected = (frame[compared].astype(object) for frame in (ours, theirs))
    assert values.fillna("none").to_dict("list") == expected.fillna("none").to_dict("list")
    np.testing.assert_allclose(ours.score.astype(float), theirs.score.astype(float), atol=1e-4, rtol=0)


@pytest.mark.parametrize("no_answer", [False, True])
def test_answers_are_those_of_transformers(reading: Bundle, reader: Path, tmp_path: Path, *, no_answer: bool) -> None:
    options = ["--answers", "4", "--max-answer-pieces", "6", *(["--no-answer"] if no_answer else [])]
    found = run(answer_notes.main, reading, tmp_path, NOTES, *options)
    theirs = predict_qa.predicted(
        NOTES, str(reader), predict_qa.PredictOptions(top_k=4, max_answer_pieces=6, no_answer=no_answer)
    )
    texts = {note["note_id"]: note["text"] for note in NOTES}
    for note_id, text in texts.items():
        ours, expected = (frame[frame.note_id == note_id].sort_values("rank") for frame in (found, theirs))
        assert ours.status.tolist() == expected.status.tolist()
        if ours.status.iloc[0] in ("empty", "null"):
            continue
        assert ours["rank"].tolist() == list(range(len(expected)))
        np.testing.assert_allclose(ours.score, expected.score.astype(float), atol=1e-4, rtol=1e-3)
        for row, wanted in zip(ours.itertuples(), expected.itertuples(), strict=True):
            if row.status == "no_answer":
                assert pd.isna(row.begin)
                assert row.text is None
            else:
                assert (row.begin, row.end, row.text) == (wanted.begin, wanted.end, wanted.text)
                assert row.text == text[int(row.begin) : int(row.end)]


def test_the_stock_annotator_gives_the_labels_of_every_window(
    spark: SparkSession, classifying: Bundle, classifier: Path
) -> None:
    needs_stock(classifying)
    annotator = by_name(spark, classifying).setBatchSize(64)
    notes = spark.createDataFrame([(note["note_id"], note["text"]) for note in NOTES], "note_id string, text string")
    tokenized = sparkclin.NoteTokenizer.pretrained(classifying.manifest.name).transform(notes)
    found = {row.note_id: row["class"] for row in annotator.transform(tokenized).collect()}
    few = tokenized.where("n_windows < 4")  # where a note has more windows than a batch, Spark NLP names others
    for row in by_jvm(spark, classifying, few).collect():
        assert row["class"] == found[row.note_id]
    trained, encoder = TrainedModel.read(str(classifier)), PieceEncoder(classifying.tokenizer_json())
    manifest = classifying.manifest
    assert (found["empty"], found["null"]) == ([], [])
    for note in NOTES[:3]:
        [tokens] = tokenize([note["text"]], [()], encoder=encoder, options=manifest.windows())
        rows = [[manifest.cls_id, *tokens.pieces.ids[begin:end], manifest.sep_id] for begin, end in tokens.windows]
        logits = np.concatenate([reference_logits(trained, np.array(row, np.int32)) for row in rows])
        expected = probabilities(logits, manifest.problem_type or "")
        wanted = [
            (window, LABELS[index])
            for window, of_row in enumerate(expected)
            for index, score in enumerate(of_row)
            if (score > 0.5 if manifest.problem_type == "multi_label_classification" else score == of_row.max())
        ]
        labels = found[note["note_id"]]
        assert [(int(label.metadata["sentence"]), label.result) for label in labels] == wanted
        scores = [[float(label.metadata[name]) for name in LABELS.values()] for label in labels]
        np.testing.assert_allclose(scores, expected[[window for window, _ in wanted]], atol=1e-5)


def test_the_stock_annotator_finds_the_likeliest_span_of_every_window(
    spark: SparkSession, reading: Bundle, reader: Path
) -> None:
    needs_stock(reading)
    annotator = by_name(spark, reading)
    asked = [(note["note_id"], note["text"], note["question"]) for note in [*NOTES, *BAD_PAIRS]]
    notes = spark.createDataFrame(asked, "note_id string, text string, question string")
    tokenized = sparkclin.NoteTokenizer.pretrained(reading.manifest.name).setQuestionCol("question").transform(notes)
    assert {row.note_id: row.status for row in tokenized.collect() if row.status != "ok"} == {
        "empty": "empty", "null": "null", "asked nothing": "empty", "not asked": "null",
        "asked too much": "pair_too_long",
    }  # fmt: skip
    windows = question_windows(tokenized)
    found = chosen_spans(annotator.transform(windows)).orderBy("note_id", "window").collect()
    from_jvm = chosen_spans(by_jvm(spark, reading, windows)).orderBy("note_id", "window").collect()
    spans = [(row.note_id, row.window, row.begin, row.end, row.answer_text) for row in found]
    assert [(row.note_id, row.window, row.begin, row.end, row.answer_text) for row in from_jvm] == spans
    trained, encoder = TrainedModel.read(str(reader)), PieceEncoder(reading.tokenizer_json())
    manifest, expected = reading.manifest, []
    for note_id, text, question in sorted(asked[:3]):
        [tokens] = tokenize_pairs(
            [text], [question], encoder=encoder, options=manifest.windows(), pairing=manifest.pairing(first=True)
        )
        for window, (begin, end) in enumerate(tokens.windows):
            before = [manifest.cls_id, *tokens.pair.before]
            row = np.array([*before, *tokens.pieces.ids[begin:end], manifest.sep_id], np.int32)
            logits = reference_logits(trained, row)[len(before) : -1]
            sums = np.triu(logits[:, :1] + logits[:, 1])
            sums[np.tril_indices(len(sums), -1)] = -np.inf
            first, last = np.unravel_index(sums.argmax(), sums.shape)
            span = int(tokens.pieces.begins[begin + first]), int(tokens.pieces.ends[begin + last])
            expected.append((note_id, window, *span, text[slice(*span)]))
    assert spans == expected
    assert max(window for _, window, *_ in spans) > 0


def test_a_pair_that_cannot_be_read_is_named_and_nothing_is_cut(
    classifying: Bundle, reading: Bundle, tmp_path: Path
) -> None:
    expected = {"short": "ok", "asked nothing": "empty", "not asked": "null", "asked too much": "pair_too_long"}
    notes = [NOTES[0], *BAD_PAIRS]
    (tmp_path / "labels").mkdir()
    labels = run(classify_notes.main, classifying, tmp_path / "labels", notes, "--pair-column", "question")
    answers = run(answer_notes.main, reading, tmp_path, notes)
    for found in (labels, answers):
        assert found.groupby("note_id").status.first().to_dict() == expected
        assert found[found.status != "ok"].score.isna().all()
    report = json.loads((tmp_path / "out" / "_report.json").read_text(encoding="utf-8"))
    assert report["counts"]["statuses"]["pair_too_long"] == 1


def test_one_question_is_asked_of_all_notes(reading: Bundle, tmp_path: Path) -> None:
    asked = [{**note, "question": QUESTIONS[1]} for note in NOTES]
    (tmp_path / "own").mkdir()
    own = run(answer_notes.main, reading, tmp_path / "own", asked).sort_values("note_id", ignore_index=True)
    same = run(answer_notes.main, reading, tmp_path, NOTES, "--question", QUESTIONS[1])
    pd.testing.assert_frame_equal(own, same.sort_values("note_id", ignore_index=True))


def test_what_does_not_go_together_is_said_in_a_line(
    classifying: Bundle, reading: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = notes_file(tmp_path, NOTES)
    given = ["--input", str(file), "--input-format", "jsonl", "--output", str(tmp_path / "out")]
    models = {
        bundle.manifest.task: ["--models", bundle.location.rpartition("/")[0]] for bundle in (classifying, reading)
    }
    for main, options, said in (
        (classify_notes.main, models[ANSWER], "a model for the task 'answer'; 'classify' takes one that was exported"),
        (answer_notes.main, models[CLASSIFY], "a model for the task 'classify'; 'answer' takes one that was exported"),
        (classify_notes.main, [*models[CLASSIFY], "--pair-column", "premise"], "has no column premise"),
        (classify_notes.main, [*models[CLASSIFY], "--threshold", "2"], "threshold is 2.0, expected a probability"),
        (answer_notes.main, [*models[ANSWER], "--question", " "], "the text that all notes are to be read with"),
        (
            answer_notes.main,
            [*models[ANSWER], "--question", "why?", "--question-column", "question"],
            "--question and --question-column were both given",
        ),
    ):
        assert main([*given, *options]) == 1
        assert said in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
