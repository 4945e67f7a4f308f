"""int8 of a model with outlying channels: the fastest scheme fails, and one that passes is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from sparkclin.evaluation.notes import Note, packaged_notes
from sparkclin.export.candidate import Candidate
from sparkclin.export.engines import SPARK_NLP_EXPORTERS, WORKER_EXPORTERS, Ids, Vectors
from sparkclin.export.errors import ParityError
from sparkclin.export.graph.encoder import TABLES, AttentionWeights, LayerWeights, Linear, Norm
from sparkclin.export.routes.route import Route
from sparkclin.export.routes.spark_nlp import SparkNlpRoute
from sparkclin.export.routes.workers import WorkerRoute
from sparkclin.export.scheme import Scheme
from sparkclin.export.steps import SILENT, Steps
from sparkclin.export.stock import Told
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.expected import Expected, remembering
from sparkclin.export.verify.quantization import LIMITS, Agreement, Least, NoteLimits, QuantizationReport
from sparkclin.export.verify.ranges import input_ranges
from sparkclin.export.verify.samples import Batch
from sparkclin.export.verify.schemes import Tried, Watched, choose_scheme, ranges_of, smoothing_of
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


def test_the_outlying_channels_have_the_largest_ranges(trained: TrainedModel) -> None:
    batch = Batch.random(np.random.default_rng(1), length=128, config=trained.config)
    outlying = input_ranges(trained, iter([batch.ids[:1]]))["layer_0/attention/query"]
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


def test_the_reference_tells_masks_apart_and_fills_its_memory_to_the_last_byte() -> None:
    rows: list[int] = []

    def reference(ids: Ids, mask: Ids) -> Vectors:
        rows.append(ids.shape[1])
        return (ids * mask)[..., None].astype(np.float32)

    remembered = remembering(reference, most_bytes=4 * (10 + 5))
    ten, masked, five, one = (np.ones((1, size), np.int32) for size in (10, 10, 5, 1))
    masked[0, 3:] = 0
    assert remembered(ten, ten).sum() == 10
    assert remembered(ten, masked).sum() == 3  # too much beside the first
    for _ in range(2):
        assert remembered(five, five).sum() == 5
        assert remembered(one, one).sum() == 1  # nothing is left for it
        assert remembered(ten, ten).sum() == 10
    assert rows == [10, 10, 5, 1, 1]


SHORT_NOTES = [Note(note_id=note.note_id, text=note.text[:150]) for note in NOTES[:2]]


@pytest.fixture(scope="module")
def expected(trained: TrainedModel) -> Expected:
    """What all these schemes are compared with; computed once."""
    return Expected(trained=trained, notes=SHORT_NOTES)


@dataclass(frozen=True)
class Shifted:
    """A graph that answers with the reference's vectors and `error` times as much of something else."""

    reference: Callable[[Ids, Ids], Vectors]
    error: float

    def states(self, ids: Ids, mask: Ids) -> Vectors:
        vectors = self.reference(ids, mask)
        return vectors + self.error * np.roll(vectors, 1, axis=-1)


@dataclass(frozen=True)
class ErrorOfScheme:
    """A route whose graphs are as far from the reference as `error_of` says of their scheme."""

    reference: Callable[[Ids, Ids], Vectors]
    error_of: Callable[[Scheme], float]
    group_sizes: tuple[int, ...] = (64, 32)
    schemes: list[Scheme] = field(default_factory=list)

    def trial(self, scheme: Scheme, folder: Path) -> Shifted:
        assert folder.is_dir()
        self.schemes.append(scheme)
        return Shifted(self.reference, self.error_of(scheme))


def choose(
    expected: Expected, error_of: Callable[[Scheme], float], scratch: Path, *, steps: Steps = SILENT
) -> tuple[list[Tried], list[Scheme]]:
    """What was tried, and all schemes that were measured."""
    candidate, _ = route_of(expected.trained, "onnx", scratch / "bundle")
    route = ErrorOfScheme(expected.reference, error_of)
    tried = choose_scheme(candidate, route, expected, scratch=scratch, steps=steps)  # type: ignore[arg-type]
    return tried, route.schemes


def names(tried: Sequence[Tried]) -> list[str]:
    return [found.scheme.name for found in tried]


