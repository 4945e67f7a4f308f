"""An engine that runs in the Python workers gives what one inside Spark NLP gives, and needs no Spark NLP."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

import sparkclin
from sparkclin.commands.embed import main
from sparkclin.errors import ModelError
from sparkclin.export.convert import ExportOptions, convert
from sparkclin.models.bundle import Bundle
from sparkclin.models.repository import ModelRepository
from sparkclin.stages.vector_rows import INDEX_COLUMNS
from sparkclin.tasks.embed import EmbedOptions, embed
from testkit.checkpoints import NOTES, random_checkpoint
from tests.sparkclin.processes import run_python

pytestmark = [pytest.mark.slow, pytest.mark.export]

NAME = "a_model"
KINDS = [("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8"), ("onnx", "fp32")]
MAX_PIECES, STRIDE = 40, 12  # so that a note has several windows, of both kinds of rows


@pytest.fixture(scope="module")
def models(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of a model's versions; the slower ones are exported last, and are the newest."""
    checkpoint, root = str(random_checkpoint(tmp_path_factory.mktemp("checkpoint"))), tmp_path_factory.mktemp("models")
    for engine, precision in KINDS:
        options = ExportOptions(checkpoint=checkpoint, name=NAME, models=root, engine=engine, precision=precision)
        convert(options, spark=spark)
    return root


@pytest.fixture(scope="module")
def notes(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(list(NOTES.items()), "note_id string, text string").repartition(2).cache()


def vectors(notes: DataFrame, bundle: Bundle, level: str, pooling: str) -> Mapping[tuple[str, int], object]:
    index = INDEX_COLUMNS.get(level)
    rows = sparkclin.embed(
        notes, model=bundle, level=level, pooling=pooling, max_pieces=MAX_PIECES, stride=STRIDE
    ).collect()
    return {(row.note_id, row[index] or 0 if index else 0): row for row in rows}


@pytest.mark.parametrize(
    ("level", "pooling"),
    [
        ("document", "mean"),
        ("document", "mean_max"),
        ("window", "cls"),
        ("sentence", "max"),
        ("token", "mean"),
        ("token", "first"),
    ],
)
def test_rows_and_vectors_are_those_of_the_other_engine(
    notes: DataFrame, models: Path, level: str, pooling: str
) -> None:
    repository = ModelRepository(models)
    expected = vectors(notes, repository.find(NAME, engine="onnx"), level, pooling)
    found = vectors(notes, repository.find(NAME, engine="openvino", precision="fp32"), level, pooling)
    assert {note_id for note_id, _ in found} == set(NOTES)
    assert found.keys() == expected.keys()
    for key, row in found.items():
        ours, theirs = row.asDict(), expected[key].asDict()  # type: ignore[attr-defined]
        for values in (ours, theirs):
            values["vector"] = np.array(values["vector"] or [], np.float32)
        np.testing.assert_allclose(ours.pop("vector"), theirs.pop("vector"), atol=1e-4, rtol=0)
        assert (ours.pop("engine"), theirs.pop("engine")) == ("openvino", "onnx")
        assert ours.pop("model_digest") != theirs.pop("model_digest")
        assert ours == theirs


@pytest.mark.parametrize("level", ["document", "token"])
def test_norm_and_half_precision_are_those_of_the_other_engine(notes: DataFrame, models: Path, level: str) -> None:
    repository, options = ModelRepository(models), EmbedOptions(level=level, max_pieces=MAX_PIECES, stride=9)
    asked = replace(options, normalize=True, vector_dtype="float16")
    order = ["note_id", *filter(None, [INDEX_COLUMNS.get(level)])]
    found, expected = (
        embed(notes, bundle=repository.find(NAME, engine=engine, precision="fp32"), options=asked)
        .orderBy(*order)
        .collect()
        for engine in ("openvino", "onnx")
    )
    for row, other in zip(found, expected, strict=True):
        assert (row.vector is None) == (other.vector is None) == (row.status != "ok")
        if row.vector is not None:
            ours, theirs = (np.frombuffer(value, "<f2").astype(np.float64) for value in (row.vector, other.vector))
            np.testing.assert_allclose(ours, theirs, atol=1e-3, rtol=0)
            assert abs(np.linalg.norm(ours) - 1) < 1e-3


def test_the_fastest_of_the_exact_versions_is_the_default(models: Path) -> None:
    manifest = ModelRepository(models).find(NAME).manifest
    assert (manifest.engine, manifest.precision) == ("openvino", "fp32")
    assert ModelRepository(models).find(NAME, precision="int8").manifest.engine == "openvino"


def test_spark_nlp_is_never_given_one(spark: SparkSession, models: Path) -> None:
    repository = sparkclin.use_models(spark, models)
    assert len(repository.records()) == len(repository.lines_for_spark_nlp()) + 3 == len(KINDS)
    assert sparkclin.pretrained(NAME).name == "RoBertaEmbeddings"
    with pytest.raises(ModelError, match="for Spark NLP"):
        sparkclin.pretrained(NAME, engine="openvino")
    records = [json.loads(line) for line in (models / "metadata.json").read_text(encoding="utf-8").splitlines()]
    assert [record["readyToUse"] for record in records] == [engine == "onnx" for engine, _ in KINDS]


@pytest.mark.parametrize(("precision", "said"), [("fp32", "f32"), ("int8", "i8")])
def test_the_report_says_in_which_precision_it_was_computed(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], precision: str, said: str
) -> None:
    """int8 by what multiplies its 8-bit weights, which is 8 bits on CPUs that can do it."""
    source, output = tmp_path / "notes.jsonl", tmp_path / "vectors"
    source.write_text("".join(json.dumps({"note_id": k, "text": v}) + "\n" for k, v in NOTES.items()), encoding="utf-8")
    arguments = ["--input", str(source), "--input-format", "jsonl", "--output", str(output), "--models", str(models)]
    assert main([*arguments, "--engine", "openvino", "--precision", precision, "--partitions", "2"]) == 0
    report = json.loads((output / "_report.json").read_text(encoding="utf-8"))
    assert {"ok": 3, "empty": 1, "null": 1}.items() <= report["counts"]["statuses"].items()
    assert report["settings"]["engine"] == "openvino"
    assert sum(report["ran"].values()) in (1, 2)  # tasks with notes that have pieces
    [what] = report["ran"]
    assert what.startswith(said) or precision == "int8"
    assert f"- computed in {what}: " in capsys.readouterr().err


