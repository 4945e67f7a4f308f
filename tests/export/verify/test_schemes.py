"""int8 of a model with outlying channels: the fastest scheme fails, and one that passes is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LongformerModel

from sparkclin.evaluation.notes import Note, packaged_notes
from sparkclin.export.candidate import Candidate
from sparkclin.export.engines import SPARK_NLP_EXPORTERS, WORKER_EXPORTERS
from sparkclin.export.errors import ParityError
from sparkclin.export.graph.encoder import TABLES
from sparkclin.export.routes.route import Route
from sparkclin.export.routes.spark_nlp import SparkNlpRoute
from sparkclin.export.routes.workers import WorkerRoute
from sparkclin.export.scheme import Scheme
from sparkclin.export.stock import Told
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.expected import Expected, remembering
from sparkclin.export.verify.quantization import LIMITS, Least, NoteLimits
from sparkclin.export.verify.ranges import input_ranges
from sparkclin.export.verify.samples import Batch
from sparkclin.export.verify.schemes import choose_scheme, smoothing_of
from sparkclin.models.card import schemes_table
from sparkclin.wire.outputs import Outputs
from testkit.checkpoints import random_checkpoint, with_outliers
from testkit.tokenizers import train_tokenizer

NOTES = [Note(note_id=str(index), text=note.text[:1500]) for index, note in enumerate(packaged_notes()[:4])]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Three channels of 128 have 40 times the values of the others."""
    folder = random_checkpoint(
        tmp_path_factory.mktemp("checkpoint"),
        tokenizer_json=train_tokenizer([note.text for note in NOTES], vocab_size=500),
        vocab_size=500,
        positions=600,
        hidden_size=128,
        num_hidden_layers=4,
        intermediate_size=256,
        attention_window=64,
        initializer_range=0.06,
    )
    return TrainedModel.read(str(with_outliers(folder, factor=40)))


def route_of(trained: TrainedModel, engine: str, folder: Path) -> tuple[Candidate, Route]:
    """Of an int8 candidate. Trials need no Spark."""
    candidate = Candidate(
        folder=folder,
        precision="int8",
        trained=trained,
        tokenizer_json=trained.tokenizer_json,
        outputs=Outputs(all=trained.head.outputs),
    )
    if engine in WORKER_EXPORTERS:
        return candidate, WorkerRoute(candidate=candidate, exporter=WORKER_EXPORTERS[engine])
    exporter, told = SPARK_NLP_EXPORTERS[engine], Told(name="a_model", width=trained.config.width)
    no_spark = None
    return candidate, SparkNlpRoute(
        candidate=candidate,
        exporter=exporter,
        spark=no_spark,  # type: ignore[arg-type]
        told=told,
        scratch=folder,
    )


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_the_first_scheme_that_passes_is_taken(trained: TrainedModel, engine: str, tmp_path: Path) -> None:
    candidate, route = route_of(trained, engine, tmp_path / "bundle")
    tried = choose_scheme(candidate, route, Expected(trained=trained, notes=NOTES), scratch=tmp_path)
    assert tried[0].scheme.name == "static"
    assert [found.passed for found in tried] == [False] * (len(tried) - 1) + [True]
    assert tried[-1].report.pieces.mean_cosine > tried[0].report.pieces.mean_cosine
    assert list(tmp_path.iterdir()) == []  # graphs are large
    lines = schemes_table([found.to_dict() for found in tried]).splitlines()
    assert [line.endswith("FAILED") for line in lines[1:]] == [not found.passed for found in tried]


def test_where_none_passes_all_that_was_tried_is_said(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing keeps vectors as near as this."""
    perfect = Least(mean=2.0, worst=2.0)
    monkeypatch.setitem(LIMITS, "int8", NoteLimits(documents=perfect, pieces=perfect))
    candidate, route = route_of(trained, "onnx", tmp_path / "bundle")
    with pytest.raises(ParityError) as raised:
        choose_scheme(candidate, route, Expected(trained=trained, notes=NOTES[:1]), scratch=tmp_path)
    said = str(raised.value)
    for scheme in ("static, smoothed by 0.5", "dynamic", "tables kept", "values kept", "3 of 4 layers kept"):
        assert scheme in said
    assert NOTES[0].text[:20] not in said


def test_what_is_kept_is_as_in_fp32(trained: TrainedModel, tmp_path: Path) -> None:
    everything = frozenset({TABLES, *(f"layer_{index}" for index in range(4))})
    _, route = route_of(trained, "onnx", tmp_path / "bundle")
    graph = route.trial(Scheme(kept=everything), tmp_path / "kept")
    batch = Batch.random(np.random.default_rng(0), length=100, config=trained.config)
    expected = trained.reference()(batch.ids, batch.mask)
    for ours, theirs in zip(batch.real(graph.states(batch.ids, batch.mask)), batch.real(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


def test_a_layer_is_kept_by_its_name_or_the_beginning_of_it() -> None:
    scheme = Scheme(kept=frozenset({"layer_1", "layer_10/attention/value"}))
    kept = [name for name in ("layer_1/attention/query", "layer_10/attention/value") if scheme.keeps(name)]
    assert len(kept) == 2
    assert not scheme.keeps("layer_10/attention/query")
    assert not scheme.keeps("layer_11/feed_forward/output")


def test_ranges_are_those_of_transformers_states(trained: TrainedModel) -> None:
    """Of a row without padding; the states that a layer reads."""
    batch = Batch.random(np.random.default_rng(1), length=128, config=trained.config)
    ids = batch.ids[:1]
    model = LongformerModel.from_pretrained(trained.source.folder, add_pooling_layer=False)
    model.train(False)
    with torch.inference_mode():
        states = model(torch.from_numpy(ids).long(), output_hidden_states=True).hidden_states
    ranges = input_ranges(trained, iter([ids]))
    assert len(ranges) == 4 * 6
    for index in range(4):
        expected = states[index][0].abs().max(dim=0).values.numpy()
        for name in ("query", "key", "value"):
            np.testing.assert_allclose(ranges[f"layer_{index}/attention/{name}"], expected, rtol=1e-3)
    outlying = ranges["layer_0/attention/query"]
    assert sorted(np.argsort(outlying)[-3:].tolist()) == [5, 60, 101]


def test_smoothing_evens_out_what_meets_a_layer(trained: TrainedModel) -> None:
    layers = trained.family.load(trained.tensors, trained.config).layers
    batch = Batch.random(np.random.default_rng(1), length=128, config=trained.config)
    ranges = input_ranges(trained, iter([batch.ids[:1]]))
    smoothing = smoothing_of(layers, ranges, 0.5)
    name = "layer_1/attention/query"
    assert smoothing[name] is smoothing["layer_1/attention/value"]  # so that states are quantized once
    before, after = ranges[name], ranges[name] / smoothing[name]
    assert after.max() / np.median(after) < before.max() / np.median(before) / 4


def test_the_reference_runs_once_for_the_same_rows() -> None:
    runs = 0

    def reference(ids: np.typing.NDArray[np.int32], mask: np.typing.NDArray[np.int32]) -> np.typing.NDArray[np.float32]:
        nonlocal runs
        runs += 1
        return (ids * mask)[..., None].astype(np.float32)

    remembered = remembering(reference, most_bytes=100)
    few, many = np.ones((1, 5), np.int32), np.ones((1, 50), np.int32)
    for _ in range(3):
        assert remembered(few, few).shape == (1, 5, 1)
        assert remembered(many, many).shape == (1, 50, 1)
    assert runs == 1 + 3  # what is too much is not kept
