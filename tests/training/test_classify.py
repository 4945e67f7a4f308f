"""Fine-tuning for labels, with models and corpora of a few bytes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn", reason="the train extra is not installed")

from safetensors.numpy import load_file
from transformers import AutoTokenizer, LongformerForSequenceClassification, pipeline

import sparkclin.evaluation.classify
from sparkclin.errors import InputError, OptionError
from sparkclin.evaluation.classify import Columns, Example
from sparkclin.text.labels import MULTI_LABEL, SINGLE_LABEL, probabilities
from testkit.checkpoints import random_bigbird, random_checkpoint
from training import predict_classify
from training.classify import (
    ClassifyOptions,
    combine,
    fine_tune,
    label_set,
    main,
    parse_options,
    rows_of,
)

pytestmark = pytest.mark.export

MAKERS = [
    partial(make, initializer_range=0.05) for make in (partial(random_checkpoint, attention_window=8), random_bigbird)
]
LONG = "the patient was seen in the clinic "
ROWS: list[dict[str, Any]] = [
    {"text": "no acute distress today", "pair": "he's well", "label": "calm"},
    {"text": "blood pressure 120/80", "pair": "he's well", "label": "sign"},
    {"text": "distress was noted", "pair": "the clinic", "label": "calm"},
    {"text": "pressure 120/80 blood", "pair": "the clinic", "label": "sign"},
]
SEVERAL = [
    {"text": "no acute distress today, blood pressure 120/80", "label": ["calm", "sign"]},
    {"text": "no acute distress today", "label": ["calm"]},
    {"text": "blood pressure 120/80", "label": ["sign"]},
]


@pytest.fixture(scope="module", params=MAKERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(request.param(tmp_path_factory.mktemp("checkpoint")))


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def options(
    folder: Path, checkpoint: Path, *, rows: list[dict[str, Any]] = ROWS, copies: int = 6, **changes: Any
) -> ClassifyOptions:
    folder.mkdir(exist_ok=True)
    train, dev = write(folder / "train.jsonl", rows * copies), write(folder / "dev.jsonl", rows)
    given = {"train": (train,), "dev": (dev,), "init": str(checkpoint), "lr": 2e-3, "epochs": 3, "patience": 3}
    return ClassifyOptions(**{**given, "output": folder / "out", "work": folder / "work", **changes})


def examples(*texts: str, pair: str | None = None) -> list[Example]:
    return [Example(str(index), text, pair, ("b",)) for index, text in enumerate(texts)]


def test_every_window_is_a_row_with_the_labels_of_its_note(checkpoint: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    notes = examples(LONG * 6, "clinic", LONG * 3)
    make = partial(rows_of, notes, tokenizer, labels=["a", "b"], pair_first=False, max_pieces=20)
    single, several = make(multi_label=False), make(multi_label=True)
    counts = np.diff([*single.begins, len(single.features)])
    assert counts[0] > counts[2] > counts[1] == 1
    assert {row["labels"] for row in single.features} == {1}
    assert [row["labels"] for row in several.features] == [[0.0, 1.0]] * len(several.features)
    assert single.begins == several.begins


def test_probabilities_of_windows_are_combined() -> None:
    logits = np.log(np.array([[1, 3], [3, 1], [1, 1]], dtype=np.float32))
    single = probabilities(logits, SINGLE_LABEL)
    np.testing.assert_allclose(single, [[0.25, 0.75], [0.75, 0.25], [0.5, 0.5]])
    np.testing.assert_allclose(probabilities(logits, MULTI_LABEL)[0], [0.5, 0.75])
    np.testing.assert_allclose(combine(single, [0, 2], aggregation="mean"), [[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(combine(single, [0, 2], aggregation="max"), [[0.75, 0.75], [0.5, 0.5]])


def test_a_label_that_is_in_dev_alone_is_refused() -> None:
    a, b = (Example("0", "x", None, (label,)) for label in "ab")
    assert label_set([b, a], [a]) == ("a", "b")
    with pytest.raises(InputError, match="1 of 2 labels of --dev are not in --train: b"):
        label_set([a], [a, b])
    with pytest.raises(InputError, match="--train has 1 labels, expected at least 2"):
        label_set([a], [a])


@pytest.mark.parametrize("pair_first", [False, True])
def test_a_model_learns_labels_of_pairs(checkpoint: Path, tmp_path: Path, *, pair_first: bool) -> None:
    columns = Columns(pair="pair")
    record = fine_tune(options(tmp_path, checkpoint, epochs=12, patience=12, columns=columns, pair_first=pair_first))
    assert record.dev_score.macro_f1 == 1.0
    written = json.loads((tmp_path / "out" / "training.json").read_text())
    assert (written["labels"], written["columns"]["pair"], written["pair_first"]) == (
        ["calm", "sign"],
        "pair",
        pair_first,
    )
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"][0].endswith("ForSequenceClassification")
    assert config["problem_type"] == "single_label_classification"
    assert (config["id2label"], config["label2id"]) == ({"0": "calm", "1": "sign"}, {"calm": 0, "sign": 1})


def test_a_model_learns_several_labels_and_transformers_predictions_are_scored(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = Columns(multi_label=True)
    record = fine_tune(options(tmp_path, checkpoint, rows=SEVERAL, copies=12, epochs=10, patience=10, columns=columns))
    assert record.dev_score.micro_f1 > 0.9
    assert json.loads((tmp_path / "out" / "config.json").read_text())["problem_type"] == "multi_label_classification"
    notes, found = tmp_path / "notes.jsonl", tmp_path / "found.parquet"
    corpus = tmp_path / "dev.jsonl"
    assert sparkclin.evaluation.classify.main(["notes", str(corpus), "--multi-label", "--output", str(notes)]) == 0
    assert predict_classify.main([str(notes), str(tmp_path / "out"), "--output", str(found)]) == 0
    assert list(pd.read_parquet(found).columns) == predict_classify.COLUMNS
    capsys.readouterr()
    assert sparkclin.evaluation.classify.main(["score", str(found), str(corpus), "--multi-label"]) == 0
    assert json.loads(capsys.readouterr().out) == record_score(record.dev_score)


def test_a_regression_has_numbers_and_no_predicted_label(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(
        tmp_path / "checkpoint",
        model_class=LongformerForSequenceClassification,
        id2label={0: "risk"},
        attention_window=8,
        problem_type="regression",
    )
    notes = [{"note_id": "a", "text": "blood pressure 120/80"}]
    found = predict_classify.predicted(notes, str(checkpoint), predict_classify.PredictOptions())
    [[theirs]] = pipeline("text-classification", model=str(checkpoint), top_k=None)([notes[0]["text"]])
    assert found["score"].tolist() == [pytest.approx(theirs["score"], abs=1e-6)]
    assert found["predicted"].isna().all()


def record_score(score: sparkclin.evaluation.classify.ClassScore) -> dict[str, Any]:
    return {name: getattr(score, name) for name in score.__dataclass_fields__}


def test_predictions_are_those_of_transformers_pipeline(checkpoint: Path, tmp_path: Path) -> None:
    columns = Columns(pair="pair")
    fine_tune(options(tmp_path, checkpoint, epochs=1, columns=columns))
    notes = [{"note_id": str(index), **row} for index, row in enumerate(ROWS)]
    notes += [{"note_id": "long", "text": LONG * 9, "pair": "he's well"}, {"note_id": "e", "text": " ", "pair": ""}]
    notes += [{"note_id": "n", "text": None, "pair": None}]
    found = predict_classify.predicted(
        notes, str(tmp_path / "out"), predict_classify.PredictOptions(max_pieces=40, aggregation="max")
    )
    with pytest.raises(OptionError, match="a threshold has no effect on this model"):
        predict_classify.predicted(notes, str(tmp_path / "out"), predict_classify.PredictOptions(threshold=0.5))
    classify = pipeline("text-classification", model=str(tmp_path / "out"), top_k=None)
    for note in notes[: len(ROWS)]:
        (theirs,) = classify([{"text": note["text"], "text_pair": note["pair"]}])
        ours = found[found["note_id"] == note["note_id"]].set_index("label")
        for each in theirs:
            assert ours["score"][each["label"]] == pytest.approx(each["score"], abs=1e-6)
        assert ours["predicted"].sum() == 1
    assert found[found["note_id"] == "long"]["score"].sum() >= 1
    last = found.tail(2)
    assert last["status"].tolist() == ["empty", "null"]
    assert last["label"].isna().all()


def test_a_seed_gives_the_same_weights(checkpoint: Path, tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("a", "b"))
    for folder in (first, second):
        # Rows of both kinds of BigBird's attention: short ones, and ones of more than 28 pieces.
        fine_tune(options(folder, checkpoint, rows=[*ROWS, {"text": LONG * 4, "label": "calm"}], copies=1, epochs=1))
    weights = [load_file(folder / "out" / "model.safetensors") for folder in (first, second)]
    assert weights[0].keys() == weights[1].keys()
    for name, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][name])


def test_training_ends_early_and_the_best_epoch_is_kept(checkpoint: Path, tmp_path: Path) -> None:
    record = fine_tune(options(tmp_path, checkpoint, copies=1, lr=0.0, epochs=9, patience=2))
    assert (record.run.best_epoch, record.run.epochs_run, record.run.epochs) == (1.0, 3.0, 9)


def test_what_a_user_can_mend_is_an_error_without_a_traceback(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = str(write(tmp_path / "corpus.jsonl", ROWS))
    run = ["--train", corpus, "--dev", corpus, "--init", str(checkpoint), "--output", "o", "--work", "w"]
    assert main([*run, "--label-column", "kind"]) == 1
    assert "has no column kind" in capsys.readouterr().err
    assert main([*run, "--pair-column", "pair", "--max-pieces", "4"]) == 1
    assert (
        "4 of 4 rows have a pair that leaves a note no more than 0 pieces in a window of 4" in capsys.readouterr().err
    )


def test_the_defaults_are_the_authors(tmp_path: Path) -> None:
    asked = parse_options(["--train", "a", "b", "--dev", "c", "--init", "d", "--output", "e", "--work", "f"])
    assert (asked.lr, asked.epochs, asked.batch, asked.aggregation) == (2e-5, 10, 4, "mean")
    assert asked.columns == Columns()
    with pytest.raises(OptionError, match="there is no aggregation 'sum'"):
        options(tmp_path, tmp_path, aggregation="sum")