def test_a_folder_with_a_space_is_for_the_workers_only(
    spark: SparkSession, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Spark NLP cannot load from it; OpenVINO's files are opened by Python."""
    source, odd = tmp_path / "notes.jsonl", Path(shutil.copytree(models, tmp_path / "my models"))
    source.write_text("".join(json.dumps({"note_id": k, "text": v}) + "\n" for k, v in NOTES.items()), encoding="utf-8")
    command = ["--input", str(source), "--output", str(tmp_path / "vectors"), "--models", str(odd), "--engine"]
    assert main([*command, "onnx"]) == 1
    assert f"Spark NLP cannot load from '{odd}/{NAME}_en_" in capsys.readouterr().err
    assert main([*command, "openvino"]) == 0
    with pytest.raises(ModelError, match="Spark NLP cannot load from"):
        sparkclin.use_models(spark, odd)


def test_a_repository_on_another_file_system_is_copied_to_executors(
    spark: SparkSession, notes: DataFrame, models: Path
) -> None:
    """One that only Hadoop knows: a viewfs mount."""
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    key = "fs.viewfs.mounttable.workers.link./models"
    conf.set(key, f"file://{models}")
    try:
        bundle = ModelRepository("viewfs://workers/models").find(NAME, engine="openvino", precision="fp32")
        found = vectors(notes, bundle, "document", "mean")
    finally:
        conf.unset(key)
    local = ModelRepository(models).find(NAME, engine="openvino", precision="fp32")
    assert found == vectors(notes, local, "document", "mean")


WITHOUT_SPARK_NLP = """
import sys
import sparkclin
from sparkclin.models.repository import ModelRepository
from py4j.java_gateway import JavaClass

spark = sparkclin.spark_session(master="local[1]", spark_nlp=False, settings={"spark.ui.enabled": "false"})
assert not isinstance(spark._jvm.com.johnsnowlabs.nlp.DocumentAssembler, JavaClass)
bundle = ModelRepository(sys.argv[1]).find("a_model", engine="openvino", precision="fp32")
notes = spark.createDataFrame([("a", "No chest pain. Fever."), ("b", "")], "note_id string, text string")
rows = sparkclin.embed(notes, model=bundle).orderBy("note_id").collect()
print([(row.note_id, row.status, len(row.vector or [])) for row in rows])
rows = sparkclin.embed(notes, model=bundle, level="sentence").collect()
print(sorted((row.note_id, row.begin, row.end) for row in rows if row.vector))
try:
    sparkclin.embed(notes, model=bundle, level="sentence", splitter="spark_nlp")
except sparkclin.SetupError as error:
    print(error)
"""


def test_no_jar_of_spark_nlp_is_needed(models: Path, tmp_path: Path) -> None:
    """But for its own sentence detector. Spark does not read this environment's settings, which name the jars."""
    done = run_python(WITHOUT_SPARK_NLP, str(models), env={"SPARK_CONF_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "[('a', 'ok', 32), ('b', 'empty', 0)]" in done.stdout
    assert "[('a', 0, 14), ('a', 15, 21)]" in done.stdout
    assert "the session has no Spark NLP jar" in done.stdout
