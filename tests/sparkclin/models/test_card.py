"""What `sparkclin models describe` prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.models.card import model_card
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from sparkclin.schema import CLASSIFY, ENTITIES
from testkit.bundles import manifest_of, stage

VECTORS = [
    {"path": "graph, codes", "length": 1, "max_abs_difference": 1e-7, "min_cosine": 0.9999999},
    {"path": "graph, codes", "length": 2, "max_abs_difference": 3e-6, "min_cosine": 0.9999998},
    {"path": "Spark NLP, codes", "length": 1, "max_abs_difference": 2e-6, "min_cosine": 1.0},
]
PARITY = {
    "id_rows": 18,
    "id_rows_identical": 17,
    "vectors": VECTORS,
    "limits": {"max_abs_difference": 1e-4, "min_cosine": 0.999999},
    "packed": {"vectors": VECTORS[:1], "limits": {"max_abs_difference": None, "min_cosine": 0.99}},
}
COST = {
    "notes": 60,
    "documents": {"vectors": 60, "mean_cosine": 0.999, "worst_cosine": 0.9981},
    "pieces": {"vectors": 38_917, "mean_cosine": 0.9985, "worst_cosine": 0.9907},
    "specialty": {"fp32": {"nearest": 0.65}, "exported": {"nearest": 0.633}},
}


@pytest.fixture
def repository(tmp_path: Path) -> ModelRepository:
    """`tiny` in fp32 and, newer, in int8, and a model of another name."""
    repository = ModelRepository(tmp_path)

    def register(name: str, engine: str, precision: str, parity: dict[str, object]) -> Manifest:
        staged = stage(tmp_path, name=name, content="x" * 1_200_000)
        manifest = manifest_of(staged, name=name, engine=engine, precision=precision)
        return repository.register(staged, replace(manifest, parity=parity, description="For tests.")).manifest

    register("other", "onnx", "int8", {"precision": COST | {"notes": 7}})
    register("tiny", "tensorflow", "fp32", PARITY)
    register("tiny", "onnx", "int8", PARITY | {"precision": COST, "limits": None})
    return repository


def card(repository: ModelRepository, **version: str) -> str:
    bundle: Bundle = repository.find("tiny", **version)
    return model_card(bundle, versions=repository.bundles("tiny", "en"))


def test_it_says_what_the_model_is(repository: ModelRepository) -> None:
    lines = card(repository).splitlines()
    assert lines[:2] == ["tiny (en)", "For tests."]
    assert "reads      windows of up to 4,094 pieces (subword tokens)" in lines
    assert "task       embed" in lines
    assert "gives      vectors of 2 numbers" in lines


def test_a_model_for_entities_names_their_kinds(tmp_path: Path) -> None:
    staged = stage(tmp_path)
    manifest = manifest_of(staged, name="marker", task=ENTITIES, labels=("O", "B-Drug", "I-Drug", "B-Sign"))
    bundle = ModelRepository(tmp_path).register(staged, manifest)
    assert "gives      entities: Drug, Sign" in model_card(bundle, versions=[bundle]).splitlines()


CLASSIFIER = {"task": CLASSIFY, "problem_type": "single_label_classification"}


@pytest.mark.parametrize(
    ("fields", "gives", "warned"),
    [
        ({"labels": ("O", "B-cell", "other"), **CLASSIFIER}, "labels: O, B-cell, other", ["no problem_type"]),
        (
            {"labels": ("LABEL_0", "LABEL_1"), **CLASSIFIER},
            "labels: LABEL_0, LABEL_1",
            ["no problem_type: the labels are taken to exclude each other", "does not name the labels"],
        ),
        (
            {"labels": ("one",), "task": CLASSIFY, "problem_type": "multi_label_classification"},
            "labels: one",
            ["no problem_type: the score of the one label is taken to be a probability"],
        ),
        ({"labels": ("LABEL_0",), "config": {"problem_type": "regression"}, **CLASSIFIER}, "labels: LABEL_0", []),
        ({"labels": ("Drug", "Sign"), "task": ENTITIES}, "entities: Drug, Sign", ["no label is O: every word"]),
        ({"labels": ("O", "Sign"), "task": ENTITIES}, "entities: Sign", []),
    ],
)
def test_it_says_what_the_labels_leave_open(
    tmp_path: Path, fields: dict[str, Any], gives: str, warned: list[str]
) -> None:
    staged = stage(tmp_path)
    manifest = replace(manifest_of(staged, name="marker"), **fields)
    bundle = ModelRepository(tmp_path).register(staged, manifest)
    lines = model_card(bundle, versions=[bundle]).splitlines()
    assert f"gives      {gives}" in lines
    warnings = [line for line in lines if line.startswith("Warning: ")]
    assert len(warnings) == len(warned)
    assert all(part in warning for part, warning in zip(warned, warnings, strict=True))
    assert [line for line in lines if line.startswith("problem ")] == [
        f"problem    {problem_type}" for problem_type in [fields.get("problem_type")] if problem_type
    ]


def test_it_lists_the_versions_and_their_sizes(repository: ModelRepository) -> None:
    lines = [line for line in card(repository).splitlines() if "1.2 MB" in line]
    assert [line.split()[:-4] for line in lines] == [["onnx", "int8"], [">", "tensorflow", "fp32"]]
    assert [line.split()[-1] for line in lines] == [bundle.path.name for bundle in repository.bundles("tiny", "en")]


def test_it_has_the_worst_figures_of_each_path_and_their_limits(repository: ModelRepository) -> None:
    found = card(repository)
    assert "Parity of tensorflow fp32: 17 of 18 texts have the checkpoint's ids" in found
    against = found.split("Against the checkpoint")[1].split("Packed batches")[0].split("\n")
    assert [line.split() for line in against if line][1:] == [
        ["graph,", "codes", "3.0e-06", "0.9999998000000"],
        ["Spark", "NLP,", "codes", "2.0e-06", "1.0000000000000"],
        ["limit", "0.0001", "0.999999"],
    ]
    packed = found.split("Packed batches")[1].split("int8 against")[0]
    assert ["limit", "none", "0.99"] in [line.split() for line in packed.splitlines()]


def test_it_says_what_int8_costs_whichever_version_is_described(repository: ModelRepository) -> None:
    for found in (card(repository), card(repository, precision="int8")):
        cost = found.split("onnx int8 against fp32, on 60 notes")[1]
        assert [line.split() for line in cost.splitlines()][2:4] == [
            ["documents", "60", "0.99900", "0.99810"],
            ["pieces", "38,917", "0.99850", "0.99070"],
        ]
        assert cost.endswith("0.650 in fp32, 0.633 in int8")


def test_a_model_without_figures_says_so(tmp_path: Path) -> None:
    staged = stage(tmp_path)
    bundle = ModelRepository(tmp_path).register(staged, manifest_of(staged, name="tiny"))
    found = model_card(bundle, versions=[bundle])
    assert found.endswith("Parity of tensorflow fp32: no figures in the manifest")


def test_the_shipped_models_have_cards() -> None:
    repository = ModelRepository(DEMO_MODELS)
    for bundle in repository.bundles():
        found = model_card(bundle, versions=repository.bundles())
        assert found.count("Spark NLP, codes") >= 1
        assert "documents  60" in found
