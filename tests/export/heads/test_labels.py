"""Labels and problem types: what a checkpoint leaves open is refused or named, and what a user states is exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import LongformerForSequenceClassification, LongformerForTokenClassification, LongformerModel

from sparkclin.errors import InputError, OptionError
from sparkclin.export import convert
from sparkclin.export.__main__ import main
from sparkclin.export.convert import ExportOptions, VerifyOptions
from sparkclin.export.errors import CheckpointError
from sparkclin.export.heads.labels import StatedLabels, labels_of, problem_type_of, read_labels
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.heads import reference_logits
from sparkclin.models.repository import ModelRepository
from sparkclin.text.labels import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from testkit.checkpoints import random_checkpoint

FIVE = ("O", "B-DRUG", "I-DRUG", "B-SIGN", "I-SIGN")
NO_LABELS = {"id2label": None, "label2id": None}

Make = Callable[..., Path]


@pytest.fixture
def tagger(tmp_path: Path) -> Path:
    """A token classification with five labels, whose names are those that transformers makes up."""
    return random_checkpoint(
        tmp_path / "tagger", model_class=LongformerForTokenClassification, num_labels=5, attention_window=8
    )


@pytest.fixture
def classifier(tmp_path: Path) -> Make:
    def made(n_labels: int, **settings: Any) -> Path:
        return random_checkpoint(
            tmp_path / f"classifier{n_labels}",
            model_class=LongformerForSequenceClassification,
            num_labels=n_labels,
            attention_window=8,
            **settings,
        )

    return made


def with_fields(folder: Path, **fields: Any) -> Path:
    """Return the checkpoint after changing fields of its config.json; None removes a field."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | fields
    file.write_text(json.dumps({name: value for name, value in config.items() if value is not None}), encoding="utf-8")
    return folder


def stated(*names: str, problem_type: str | None = None) -> StatedLabels:
    return StatedLabels(names=names, problem_type=problem_type)


@pytest.mark.parametrize("fields", [{}, NO_LABELS])
def test_a_token_classification_without_names_of_labels_is_refused(tagger: Path, fields: dict[str, None]) -> None:
    with pytest.raises(CheckpointError, match=r"does not name its 5 labels.*--labels FILE.*One of them is probably O"):
        TrainedModel.read(str(with_fields(tagger, **fields)))


@pytest.mark.parametrize("fields", [{}, NO_LABELS])
def test_stated_names_are_the_labels(tagger: Path, fields: dict[str, None]) -> None:
    trained = TrainedModel.read(str(with_fields(tagger, **fields)), labels=stated(*FIVE))
    assert trained.head.labels == FIVE
    assert labels_of(trained.source.config) == FIVE


def test_labels_are_in_the_order_of_their_numbers() -> None:
    """config.json has numbers as text, of which 10 comes before 2."""
    names = [f"label {number}" for number in range(12)]
    config = {"id2label": {str(number): names[number] for number in sorted(range(12), key=str)}}
    assert list(config["id2label"])[2] == "10"
    assert labels_of(config) == tuple(names)


def test_numbers_that_agree_in_both_directions_are_taken() -> None:
    assert labels_of({"id2label": {1: "X", 0: "O"}, "label2id": {"X": "1", "O": 0}}) == ("O", "X")


def test_stated_names_replace_those_of_the_config(classifier: Make) -> None:
    folder = classifier(2, id2label={0: "no", 1: "yes"})
    assert TrainedModel.read(str(folder), labels=stated("calm", "worse")).head.labels == ("calm", "worse")


