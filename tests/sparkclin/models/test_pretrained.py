from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession
from sparknlp.annotator import LongformerEmbeddings, Tokenizer
from sparknlp.base import DocumentAssembler
from sparknlp.pretrained import ResourceDownloader

import sparkclin
from sparkclin.errors import ModelError, SetupError
from sparkclin.models import pretrained as models
from sparkclin.models.repository import ModelRepository
from testkit.bundles import manifest_of, stage

NAME = "clinical_longformer"


@pytest.fixture
def own_models(echo_models: Path, tmp_path: Path) -> Path:
    """A copy of echo_models that a test may register in."""
    return Path(shutil.copytree(echo_models, tmp_path / "own"))


@pytest.fixture
def models_url(spark: SparkSession, echo_models: Path) -> Iterator[str]:
    """echo_models as a file system that only Hadoop knows: a viewfs mount."""
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    key = "fs.viewfs.mounttable.clinic.link./models"
    conf.set(key, f"file://{echo_models}")
    yield "viewfs://clinic/models"
    conf.unset(key)


def register_copy(root: Path) -> str:
    """Register the newest version once more; returns the folder of the new one."""
    repository = ModelRepository(root)
    bundle = repository.find(NAME)
    staged = root / ".staged"
    shutil.copytree(bundle.path, staged)
    return repository.register(staged, bundle.manifest).location


def ids_of(annotator: LongformerEmbeddings, spark: SparkSession, text: str) -> list[int]:
    """The ids that reach the model through a stock pipeline."""
    frame = (
        DocumentAssembler()
        .setInputCol("text")
        .setOutputCol("document")
        .transform(spark.createDataFrame([(text,)], ["text"]))
    )
    frame = Tokenizer().setInputCols(["document"]).setOutputCol("token").fit(frame).transform(frame)
    annotator.setInputCols(["document", "token"]).setOutputCol("embeddings")
    return [int(vector[0]) for vector in annotator.transform(frame).select("embeddings.embeddings").first()[0]]


def test_stock_pretrained_loads_from_the_repository(spark: SparkSession, echo_models: Path) -> None:
    sparkclin.use_models(spark, echo_models)
    annotator = LongformerEmbeddings.pretrained(NAME, "en")
    assert isinstance(annotator, LongformerEmbeddings)
    assert annotator.getStorageRef() == NAME
    assert len(ids_of(annotator, spark, "fever and cough")) == 3


@pytest.mark.parametrize("language", ["pt-BR", "pt_BR"])
def test_a_name_in_another_language_is_found(
    spark: SparkSession, echo_models: Path, tmp_path: Path, language: str
) -> None:
    """sparkclin finds it by its name alone, and stock Spark NLP, whose default is English, by name and language."""
    echo = ModelRepository(echo_models).find(NAME)
    staged = Path(shutil.copytree(echo.path, tmp_path / ".staged"))
    bundle = ModelRepository(tmp_path).register(staged, replace(echo.manifest, language=language))
    sparkclin.use_models(spark, tmp_path)
    for annotator in (LongformerEmbeddings.pretrained(NAME, language), sparkclin.pretrained(NAME)):
        assert annotator.uid == bundle.saved_id()
    assert sparkclin.NoteTokenizer.pretrained(NAME).tokenizer == bundle.tokenizer_json()


def test_an_unknown_name_raises_and_lists_what_is_there(spark: SparkSession, echo_models: Path) -> None:
    sparkclin.use_models(spark, echo_models)
    with pytest.raises(
        ModelError, match=r"no model 'longformer_base_4096' \(en, .* has: clinical_longformer \(en, tens"
    ):
        LongformerEmbeddings.pretrained()
    with pytest.raises(ModelError, match=r"no model 'clinical_longformer' \(de"):
        sparkclin.pretrained(NAME, "de")


