"""The graphs of all families and engines against transformers' models, in this process: no Spark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sparkclin.export.engines import SPARK_NLP_EXPORTERS
from sparkclin.export.graph.block_sparse import BlockSparse
from sparkclin.export.graph.encoder import EncoderConfig
from sparkclin.export.graph.sliding_window import SlidingWindow
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.quantization import cosines
from sparkclin.export.verify.samples import Batch, PackedSample
from sparkclin.wire.outputs import Outputs
from testkit.checkpoints import random_bigbird, random_checkpoint
from tests.export.graphs import open_graph

Array = npt.NDArray[Any]
Run = Callable[[Array, Array], Array]

# Wide enough windows for every path through the attention, and two that differ; lengths on both sides of each limit.
WINDOWS = (SlidingWindow(4), SlidingWindow(10))
BLOCKS = BlockSparse(block_size=4, random_blocks=1)
LIMITS = sorted(
    {limit for w in WINDOWS for limit in (w.one_sided + 1, w.dense_limit, w.block_size)}
    | {BLOCKS.block_size, BLOCKS.dense_limit, BLOCKS.dense_limit + BLOCKS.block_size}
)
LENGTHS = [1, 2, *sorted({length for limit in LIMITS for length in (limit - 1, limit, limit + 1)}), 129, 198]
MAX_ABS_DIFFERENCE = 1e-4
MIN_INT8_COSINE = 0.99  # of random weights


@dataclass(frozen=True)
class Original:
    """A trained model and its reference."""

    trained: TrainedModel
    reference: Run

    @classmethod
    def read(cls, folder: Path) -> Original:
        trained = TrainedModel.read(str(folder))
        return cls(trained, trained.reference())

    @property
    def config(self) -> EncoderConfig:
        return self.trained.config

    def graph(self, folder: Path, *, engine: str, precision: str = "fp32") -> Run:
        SPARK_NLP_EXPORTERS[engine].graphs().write(folder, self.trained.body(), precision=precision)
        return open_graph(folder, engine=engine)

    def expected(self, sample: PackedSample, vectors: Array, wanted: Sequence[str] = ("mean", "max")) -> Array:
        return sample.expected(vectors, self.trained.head, wanted=wanted)

    def batch(self, length: int) -> Batch:
        return Batch.random(np.random.default_rng(length), length=length, config=self.config)


@pytest.fixture(scope="module", params=[random_checkpoint, random_bigbird])
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Original:
    return Original.read(request.param(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="module", params=SPARK_NLP_EXPORTERS)
def run(request: pytest.FixtureRequest, original: Original, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The fp32 graph of each engine."""
    return original.graph(tmp_path_factory.mktemp("graph"), engine=request.param)


@pytest.fixture(scope="module")
def int8(original: Original, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return original.graph(tmp_path_factory.mktemp("graph"), engine="onnx", precision="int8")


def assert_equal(batch: Batch, found: Array, expected: Array) -> None:
    """At real positions only."""
    real = batch.mask.astype(bool)
    np.testing.assert_allclose(found[real], expected[real], atol=MAX_ABS_DIFFERENCE, rtol=0)


def test_the_lengths_take_all_three_paths() -> None:
    for window in WINDOWS:
        assert any(n <= window.one_sided + 1 for n in LENGTHS)
        assert any(window.one_sided + 1 < n <= window.dense_limit for n in LENGTHS)
        assert any(n > window.dense_limit for n in LENGTHS)


@pytest.mark.parametrize("length", LENGTHS)
def test_ordinary_ids_and_codes_give_the_reference_vectors(original: Original, run: Run, length: int) -> None:
    batch = original.batch(length)
    expected = original.reference(batch.ids, batch.mask)
    assert_equal(batch, run(batch.ids, batch.mask), expected)
    assert_equal(batch, run(batch.codes(), batch.mask), expected)


@pytest.mark.parametrize("length", [3, 12, 40, 150])
def test_the_code_of_cls_makes_the_outer_one_disappear(original: Original, run: Run, length: int) -> None:
    batch, config = original.batch(length), original.config
    expected = original.reference(batch.ids, batch.mask)
    outer = np.full((2, 1), config.cls_id, np.int32)
    inner = batch.codes()
    inner[:, 0] = config.vocab_size + config.cls_id
    mask = np.concatenate([np.ones((2, 1), np.int32), batch.mask], axis=1)
    found = run(np.concatenate([outer, inner], axis=1), mask)[:, 1:]
    assert_equal(batch, found, expected)


def test_rows_of_different_lengths_do_not_touch_each_other(original: Original, run: Run) -> None:
    batch = original.batch(150)
    alone = run(batch.ids[:1, :75], batch.mask[:1, :75])
    together = run(
        np.concatenate(
            [np.pad(batch.ids[:1, :75], ((0, 0), (0, 75)), constant_values=original.config.pad_id), batch.ids]
        ),
        np.concatenate([np.pad(batch.mask[:1, :75], ((0, 0), (0, 75))), batch.mask]),
    )
    np.testing.assert_allclose(together[0, :75], alone[0], atol=MAX_ABS_DIFFERENCE, rtol=0)


@pytest.mark.parametrize("length", [4, 9, 12, 40, 129, 198])
def test_segment_parts_are_pooled_from_the_reference_vectors(original: Original, run: Run, length: int) -> None:
    batch = original.batch(length)
    sample = PackedSample.of(batch)
    pooled = run(sample.ids, sample.mask)
    expected = original.expected(sample, original.reference(batch.ids, batch.mask))
    assert pooled.shape == (1, 1, expected.size)
    np.testing.assert_allclose(pooled.reshape(expected.shape), expected, atol=MAX_ABS_DIFFERENCE, rtol=0)


@pytest.mark.parametrize("wanted", [["mean"], ["max"], ["mean", "max"]], ids=" ".join)
def test_only_what_is_asked_for_comes_back(original: Original, run: Run, wanted: list[str]) -> None:
    batch = original.batch(40)
    outputs = Outputs(all=original.trained.head.outputs)
    sample = PackedSample.of(batch, request=outputs.request(wanted))
    found = run(sample.ids, sample.mask)
    expected = original.expected(sample, original.reference(batch.ids, batch.mask), wanted)
    assert found.size == expected.size == len(expected) * outputs.n_received(wanted)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=MAX_ABS_DIFFERENCE, rtol=0)


