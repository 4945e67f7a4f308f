"""The export as a whole, through Spark NLP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import OptionError
from sparkclin.export import convert
from sparkclin.export.__main__ import main
from sparkclin.export.convert import ExportOptions, VerifyOptions
from sparkclin.export.engines import EXPORTERS
from sparkclin.export.errors import CheckpointError, ParityError
from sparkclin.export.families import FAMILIES
from sparkclin.export.families.longformer import LONGFORMER
from sparkclin.export.graph.encoder import EncoderConfig, EncoderWeights
from sparkclin.export.graph.ops import Array
from sparkclin.export.verify.quantization import LIMITS, Least, NoteLimits
from sparkclin.export.versions import Became, Outcome, convert_all, every_version, outcomes_table
from sparkclin.models.bundle import Bundle
from sparkclin.models.repository import ModelRepository
from testkit.checkpoints import TEXTS, random_checkpoint
from testkit.material import roberta_tokenizer_json

pytestmark = pytest.mark.slow
NAME = "clinical_longformer"
LENGTHS = LONGFORMER.lengths
REAL_LENGTHS = (257, 513)
"""One in which a window holds the row, and one that needs a band; the longest row, 1,028, goes in blocks."""


@pytest.fixture(scope="module")
def short_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It reads short rows, so that a comparison takes seconds."""
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint"), initializer_range=0.1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Positions for 4,096 ids and a window of 512, so that every length is compared."""
    folder = tmp_path_factory.mktemp("checkpoint")
    return random_checkpoint(folder, positions=4098, attention_window=512, initializer_range=0.1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def bundle(spark: SparkSession, checkpoint: Path, models: Path) -> Bundle:
    return convert.convert(ExportOptions(checkpoint=str(checkpoint), name=NAME, models=models), spark=spark)


@pytest.fixture(scope="module")
def onnx_bundle(spark: SparkSession, checkpoint: Path, models: Path) -> Bundle:
    options = ExportOptions(checkpoint=str(checkpoint), name=NAME, models=models, engine="onnx")
    return convert.convert(options, spark=spark)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight notes of some hundred pieces, which have specialties, and one that has none."""
    texts = [" ".join(TEXTS[(turn + index) % len(TEXTS)] for turn in range(4 + index)) for index in range(9)]
    records = [{"note_id": str(index), "text": text} for index, text in enumerate(texts)]
    for index, record in enumerate(records[:8]):
        record["specialties"] = [f"specialty {index % 2}"]  # type: ignore[assignment]
    file = tmp_path_factory.mktemp("notes") / "notes.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def int8_bundle(spark: SparkSession, checkpoint: Path, models: Path, notes: Path) -> Bundle:
    options = int8_options(checkpoint, models, notes)
    return convert.convert(options, spark=spark)


AT_THE_REAL_WIDTH = [
    pytest.param(name, marks=[pytest.mark.release] if exporter.engine.spark_nlp else [])
    for name, exporter in EXPORTERS.items()
]
"""Engines that Spark NLP loads take minutes."""


@pytest.fixture(scope="module", params=AT_THE_REAL_WIDTH)
def real_bundle(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """A random layer of Clinical-Longformer's width, with the real tokenizer: 50,265 ids. A row for each path
    through its attention; all lengths are compared with a small model."""
    folder = random_checkpoint(
        tmp_path_factory.mktemp("checkpoint"),
        tokenizer_json=roberta_tokenizer_json(),
        vocab_size=50_265,
        positions=1030,
        num_hidden_layers=1,
        hidden_size=768,
        num_attention_heads=12,
        intermediate_size=3072,
        attention_window=512,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=0.02,
    )
    models = tmp_path_factory.mktemp("models")
    options = ExportOptions(checkpoint=str(folder), name=NAME, models=models, engine=request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, LONGFORMER.model_type, replace(LONGFORMER, lengths=REAL_LENGTHS))
        return convert.convert(options, spark=spark)


def int8_options(checkpoint: Path, models: Path, notes: Path) -> ExportOptions:
    return ExportOptions(
        checkpoint=str(checkpoint), name=NAME, models=models, engine="onnx", precision="int8", notes=notes
    )


def test_clinical_longformers_width_and_vocabulary(real_bundle: Bundle) -> None:
    parity = real_bundle.manifest.parity
    assert parity["id_rows"] == parity["id_rows_identical"] > 10
    assert max(figure["max_abs_difference"] for figure in parity["vectors"]) <= 1e-4
    assert {figure["length"] for figure in parity["vectors"]} == {*REAL_LENGTHS, 1028}


@pytest.mark.parametrize("fixture", ["bundle", "onnx_bundle"])
def test_the_manifest_holds_the_whole_table(request: pytest.FixtureRequest, fixture: str) -> None:
    bundle: Bundle = request.getfixturevalue(fixture)
    parity = bundle.manifest.parity
    assert parity["id_rows"] == parity["id_rows_identical"] > 10
    compared = {(figure["path"], figure["length"]) for figure in parity["vectors"]}
    assert {("graph, ordinary ids", n) for n in LENGTHS} <= compared
    assert {("graph, codes", n) for n in LENGTHS} <= compared
    assert {("Spark NLP, codes", n) for n in LENGTHS if n > 2} <= compared
    assert {("graph, packed batch", n) for n in LENGTHS if n > 2} <= compared
    assert {(f"graph, packed batch, {name}", LENGTHS[2]) for name in ("mean", "max")} <= compared
    assert all(figure["max_abs_difference"] <= 1e-4 for figure in parity["vectors"])
    assert all(figure["min_cosine"] >= 0.999999 for figure in parity["vectors"])
    assert {figure["length"] for figure in parity["packed"]["vectors"]} == {n for n in LENGTHS if n > 2}
    assert all(figure["max_abs_difference"] <= 1e-5 for figure in parity["packed"]["vectors"])
    assert "precision" not in parity
    assert bundle.problems() == []


def test_the_manifest_of_int8_holds_what_quantization_changes(int8_bundle: Bundle, notes: Path) -> None:
    parity = int8_bundle.manifest.parity
    assert parity["id_rows"] == parity["id_rows_identical"] > 10
    assert parity["limits"] is None
    assert max(figure["max_abs_difference"] for figure in parity["vectors"]) > 1e-4
    assert all(figure["max_abs_difference"] <= 1e-5 for figure in parity["packed"]["vectors"])
    assert {figure["path"] for figure in parity["paths"]["vectors"]} == {"graph, codes", "Spark NLP, codes"}
    precision = parity["precision"]
    assert precision["notes"] == precision["documents"]["vectors"] == len(notes.read_text().splitlines())
    assert precision["pieces"]["vectors"] > 500
    for vectors in ("documents", "pieces"):
        assert precision[vectors]["mean_cosine"] >= precision["limits"][vectors]["mean"] == 0.999
        assert precision[vectors]["worst_cosine"] >= precision["limits"][vectors]["worst"] == 0.995
    specialty = precision["specialty"]
    assert specialty["fp32"]["notes"] == specialty["exported"]["notes"] == 8
    difference = specialty["exported"]["nearest"] - specialty["fp32"]["nearest"]
    assert specialty["difference"]["nearest"] == difference


def test_all_engines_and_precisions_are_versions_of_one_name(
    bundle: Bundle, onnx_bundle: Bundle, int8_bundle: Bundle, models: Path
) -> None:
    repository = ModelRepository(models)
    assert repository.find(NAME, engine="tensorflow").path == bundle.path
    assert repository.find(NAME, engine="onnx", precision="fp32").path == onnx_bundle.path
    assert repository.find(NAME, engine="onnx", precision="int8").path == int8_bundle.path
    assert {b.manifest.annotator for b in (onnx_bundle, int8_bundle)} == {"RoBertaEmbeddings"}
    assert "onnxruntime" in onnx_bundle.manifest.libraries
    assert "tensorflow-cpu" not in onnx_bundle.manifest.libraries


def test_int8_takes_less_room(onnx_bundle: Bundle, int8_bundle: Bundle) -> None:
    """Positions stay fp32, and are most of a model this small."""
    positions = 4098 * 32 * 4
    exact, small = ((b.path / "roberta_onnx").stat().st_size - positions for b in (onnx_bundle, int8_bundle))
    assert small < exact


def test_nothing_else_is_left_in_the_repository(
    bundle: Bundle, onnx_bundle: Bundle, int8_bundle: Bundle, models: Path
) -> None:
    bundles = {b.path.name for b in (bundle, onnx_bundle, int8_bundle)}
    assert {path.name for path in models.iterdir()} == {*bundles, "metadata.json", ".lock"}


@pytest.fixture(scope="module")
def short_models(
    spark: SparkSession, short_checkpoint: Path, notes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A repository of a model that is verified in seconds, in fp32 and int8."""
    root = tmp_path_factory.mktemp("models")
    convert.convert(ExportOptions(checkpoint=str(short_checkpoint), name=NAME, models=root), spark=spark)
    convert.convert(int8_options(short_checkpoint, root, notes), spark=spark)
    return root


@pytest.fixture(scope="module")
def all_outcomes(
    spark: SparkSession, short_checkpoint: Path, notes: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Outcome]:
    return convert_all(all_options(short_checkpoint, tmp_path_factory.mktemp("models"), notes), spark=spark)


def all_options(checkpoint: Path, models: Path, notes: Path, **settings: Any) -> list[ExportOptions]:
    """Of every engine and precision."""
    return [
        ExportOptions(
            checkpoint=str(checkpoint),
            name=NAME,
            models=models,
            engine=version.engine,
            precision=version.precision,
            notes=None if version.precision == "fp32" else notes,
            **settings,
        )
        for version in every_version()
    ]


def test_all_makes_every_engine_and_precision(all_outcomes: list[Outcome]) -> None:
    assert [found.version for found in all_outcomes] == every_version()
    assert {found.became for found in all_outcomes} == {Became.REGISTERED}
    precisions = {"tensorflow": {"fp32"}, "onnx": {"fp32", "int8"}, "openvino": {"fp32", "bf16", "int8"}}
    for found in all_outcomes:
        assert found.bundle is not None
        manifest = found.bundle.manifest
        assert (manifest.engine, manifest.precision) == (found.version.engine, found.version.precision)
        assert manifest.precision in precisions[manifest.engine]
        assert found.bundle.problems() == []
        assert found.elapsed_s > 0
    rows = outcomes_table(all_outcomes).splitlines()
    assert len(rows) == 1 + len(every_version()) == 7


def test_all_makes_the_same_as_one_by_one(
    spark: SparkSession, all_outcomes: list[Outcome], short_checkpoint: Path, short_models: Path, notes: Path
) -> None:
    """To the last digit of every figure. Weights are the same bytes; graphs are not, since engines number the nodes of
    a process."""
    of_all = {(found.version.engine, found.version.precision): found.bundle for found in all_outcomes}
    one_by_one = {
        ("tensorflow", "fp32"): ModelRepository(short_models).find(NAME, engine="tensorflow"),
        ("onnx", "int8"): ModelRepository(short_models).find(NAME, engine="onnx", precision="int8"),
    }
    for engine, precision in (("openvino", "fp32"), ("openvino", "int8")):
        options = ExportOptions(
            checkpoint=str(short_checkpoint),
            name=NAME,
            models=short_models,
            engine=engine,
            precision=precision,
            notes=None if precision == "fp32" else notes,
            force=True,
        )
        one_by_one[engine, precision] = convert.convert(options, spark=spark)
    for version, single in one_by_one.items():
        together = of_all[version]
        assert together is not None
        assert set(together.manifest.files) == set(single.manifest.files)
        assert without_rates(together.manifest.parity) == without_rates(single.manifest.parity)
        if version[0] == "openvino":
            assert weights_of(together) == weights_of(single) != {}


def weights_of(bundle: Bundle) -> dict[str, str]:
    return {name: sha256 for name, sha256 in bundle.manifest.files.items() if name.endswith(".bin")}


def without_rates(parity: Mapping[str, Any]) -> dict[str, Any]:
    """How fast each scheme was differs from one run to another."""
    schemes = [{**found, "pieces_per_s": 0} for found in parity.get("schemes", [])]
    return {**parity, "schemes": schemes}


def test_a_version_that_is_refused_does_not_stop_the_others(
    short_checkpoint: Path,
    notes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nor does one that is not installed, or there already. None of these needs Spark."""
    out_of_reach = Least(mean=2.0, worst=2.0)
    monkeypatch.setitem(LIMITS, "bf16", NoteLimits(documents=out_of_reach, pieces=out_of_reach))
    for name in ("tensorflow", "onnx"):
        missing = replace(EXPORTERS[name], libraries={f"no_{name}": f"{name}-from-nowhere"})
        monkeypatch.setitem(EXPORTERS, name, missing)
    command = [str(short_checkpoint), "--name", NAME, "--models", str(tmp_path), "--notes", str(notes), "--all"]
    assert main(command) == 1
    said = capsys.readouterr()
    assert "error: refused: openvino bf16." in said.err
    assert "checkpoint read" in said.err
    assert "FAILED" in said.err  # the figures of what was refused
    rows = {tuple(line.split()[:2]): line for line in said.out.splitlines()}
    assert "not installed" in rows["onnx", "int8"]
    assert "needs onnx-from-nowhere: pip install" in rows["onnx", "int8"]
    assert "refused" in rows["openvino", "bf16"]
    registered = {(b.manifest.engine, b.manifest.precision): b for b in ModelRepository(tmp_path).newest()}
    assert set(registered) == {("openvino", "fp32"), ("openvino", "int8")}
    assert all(str(bundle.path) in rows[version] for version, bundle in registered.items())
    assert {path.name for path in tmp_path.iterdir()} == {
        *(bundle.path.name for bundle in registered.values()),
        "metadata.json",
        ".lock",
    }
    monkeypatch.undo()
    for name in ("tensorflow", "onnx"):
        monkeypatch.setitem(EXPORTERS, name, replace(EXPORTERS[name], libraries={f"no_{name}": name}))
    assert main(command) == 0
    again = {tuple(line.split()[:2]): line for line in capsys.readouterr().out.splitlines()}
    assert "already there" in again["openvino", "fp32"]
    assert "registered" in again["openvino", "bf16"]


def test_versions_are_of_one_checkpoint(short_checkpoint: Path, tmp_path: Path) -> None:
    options = ExportOptions(checkpoint=str(short_checkpoint), name=NAME, models=tmp_path)
    with pytest.raises(OptionError, match="differ in engine, precision and notes only"):
        convert_all([options, replace(options, name="another_name")])


def test_verify_runs_the_table_again(spark: SparkSession, short_checkpoint: Path, short_models: Path) -> None:
    options = VerifyOptions(name=NAME, models=short_models, engine="tensorflow", checkpoint=str(short_checkpoint))
    assert convert.verify(options, spark=spark).passed


def test_verify_runs_the_version_that_was_asked_for(
    spark: SparkSession, short_checkpoint: Path, short_models: Path, notes: Path
) -> None:
    options = VerifyOptions(
        name=NAME, models=short_models, precision="int8", checkpoint=str(short_checkpoint), notes=notes
    )
    report = convert.verify(options, spark=spark)
    assert report.quantization is not None
    assert "9 notes against fp32" in report.to_text()


def test_verify_refuses_another_checkpoint(spark: SparkSession, short_models: Path, tmp_path: Path) -> None:
    other = random_checkpoint(tmp_path / "other")
    with pytest.raises(CheckpointError, match="not the checkpoint that clinical_longformer was made from"):
        convert.verify(VerifyOptions(name=NAME, models=short_models, checkpoint=str(other)), spark=spark)


def test_a_taken_name_must_be_forced_and_the_old_version_stays(
    spark: SparkSession, short_checkpoint: Path, short_models: Path
) -> None:
    options = ExportOptions(checkpoint=str(short_checkpoint), name=NAME, models=short_models)
    older = ModelRepository(short_models).find(NAME, engine="tensorflow")
    with pytest.raises(OptionError, match="--force"):
        convert.convert(options, spark=spark)
    newer = convert.convert(replace(options, force=True), spark=spark)
    assert newer.path != older.path
    assert ModelRepository(short_models).find(NAME, engine="tensorflow").path == newer.path
    assert older.problems() == newer.problems() == []


@pytest.mark.parametrize(("engine", "precision", "factor"), [("tensorflow", "fp32", 1.01), ("onnx", "int8", 1.5)])
def test_a_wrong_graph_is_not_registered_even_by_force(
    spark: SparkSession,
    short_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    notes: Path,
    engine: str,
    precision: str,
    factor: float,
) -> None:
    """One matrix of one layer is off."""

    def wrong(tensors: Mapping[str, Array], config: EncoderConfig) -> EncoderWeights:
        weights = LONGFORMER.load(tensors, config)
        output = weights.layers[1].output
        layer = replace(weights.layers[1], output=replace(output, weight=output.weight * np.float32(factor)))
        return replace(weights, layers=(weights.layers[0], layer))

    monkeypatch.setitem(FAMILIES, LONGFORMER.model_type, replace(LONGFORMER, load=wrong))
    options = ExportOptions(
        checkpoint=str(short_checkpoint),
        name=NAME,
        models=tmp_path,
        engine=engine,
        precision=precision,
        notes=None if precision == "fp32" else notes,
        force=True,
    )
    with pytest.raises(ParityError, match="FAILED"):
        convert.convert(options, spark=spark)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_pretrained_could_not_ask_for(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="lower-case letters"):
        ExportOptions(checkpoint="x", name="Clinical-Longformer", models=tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "torch"}, "'torch': expected one of tensorflow, onnx, openvino"),
        (
            {"precision": "int8"},
            "fp32 with --engine tensorflow, fp32 with --engine onnx, int8 with --engine onnx, fp32",
        ),
        ({"engine": "onnx", "precision": "int4"}, "'int4' with --engine onnx"),
        ({"global_attention": "all"}, "--global-attention 'all': expected one of none, first, question"),
        ({"engine": "onnx", "notes": Path("notes.jsonl")}, "fp32 is not compared on notes"),
    ],
)
def test_what_cannot_be_exported_is_said_at_once(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        ExportOptions(checkpoint="x", name="a_model", models=tmp_path, **settings)


@pytest.mark.parametrize(
    ("engine", "others"),
    [
        ("tensorflow", {"onnx", "onnxruntime", "openvino"}),
        ("onnx", {"tensorflow", "openvino"}),
        ("openvino", {"tensorflow", "onnxruntime"}),
    ],
)
def test_an_engine_needs_its_own_libraries_only(engine: str, others: set[str]) -> None:
    """In a process of its own, where nothing is imported yet."""
    kind = "graphs" if EXPORTERS[engine].engine.spark_nlp else "rows"
    imports = "import sys; from sparkclin.export.engines import EXPORTERS"
    script = f"{imports}; EXPORTERS['{engine}'].{kind}(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert imported & others == set()
    assert f"sparkclin.export.graph.{engine}" in imported
