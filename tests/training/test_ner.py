"""Fine-tuning for entities, with models and corpora of a few bytes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from transformers import AutoModelForTokenClassification, AutoTokenizer

import sparkclin.evaluation.ner
from sparkclin.errors import OptionError
from sparkclin.evaluation.ner import Sentence
from sparkclin.export.assets import RowEnds
from sparkclin.export.trained import TrainedModel
from sparkclin.text.entities import EntityOptions
from sparkclin.text.pieces import PieceEncoder
from testkit.checkpoints import random_bigbird, random_checkpoint
from training import predict_ner
from training.evaluate import IGNORED
from training.ner import (
    NerOptions,
    fine_tune,
    label_set,
    labelled_notes,
    parse_options,
    read_all,
    span_labels,
)

pytestmark = pytest.mark.export

SENTENCES = [
    Sentence.of(("the", "patient", "was", "seen", "."), ("O", "B-Person", "O", "O", "O")),
    Sentence.of(("blood", "pressure", "120/80", ",", "distress"), ("B-Sign", "I-Sign", "O", "O", "B-Sign")),
]
LABELS = label_set(SENTENCES)
MAKERS = [
    partial(make, initializer_range=0.05) for make in (partial(random_checkpoint, attention_window=8), random_bigbird)
]
NUMBERS = {label: number for number, label in enumerate(LABELS)}


@pytest.fixture(scope="module", params=MAKERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(request.param(tmp_path_factory.mktemp("checkpoint")))


def write(file: Path, sentences: list[Sentence]) -> Path:
    lines = ["".join(f"{w}\t{lab}\n" for w, lab in zip(s.words, s.labels, strict=True)) for s in sentences]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def options(tmp_path: Path, checkpoint: Path, **changes: object) -> NerOptions:
    train = write(tmp_path / "train.tsv", SENTENCES * 12)
    given = {"train": (train,), "dev": (train,), "init": str(checkpoint), "lr": 2e-3, "epochs": 4, "patience": 4}
    return NerOptions(output=tmp_path / "out", work=tmp_path / "work", **{**given, **changes})  # type: ignore[arg-type]


def test_labels_are_in_order() -> None:
    assert LABELS == ("O", "B-Person", "I-Person", "B-Sign", "I-Sign")


def test_the_label_of_a_word_stands_once_at_its_first_piece(checkpoint: Path) -> None:
    tokenizer_json = AutoTokenizer.from_pretrained(checkpoint).backend_tokenizer.to_str()
    encoder, ends = PieceEncoder(tokenizer_json), RowEnds.of(tokenizer_json)
    entities = EntityOptions(labels=LABELS, unknown_id=encoder.unknown_id)
    for max_pieces in (4, 6, 50):
        notes = labelled_notes(SENTENCES, encoder=encoder, options=entities, max_pieces=max_pieces)
        for sentence, note in zip(SENTENCES, notes, strict=True):
            rows: list[Any] = list(note.rows(ends=ends, numbers=NUMBERS))
            for row in rows:
                assert len(row["input_ids"]) == len(row["labels"]) <= max_pieces + 2
                assert (row["input_ids"][0], row["input_ids"][-1]) == (ends.cls_id, ends.sep_id)
            labelled = [LABELS[number] for row in rows for number in row["labels"] if number != IGNORED]
            assert labelled == [label for label in note.labels if label is not None]
            assert len(labelled) == len([1 for begin, end in note.plan.segments if begin < end])
            given = [np.eye(len(LABELS), dtype=np.float32)[np.maximum(row["labels"], 0)] for row in rows]
            assert note.found(given, entities) == list(sentence.labels)


def test_spans_have_the_labels_of_the_words_they_begin_in() -> None:
    """The tokenizer may cut words where the corpus does not, and leave uncut what the corpus cuts."""
    sentence = Sentence.of(("no", "IL2", "-", "A", "and", "B", "C"), ("O", "B-X", "I-X", "I-X", "O", "B-X", "B-X"))
    assert sentence.text == "no IL2-A and B C"
    spans = [(0, 0), (0, 2), (3, 5), (5, 6), (6, 8), (9, 12), (13, 14), (15, 16)]
    assert list(span_labels(sentence, spans)) == [None, "O", "B-X", "I-X", "I-X", "O", "B-X", "B-X"]


def test_sentences_in_a_row_make_a_note(tmp_path: Path) -> None:
    file = write(tmp_path / "train.tsv", [*SENTENCES, SENTENCES[0]])
    first, second = read_all([file], per_note=2)
    assert first.words == SENTENCES[0].words + SENTENCES[1].words
    assert first.labels == SENTENCES[0].labels + SENTENCES[1].labels
    assert first.text == "the patient was seen. blood pressure 120/80, distress"
    assert second == SENTENCES[0]


def test_a_model_learns_them_and_can_be_exported(checkpoint: Path, tmp_path: Path) -> None:
    record = fine_tune(options(tmp_path, checkpoint, epochs=12, patience=12))
    assert record.dev_score.f1 > 0.9
    assert record.dev_score.support == 36
    assert json.loads((tmp_path / "out" / "training.json").read_text())["labels"] == list(LABELS)
    trained = TrainedModel.read(str(tmp_path / "out"))
    assert trained.head.labels == LABELS


def test_a_seed_gives_the_same_weights(checkpoint: Path, tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        fine_tune(options(tmp_path / name, checkpoint, epochs=1))
        model = AutoModelForTokenClassification.from_pretrained(tmp_path / name / "out")
        found.append(model.classifier.weight.detach().numpy())
    np.testing.assert_array_equal(found[0], found[1])


def test_what_transformers_finds_can_be_scored(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fine_tune(options(tmp_path, checkpoint, epochs=1))
    corpus, found = tmp_path / "train.tsv", tmp_path / "theirs.parquet"
    predict_ner.main([str(corpus), str(tmp_path / "out"), "--output", str(found)])
    assert set(pd.read_parquet(found)["note_id"]) == set(map(str, range(24)))
    capsys.readouterr()
    assert sparkclin.evaluation.ner.main(["score", str(corpus), str(found)]) == 0
    assert json.loads(capsys.readouterr().out)["support"] == 36


def test_windows_longer_than_the_model_reads_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"max_pieces is 300; the model reads 1 to 19[68]"):
        fine_tune(options(tmp_path, checkpoint, max_pieces=300))


def test_the_defaults_are_the_authors() -> None:
    least = ["--train", "a", "b", "--dev", "c", "--init", "d", "--output", "e", "--work", "f"]
    asked = parse_options(least)
    assert (asked.lr, asked.epochs, asked.batch) == (2e-5, 4, 4)
    assert asked.train == (Path("a"), Path("b"))


def test_counts_below_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="epochs is 0, it must be at least 1; batch is 0"):
        options(tmp_path, tmp_path, epochs=0, batch=0)