def test_each_stage_goes_on_from_the_best_scheme_of_its_own_kind_of_scales(expected: Expected, tmp_path: Path) -> None:
    """Static scales are nearer here, and the best dynamic scheme is the one that goes on all the same."""
    errors = {
        "static": 0.5,
        "static, smoothed by 0.5": 0.3,
        "static, smoothed by 0.75": 0.4,
        "static, smoothed by 0.5, tables kept": 0.35,
        "dynamic": 0.8,
        "dynamic, smoothed by 0.5": 0.7,
        "dynamic, smoothed by 0.75": 0.6,
        "dynamic, smoothed by 0.75, tables kept": 0.55,
        "dynamic, smoothed by 0.75, tables kept, scales of 64": 0.5,
        "dynamic, smoothed by 0.75, tables kept, scales of 32": 0.0,
    }
    tried, _ = choose(expected, lambda scheme: errors[scheme.name], tmp_path)
    assert names(tried) == list(errors)
    assert [found.passed for found in tried] == [False] * 9 + [True]


def test_the_first_that_passes_is_the_last_that_is_tried(expected: Expected, tmp_path: Path) -> None:
    tried, measured = choose(expected, lambda scheme: 0.0 if scheme.smoothing else 0.5, tmp_path)
    assert names(tried) == ["static", "static, smoothed by 0.5"]
    assert len(measured) == 2


def test_at_last_the_layers_that_harm_most_are_kept(expected: Expected, tmp_path: Path) -> None:
    """Layer 2 harms most, then layer 0; with both kept the vectors are near enough."""
    harm = {"layer_0": 0.2, "layer_1": 0.02, "layer_2": 0.4, "layer_3": 0.01}

    def error_of(scheme: Scheme) -> float:
        left = [name for name in harm if name not in scheme.kept]
        if not scheme.group_size:
            return 1.0
        return 0.0 if set(left) == {"layer_1", "layer_3"} else sum(harm[name] for name in left)

    tried, measured = choose(expected, error_of, tmp_path)
    assert names(tried)[-3:] == [
        f"dynamic, {labels}, scales of 64" for labels in ("values kept", "1 of 4 layers kept", "2 of 4 layers kept")
    ]
    assert tried[-3].scheme.kept == {f"layer_{index}/attention/value" for index in range(4)}
    assert tried[-2].scheme.kept == {"layer_2"}
    assert tried[-1].scheme.kept == {"layer_0", "layer_2"}
    alone = [scheme.kept for scheme in measured if len(scheme.kept) == 3]
    assert alone == [harm.keys() - {name} for name in harm]  # each layer by itself


def test_smoothed_schemes_have_the_ranges_of_smoothed_inputs(expected: Expected, tmp_path: Path) -> None:
    tried, _ = choose(
        expected,
        lambda scheme: 0.0 if not scheme.ranges and scheme.smoothing and scheme.labels[0].endswith("0.75") else 0.5,
        tmp_path,
    )
    layers = expected.trained.family.load(expected.trained.tensors, expected.trained.config).layers
    channels = expected.ranges
    static, *smoothed = [found.scheme for found in tried[:3]]
    for scheme, share in zip(smoothed, (0.5, 0.75), strict=True):
        smoothing = smoothing_of(layers, channels, share)
        for layer, of_channels in channels.items():
            assert scheme.ranges[layer] == pytest.approx((of_channels / smoothing[layer]).max())
            assert static.ranges[layer] == pytest.approx(of_channels.max())
            np.testing.assert_array_equal(scheme.smoothing[layer], smoothing[layer])
    assert tried[-1].scheme.ranges == {}


def test_each_scheme_is_said_in_a_line_as_it_comes(expected: Expected, tmp_path: Path) -> None:
    stream = StringIO()
    choose(expected, lambda scheme: 0.0 if scheme.smoothing else 0.5, tmp_path, steps=Steps(stream))
    lines = [line for line in stream.getvalue().splitlines() if "pieces/s" in line]
    assert [line.split(":")[0] for line in lines] == ["    static", "    static, smoothed by 0.5"]
    assert [line.endswith(", FAILED") for line in lines] == [True, False]


