"""The export as a whole, through Spark NLP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from export import convert
from export.checkpoint import Checkpoint
from export.convert import ExportOptions
from export.errors import CheckpointError, ParityError
from export.families import longformer
from export.graph.encoder import EncoderConfig, EncoderWeights
from sparkclin.bundle import Bundle
from sparkclin.errors import OptionError
from sparkclin.repository import ModelRepository
from tests.export.checkpoints import random_checkpoint
from tests.material import roberta_tokenizer_json

pytestmark = pytest.mark.slow
NAME = "clinical_longformer"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Positions for 4,096 ids and a window of 512, so that every length of the parity table is compared.
    folder = tmp_path_factory.mktemp("checkpoint")
    return random_checkpoint(folder, positions=4098, attention_window=512, initializer_range=0.1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bundle(spark: SparkSession, checkpoint: Path, models: Path) -> Bundle:
    return convert.convert(ExportOptions(checkpoint=str(checkpoint), name=NAME, models=models), spark=spark)


def test_the_manifest_holds_the_whole_table(bundle: Bundle) -> None:
    parity = bundle.manifest.parity
    assert parity["id_rows"] == parity["id_rows_identical"] > 10
    compared = {(figure["route"], figure["length"]) for figure in parity["vectors"]}
    lengths = (1, 2, 255, 256, 257, 258, 511, 512, 513, 769, 1025, 4096)
    assert {("graph, ordinary ids", n) for n in lengths} <= compared
    assert {("graph, codes", n) for n in lengths} <= compared
    assert {("Spark NLP, codes", n) for n in lengths if n > 2} <= compared
    assert all(figure["max_abs_difference"] <= 1e-4 for figure in parity["vectors"])
    assert all(figure["min_cosine"] >= 0.999999 for figure in parity["vectors"])
    assert bundle.problems() == []


def test_nothing_else_is_left_in_the_repository(bundle: Bundle, models: Path) -> None:
    assert {path.name for path in models.iterdir()} == {bundle.path.name, "metadata.json", ".lock"}


@pytest.mark.usefixtures("bundle")
def test_verify_runs_the_table_again(spark: SparkSession, checkpoint: Path, models: Path) -> None:
    report = convert.verify(NAME, models=models, source=str(checkpoint), spark=spark)
    assert report.passed


@pytest.mark.usefixtures("bundle")
def test_verify_refuses_another_checkpoint(spark: SparkSession, models: Path, tmp_path: Path) -> None:
    other = random_checkpoint(tmp_path / "other")
    with pytest.raises(CheckpointError, match="not the checkpoint that clinical_longformer was made from"):
        convert.verify(NAME, models=models, source=str(other), spark=spark)


def test_a_taken_name_must_be_forced_and_the_old_version_stays(
    spark: SparkSession, bundle: Bundle, checkpoint: Path, models: Path
) -> None:
    options = ExportOptions(checkpoint=str(checkpoint), name=NAME, models=models)
    with pytest.raises(OptionError, match="--force"):
        convert.convert(options, spark=spark)
    newer = convert.convert(replace(options, force=True), spark=spark)
    assert newer.path != bundle.path
    assert ModelRepository(models).find(NAME).path == newer.path
    assert bundle.problems() == newer.problems() == []


def test_a_wrong_graph_is_not_registered_even_by_force(
    spark: SparkSession, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One matrix of one layer is off by a hundredth."""
    right = longformer.load

    def wrong(source: Checkpoint, config: EncoderConfig) -> EncoderWeights:
        weights = right(source, config)
        output = weights.layers[1].output
        layer = replace(weights.layers[1], output=replace(output, weight=output.weight * np.float32(1.01)))
        return replace(weights, layers=(weights.layers[0], layer))

    monkeypatch.setattr(longformer, "load", wrong)
    options = ExportOptions(checkpoint=str(checkpoint), name=NAME, models=tmp_path, force=True)
    with pytest.raises(ParityError, match="FAILED"):
        convert.convert(options, spark=spark)
    assert list(tmp_path.iterdir()) == []


def test_clinical_longformers_shape_and_vocabulary(spark: SparkSession, tmp_path: Path) -> None:
    """Two random layers of the real width, with the real tokenizer: 50,265 ids."""
    folder = random_checkpoint(
        tmp_path / "checkpoint",
        tokenizer_json=roberta_tokenizer_json(),
        vocab_size=50_265,
        positions=4098,
        hidden_size=768,
        num_attention_heads=12,
        intermediate_size=3072,
        attention_window=512,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=0.02,
    )
    models = tmp_path / "models"
    made = convert.convert(ExportOptions(checkpoint=str(folder), name=NAME, models=models), spark=spark)
    parity = made.manifest.parity
    assert parity["id_rows"] == parity["id_rows_identical"]
    assert max(figure["max_abs_difference"] for figure in parity["vectors"]) <= 1e-4
    assert {figure["length"] for figure in parity["vectors"]} == {
        1,
        2,
        255,
        256,
        257,
        258,
        511,
        512,
        513,
        769,
        1025,
        4096,
    }


def test_a_name_that_pretrained_could_not_ask_for(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="lower-case letters"):
        ExportOptions(checkpoint="x", name="Clinical-Longformer", models=tmp_path)
