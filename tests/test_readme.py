"""What the documents and the model card show in Python, word for word."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession
from tokenizers import Tokenizer

import sparkclin
from examples.stock_pretrained import card_pipeline
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from testkit.demo import MODEL, NER_MODEL

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def blocks(page: str) -> list[str]:
    """The Python of a page, one block after the other."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_the_examples_of_a_pipeline_run_one_after_the_other(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any folder."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks("how-to/spark_nlp.md"):
        exec(block, names)
    assert names["spark"] is spark
    assert names["vectors"].count() == 9  # type: ignore[attr-defined]


@pytest.mark.usefixtures("spark")
def test_the_stock_classifier_labels_the_pieces_of_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exec(blocks("how-to/stock_annotators.md")[0], {})
    shown = capsys.readouterr().out
    assert shown.count("|     n1|") > 5
    assert "|B-Chemical|" in shown


def test_a_session_that_is_there_embeds_a_table(spark: SparkSession, card_models: Path, tmp_path: Path) -> None:
    """As in a notebook of Databricks, with other paths."""
    (block,) = blocks("how-to/clusters.md")
    notes = [("n1", "Afebrile."), ("n2", "No cough.")]
    spark.createDataFrame(notes, "note_id string, text string").createOrReplaceTempView("notes")
    output = tmp_path / "vectors"
    exec(block.replace("dbfs:/models", str(card_models)).replace("dbfs:/vectors", str(output)), {"spark": spark})
    assert spark.read.parquet(str(output)).count() == len(notes)


@pytest.fixture
def card_models(tmp_path: Path) -> Path:
    """The demo's bundle under the name that the model card asks for."""
    demo = ModelRepository(DEMO_MODELS).find(MODEL, engine="tensorflow")
    staged = tmp_path / "staged"
    copytree(demo.path, staged)
    manifest = replace(demo.manifest, name="clinical_longformer")
    bundle = ModelRepository(tmp_path).register(staged, manifest)
    assert json.loads((tmp_path / "metadata.json").read_text())["name"] == bundle.manifest.name
    return tmp_path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `models`, where a random checkpoint was exported under the name of the model card."""
    checkpoints = pytest.importorskip("testkit.checkpoints", reason="needs the export extra")
    from sparkclin.export.convert import ExportOptions, convert

    folder = tmp_path_factory.mktemp("exported")
    checkpoint = checkpoints.random_checkpoint(folder / "checkpoint", positions=4098, attention_window=512)
    convert(ExportOptions(checkpoint=str(checkpoint), name="clinical_longformer", models=folder / "models"))
    return folder


@pytest.mark.export
def test_the_model_cards_call_loads_an_exported_checkpoint(spark: SparkSession, exported: Path) -> None:
    from testkit.checkpoints import SMALL

    sparkclin.use_models(spark, exported / "models")
    notes = spark.createDataFrame([["The patient has fever. She denies cough."]]).toDF("text")
    pipeline = card_pipeline("clinical_longformer").fit(notes)
    (row,) = pipeline.transform(notes).select("embeddings").collect()
    assert {len(annotation.embeddings) for annotation in row.embeddings} == {SMALL["hidden_size"]}
    assert row.embeddings[0].result == "The"


@pytest.mark.export
@pytest.mark.usefixtures("spark")
def test_the_readmes_python_runs_where_the_models_are(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exported)
    names: dict[str, Any] = {}
    (block,) = blocks("../README.md")
    exec(block, names)
    assert names["embeddings"].getMaxSentenceLength() == 4096


def test_scala_callers_load_the_same_folder(spark: SparkSession) -> None:
    """The JVM class itself, without Spark NLP's Python half."""
    bundle = sparkclin.ModelRepository(DEMO_MODELS).find(MODEL, engine="tensorflow")
    loaded = spark._jvm.com.johnsnowlabs.nlp.embeddings.LongformerEmbeddings.load(bundle.url)  # type: ignore[union-attr]
    assert loaded.getDimension() == bundle.manifest.width
    assert loaded.getMaxSentenceLength() == bundle.manifest.max_pieces + 2


def test_the_shipped_models_are_intact_and_small() -> None:
    bundles = sparkclin.ModelRepository(DEMO_MODELS).bundles()
    assert {(b.manifest.name, b.manifest.engine, b.manifest.precision) for b in bundles} == {
        (MODEL, "tensorflow", "fp32"),
        (MODEL, "onnx", "fp32"),
        (MODEL, "onnx", "int8"),
        (NER_MODEL, "onnx", "fp32"),
    }
    for bundle in bundles:
        assert bundle.problems() == []
        assert sum(path.stat().st_size for path in bundle.path.rglob("*")) < 20_000_000
        assert "not Clinical-Longformer" in bundle.manifest.description


@pytest.mark.parametrize("engine", ["onnx", "tensorflow"])
def test_the_shipped_model_gives_the_reference_vectors(spark: SparkSession, engine: str) -> None:
    """Document, window and cls vectors of a sample note against transformers, with the checkpoint in training/."""
    torch = pytest.importorskip("torch", reason="needs the export extra")
    transformers = pytest.importorskip("transformers", reason="needs the export extra")

    bundle = sparkclin.ModelRepository(DEMO_MODELS).find(MODEL, engine=engine)
    reference = transformers.LongformerModel.from_pretrained(
        ROOT / "training" / "demo_checkpoint", add_pooling_layer=False
    ).eval()
    text = "He's afebrile, BP 120/80.\nNo acute distress was noted; follow-up in 2 weeks. " * 40
    ids = Tokenizer.from_str(bundle.tokenizer_json()).encode(text).ids
    with torch.inference_mode():
        vectors = reference(torch.tensor([ids])).last_hidden_state[0].numpy()
    mean, maximum = vectors[1:-1].mean(0), vectors[1:-1].max(0)
    expected = {"mean": mean, "mean_max": np.concatenate([mean, maximum]), "cls": vectors[0]}
    notes = spark.createDataFrame([("n", text)], "note_id string, text string")
    for pooling, vector in expected.items():
        row = sparkclin.embed(notes, model=bundle, pooling=pooling).first()
        assert row is not None
        assert row.n_pieces == len(ids) - 2
        np.testing.assert_allclose(row.vector, vector, atol=1e-4, rtol=0)