def test_a_classification_without_names_of_labels_has_those_of_transformers(classifier: Make) -> None:
    """transformers leaves them out of config.json if there are two."""
    trained = TrainedModel.read(str(classifier(2)))
    assert "id2label" not in json.loads((trained.source.folder / "config.json").read_text(encoding="utf-8"))
    assert trained.head.labels == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            stated("O", "B-DRUG"),
            r"--labels has 2 labels, and classifier\.weight of tagger has 5 rows: give one",
        ),
        (stated(*FIVE, problem_type=MULTI_LABEL), "--problem-type has no effect on tagger, a model for the task 'ent"),
    ],
)
def test_what_does_not_fit_the_head_is_refused(tagger: Path, labels: StatedLabels, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        TrainedModel.read(str(tagger), labels=labels)


def test_a_model_without_labels_takes_none(tmp_path: Path) -> None:
    folder = random_checkpoint(tmp_path / "encoder", model_class=LongformerModel)
    with pytest.raises(OptionError, match="--labels: encoder is a model for the task 'embed', which has no labels"):
        TrainedModel.read(str(folder), labels=stated("O"))


@pytest.mark.parametrize(
    ("config", "n_labels", "expected"),
    [
        ({}, 3, SINGLE_LABEL),
        ({"problem_type": None}, 3, SINGLE_LABEL),
        ({"problem_type": MULTI_LABEL}, 3, MULTI_LABEL),
        ({"problem_type": REGRESSION}, 3, REGRESSION),
        ({}, 1, MULTI_LABEL),
        ({"problem_type": REGRESSION}, 1, REGRESSION),
    ],
)
def test_the_problem_type_is_that_of_transformers_pipeline(
    config: dict[str, Any], n_labels: int, expected: str
) -> None:
    assert problem_type_of(config, n_labels=n_labels) == expected


@pytest.mark.parametrize(
    ("n_labels", "problem_type", "expected"),
    [(3, "ranking", "single_label_classification, multi_label"), (1, SINGLE_LABEL, "multi_label_classification, reg")],
)
def test_a_problem_type_that_transformers_refuses_is_refused(
    classifier: Make, n_labels: int, problem_type: str, expected: str
) -> None:
    folder = with_fields(classifier(n_labels), problem_type=problem_type)
    with pytest.raises(CheckpointError, match=f"is '{problem_type}', expected one of {expected}.*--problem-type"):
        TrainedModel.read(str(folder))


def test_a_stated_problem_type_replaces_that_of_the_config(classifier: Make) -> None:
    folder = with_fields(classifier(3), problem_type="ranking")
    trained = TrainedModel.read(str(folder), labels=stated(problem_type=REGRESSION))
    assert trained.problem_type == REGRESSION
    assert reference_logits(trained, np.array([0, 5, 2], np.int32)).shape == (1, 3)


def test_one_label_does_not_exclude_others(classifier: Make) -> None:
    with pytest.raises(CheckpointError, match="expected one of multi_label_classification, regression for a head with"):
        TrainedModel.read(str(classifier(1)), labels=stated(problem_type=SINGLE_LABEL))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": ("O", " ", "B-X")}, "--labels: line 2 is blank"),
        ({"labels": ("O", "B-X", "O")}, "--labels: more than one line has the label O"),
        ({"problem_type": "ranking"}, "--problem-type 'ranking': expected one of single_label_classification, "),
    ],
)
def test_what_no_checkpoint_has_is_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        ExportOptions(checkpoint="any", name="a_model", models=tmp_path, **settings)


def test_a_file_of_labels_has_one_per_line(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes("\ufeffO\r\nB-DRUG \r\nÄrzte\r\n".encode())
    assert read_labels(file) == ("O", "B-DRUG", "Ärzte")
    file.write_bytes(b"")
    with pytest.raises(InputError, match="is empty: expected one label per line"):
        read_labels(file)
    with pytest.raises(InputError, match="cannot be read as UTF-8 text"):
        read_labels(tmp_path / "nothing")


@pytest.mark.slow
@pytest.mark.export
def test_what_the_user_states_is_exported_and_verified_again(
    tagger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_text("\n".join(FIVE), encoding="utf-8")
    export = [str(with_fields(tagger, **NO_LABELS)), "--name", "tagger", "--engine", "openvino"]
    assert main([*export, "--models", str(tmp_path / "models")]) == 1
    assert "does not name its 5 labels" in capsys.readouterr().err
    assert not list((tmp_path / "models").glob("tagger*"))
    assert main([*export, "--models", str(tmp_path / "models"), "--labels", str(tmp_path / "labels.txt")]) == 0
    manifest = ModelRepository(tmp_path / "models").find("tagger").manifest
    assert (manifest.labels, labels_of(manifest.config)) == (FIVE, FIVE)
    options = VerifyOptions(name="tagger", models=tmp_path / "models", checkpoint=str(tagger))
    assert convert.verify(options).passed


@pytest.mark.slow
@pytest.mark.export
def test_an_open_problem_type_is_a_warning_and_a_stated_one_is_not(
    classifier: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = [str(classifier(2)), "--name", "a_model", "--engine", "openvino", "--models", str(tmp_path / "models")]
    assert main(export) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 2
    assert "config.json has no problem_type: the labels are taken to exclude each other (softmax)" in warnings[0]
    assert "config.json does not name the labels" in warnings[1]
    (tmp_path / "labels.txt").write_text("calm\nworse\n", encoding="utf-8")
    states = ["--labels", str(tmp_path / "labels.txt"), "--problem-type", MULTI_LABEL]
    assert main([*export, "--force", *states]) == 0
    assert "warning: " not in capsys.readouterr().err
    manifest = ModelRepository(tmp_path / "models").find("a_model").manifest
    assert (manifest.labels, manifest.problem_type) == (("calm", "worse"), MULTI_LABEL)
    assert manifest.config["problem_type"] == MULTI_LABEL