def test_a_scheme_that_was_tried_is_told_with_its_figures() -> None:
    documents, pieces = (Agreement(vectors=2, mean_cosine=0.75, worst_cosine=worst) for worst in (0.5, 0.25))
    report = QuantizationReport(notes=2, documents=documents, pieces=pieces, specialty=None, limits=LIMITS["int8"])
    tried = Tried(scheme=Scheme(kept=frozenset({"b", "a"}), group_size=64), report=report, pieces_per_s=1234.6)
    assert tried.to_text() == (
        "dynamic, scales of 64: 1,235 pieces/s, cosine of documents 0.50000, of pieces 0.25000 at worst, FAILED"
    )
    assert json.loads(json.dumps(tried.to_dict())) == {
        "scheme": "dynamic, scales of 64",
        "kept": ["a", "b"],
        "group_size": 64,
        "documents": {"vectors": 2, "mean_cosine": 0.75, "worst_cosine": 0.5},
        "pieces": {"vectors": 2, "mean_cosine": 0.75, "worst_cosine": 0.25},
        "pieces_per_s": 1235,
        "passed": False,
    }


def test_a_scale_is_that_of_the_largest_smoothed_input() -> None:
    channels = {"a": np.array([4, 10], np.float32), "b": np.array([3, 5], np.float32)}
    smoothing = {"a": np.array([1, 5], np.float32)}
    assert ranges_of(channels, smoothing) == {"a": 4.0, "b": 5.0}
    assert ranges_of(channels, {}) == {"a": 10.0, "b": 5.0}


def test_smoothing_is_as_the_paper_has_it() -> None:
    """max|x|^α / max|w|^(1 − α) by channel, at least 1e-5 of each; queries, keys and values share it."""

    def array(*numbers: Sequence[float]) -> np.typing.NDArray[np.float32]:
        return np.array(numbers, np.float32)

    bias, norm = np.zeros(2, np.float32), Norm(scale=np.ones(2, np.float32), shift=np.zeros(2, np.float32))
    weights = LayerWeights(
        attention=AttentionWeights(
            query=Linear(weight=array([1, -2], [0, 0]), bias=bias),
            key=array([3, 1], [0, 0]),
            value=array([-16, 4], [0, 0]),
            output=Linear(weight=array([1, 1], [-81, 3]), bias=bias),
        ),
        attention_norm=norm,
        intermediate=Linear(weight=array([1, -1], [16, 2]), bias=bias),
        output=Linear(weight=array([256, 1], [1, 2]), bias=bias),
        output_norm=norm,
    )
    states = np.array([81, 0], np.float32)
    ranges = {
        **{f"layer_0/attention/{name}": states for name in ("query", "key", "value")},
        "layer_0/attention/output": np.array([16, 1], np.float32),
        "layer_0/feed_forward/intermediate": np.array([1, 16], np.float32),
        "layer_0/feed_forward/output": np.array([16, 625], np.float32),
    }
    found = smoothing_of([weights], ranges, 0.75)
    assert found.keys() == ranges.keys()
    by_hand = {
        "attention/query": (81**0.75 / 16**0.25, 1e-5**0.5),
        "attention/output": (16**0.75, 1 / 81**0.25),
        "feed_forward/intermediate": (1.0, 16**0.5),
        "feed_forward/output": (16**0.75 / 256**0.25, 625**0.75 / 2**0.25),
    }
    for name, numbers in by_hand.items():
        np.testing.assert_allclose(found[f"layer_0/{name}"], numbers, rtol=1e-5)
        assert found[f"layer_0/{name}"].dtype == np.float32
    assert found["layer_0/attention/key"] is found["layer_0/attention/value"] is found["layer_0/attention/query"]


def test_the_rate_is_that_of_the_pieces_that_are_not_padding() -> None:
    watched = Watched(Shifted(lambda ids, _mask: ids[..., None].astype(np.float32), 0.0))
    ids = np.array([[3, 4]], np.int32)
    np.testing.assert_array_equal(watched.states(ids, np.ones_like(ids)), [[[3.0], [4.0]]])
    watched.states(ids, 0 * ids)
    assert len(watched.rates) == 2
    assert watched.rates[0] > 100
    assert watched.rates[1] == 0.0