def test_a_sample_has_positions_that_are_in_no_segment(original: Original) -> None:
    """One part is the first special piece alone, others are some of a row's pieces; a piece and the last special piece
    are in none."""
    sample = PackedSample.of(original.batch(40))
    assert [(part.begin, part.end) for part in sample.parts[0]] == [(0, 1), (1, 14), (14, 26), (27, 39)]
    assert all(part.begin > 0 for part in sample.parts[1])
    assert len(sample.parts[1]) > 0


@pytest.mark.parametrize("length", [1, 2, 12, 40, 198])
def test_int8_is_near_the_reference(original: Original, int8: Run, length: int) -> None:
    batch = original.batch(length)
    real = batch.mask.astype(bool)
    found, expected = int8(batch.ids, batch.mask), original.reference(batch.ids, batch.mask)
    assert cosines(found[real], expected[real]).min() >= MIN_INT8_COSINE
    assert np.abs(found[real] - expected[real]).max() > MAX_ABS_DIFFERENCE  # it is int8


@pytest.mark.parametrize("length", [12, 40, 198])
def test_int8_segments_are_pooled_from_the_same_vectors(original: Original, int8: Run, length: int) -> None:
    batch = original.batch(length)
    sample = PackedSample.of(batch)
    expected = original.expected(sample, int8(batch.ids, batch.mask))
    pooled = int8(sample.ids, sample.mask).reshape(expected.shape)
    np.testing.assert_allclose(pooled, expected, atol=1e-5, rtol=0)


def test_an_int8_row_does_not_depend_on_the_others_of_its_batch(original: Original, int8: Run) -> None:
    batch = original.batch(40)
    alone = int8(batch.ids[:1], batch.mask[:1])
    np.testing.assert_allclose(int8(batch.ids, batch.mask)[0], alone[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_act": "gelu_new", "attention_window": [6, 6]},
        {"hidden_act": "relu", "attention_window": 64},
        {"hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 1, "attention_window": [130]},
        {"positions": 700, "attention_window": [280, 6]},
        {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1},
    ],
    ids=lambda settings: ",".join(f"{key}={value}" for key, value in settings.items()),
)
@pytest.mark.parametrize("engine", SPARK_NLP_EXPORTERS)
def test_other_shapes(settings: dict[str, object], engine: str, tmp_path: Path) -> None:
    original = Original.read(random_checkpoint(tmp_path, **settings))  # type: ignore[arg-type]
    run = original.graph(tmp_path / "graph", engine=engine)
    for length in (5, original.config.max_row // 2, original.config.max_row):
        batch = original.batch(length)
        assert_equal(batch, run(batch.ids, batch.mask), original.reference(batch.ids, batch.mask))


def test_blocks_hold_the_window_of_a_piece() -> None:
    for one_sided in range(1, 600):
        window = SlidingWindow(one_sided)
        assert window.sides * window.block_size >= one_sided