def test_a_caller_inside_the_jvm_is_told_the_same(spark: SparkSession, echo_models: Path) -> None:
    sparkclin.use_models(spark, echo_models)
    jvm_side = spark._jvm.com.johnsnowlabs.nlp.pretrained.PythonResourceDownloader  # type: ignore[union-attr]
    with pytest.raises(
        Py4JJavaError, match=r"no model 'unknown' \(en, .* has: clinical_longformer \(en, tensorflow fp32\)"
    ):
        jvm_side.getDownloadSize("unknown", "en", None)
    with pytest.raises(Py4JJavaError, match="nothing is downloaded"):
        jvm_side.downloadModelDirectly("unknown", "public/models", True)


def test_every_folder_that_spark_nlp_can_ask_for_is_the_repository(spark: SparkSession, echo_models: Path) -> None:
    sparkclin.use_models(spark, echo_models)
    for remote_loc in (None, "clinical/models", "@somebody/models"):
        assert LongformerEmbeddings.pretrained(NAME, "en", remote_loc) is not None


def test_spark_nlps_own_listing_shows_the_repository(
    spark: SparkSession, echo_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sparkclin.use_models(spark, echo_models)
    ResourceDownloader.showPublicModels("LongformerEmbeddings", "en")
    assert NAME in capsys.readouterr().out


def test_the_size_that_is_printed_is_the_bundles(
    spark: SparkSession, echo_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = sparkclin.use_models(spark, echo_models)
    LongformerEmbeddings.pretrained(NAME, "en")
    files = (path for path in repository.find(NAME).path.rglob("*") if path.is_file() and path.suffix != ".crc")
    size = sum(path.stat().st_size for path in files)
    assert f"Approximate size to download {size / 1024:.1f} KB" in capsys.readouterr().out


def test_a_repeated_call_gives_the_same_model_until_a_newer_version_comes(
    spark: SparkSession, own_models: Path
) -> None:
    sparkclin.use_models(spark, own_models)
    first, again = (LongformerEmbeddings.pretrained(NAME, "en") for _ in range(2))
    assert again._java_obj.equals(first._java_obj)
    register_copy(own_models)
    newer = LongformerEmbeddings.pretrained(NAME, "en")
    assert not newer._java_obj.equals(first._java_obj)


def test_another_root_takes_over(spark: SparkSession, echo_models: Path, own_models: Path) -> None:
    sparkclin.use_models(spark, echo_models)
    first = LongformerEmbeddings.pretrained(NAME, "en")
    repository = sparkclin.use_models(spark, own_models)
    assert sparkclin.active_repository() is repository
    second = LongformerEmbeddings.pretrained(NAME, "en")
    assert not second._java_obj.equals(first._java_obj)


def test_use_models_refuses_a_folder_that_is_no_repository(
    spark: SparkSession, echo_models: Path, tmp_path: Path
) -> None:
    before = sparkclin.use_models(spark, echo_models)
    with pytest.raises(ModelError, match="not a model repository"):
        sparkclin.use_models(spark, tmp_path)
    assert sparkclin.active_repository() is before


def test_without_a_folder_it_is_the_active_repository(
    spark: SparkSession, echo_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sparkclin.use_models(spark).root == str(models.DEMO_MODELS)
    sparkclin.use_models(spark, echo_models)
    assert sparkclin.use_models(spark).root == str(echo_models)
    monkeypatch.setattr(models, "_in_use", None)
    monkeypatch.setenv(models.MODELS_VARIABLE, str(echo_models))
    assert sparkclin.use_models(spark).root == str(echo_models)
    assert LongformerEmbeddings.pretrained(NAME, "en") is not None


@pytest.mark.parametrize("served_before", [True, False])
def test_after_a_call_that_failed_nothing_is_downloaded(
    spark: SparkSession, echo_models: Path, tmp_path: Path, *, served_before: bool
) -> None:
    if served_before:
        sparkclin.use_models(spark, echo_models)
    with pytest.raises(ModelError, match="not a model repository"):
        sparkclin.use_models(spark, tmp_path)
    said = r"use_models\(\) failed \(ModelError\), and pretrained\(\) would now download .* Call use_models\(\) again"
    with pytest.raises(ModelError, match=said):
        LongformerEmbeddings.pretrained(NAME, "en")
    jvm_side = spark._jvm.com.johnsnowlabs.nlp.pretrained.PythonResourceDownloader  # type: ignore[union-attr]
    with pytest.raises(Py4JJavaError, match=said):
        jvm_side.getDownloadSize(NAME, "en", None)
    sparkclin.use_models(spark, echo_models)
    assert LongformerEmbeddings.pretrained(NAME, "en") is not None


def test_nor_where_the_session_was_refused(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: SparkSession) -> None:
        raise SetupError("another Spark NLP")

    monkeypatch.setattr(models, "check_session", refuse)
    with pytest.raises(SetupError, match="another Spark NLP"):
        sparkclin.use_models(spark)
    with pytest.raises(ModelError, match=r"failed \(SetupError\)"):
        LongformerEmbeddings.pretrained(NAME, "en")


def test_our_pretrained_gives_a_new_object_each_time(spark: SparkSession, echo_models: Path) -> None:
    sparkclin.use_models(spark, echo_models)
    one, two = sparkclin.pretrained(NAME), sparkclin.pretrained(NAME)
    one.setBatchSize(1)
    assert isinstance(one, LongformerEmbeddings)
    assert two.getBatchSize() != 1
    assert one.getMaxSentenceLength() == 4096
    assert ids_of(one, spark, "no fever") == ids_of(two, spark, "no fever")


def test_our_pretrained_needs_a_session(echo_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(models.MODELS_VARIABLE, str(echo_models))
    monkeypatch.setattr(models, "running_session", lambda: None)
    with pytest.raises(SetupError, match="spark_session"):
        sparkclin.pretrained(NAME)


@pytest.mark.parametrize("later", [{"engine": "tensorrt"}, {"annotator": "ModernBertEmbeddings"}])
def test_an_engine_or_annotator_of_a_later_version_is_refused(
    spark: SparkSession, tmp_path: Path, later: dict[str, str]
) -> None:
    staged = stage(tmp_path)
    ModelRepository(tmp_path).register(staged, replace(manifest_of(staged, name="tiny"), **later))  # type: ignore[arg-type]
    sparkclin.use_models(spark, tmp_path)
    with pytest.raises(
        ModelError, match=rf"'{next(iter(later.values()))}'.* runs openvino, onnx \(RoBertaEmbeddings\), tens"
    ):
        sparkclin.pretrained("tiny")


def test_a_remote_repository_is_read_through_spark(spark: SparkSession, models_url: str, echo_models: Path) -> None:
    repository = sparkclin.use_models(spark, models_url)
    local = ModelRepository(echo_models).find(NAME)
    remote = repository.find(NAME)
    assert remote.manifest == local.manifest
    assert remote.tokenizer_json() == local.tokenizer_json()
    with pytest.raises(ModelError, match="no model 'unknown'"):
        repository.find("unknown")
    assert remote.problems() == []


def test_models_of_a_remote_repository_load(spark: SparkSession, models_url: str) -> None:
    sparkclin.use_models(spark, models_url)
    stock, ours = LongformerEmbeddings.pretrained(NAME, "en"), sparkclin.pretrained(NAME)
    assert ids_of(stock, spark, "fever") == ids_of(ours, spark, "fever")


def test_a_remote_folder_that_is_no_repository_is_refused(spark: SparkSession, models_url: str) -> None:
    with pytest.raises(ModelError, match="not a model repository"):
        sparkclin.use_models(spark, f"{models_url}/nowhere")


def test_without_use_models_the_variable_names_the_repository(
    echo_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(models.MODELS_VARIABLE, str(echo_models))
    assert sparkclin.active_repository().root == str(echo_models)


def test_without_the_variable_it_is_the_demo_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "DEMO_MODELS", tmp_path)
    assert sparkclin.active_repository().root == str(tmp_path)
    monkeypatch.setattr(models, "DEMO_MODELS", tmp_path / "missing")
    with pytest.raises(ModelError, match=models.MODELS_VARIABLE):
        sparkclin.active_repository()
