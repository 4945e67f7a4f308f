"""The graphs of all engines against transformers' LongformerModel, in this process: no Spark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from export import checkpoint
from export.checkpoint import Checkpoint
from export.engines import ENGINES
from export.families import longformer
from export.graph.attention import block_sides, block_size, dense_limit
from export.graph.encoder import EncoderConfig
from export.verify.quantization import cosines
from export.verify.reference import reference_model
from export.verify.samples import Batch, Pack
from testkit.checkpoints import random_checkpoint
from tests.export.graphs import open_graph

Array = npt.NDArray[Any]
Run = Callable[[Array, Array], Array]

# Wide enough windows for every way through the attention, and two that differ; lengths on both sides of each limit.
REACHES = (4, 10)
LIMITS = sorted({limit for reach in REACHES for limit in (reach + 1, dense_limit(reach), block_size(reach))})
LENGTHS = [1, 2, *sorted({length for limit in LIMITS for length in (limit - 1, limit, limit + 1)}), 129, 198]
MAX_ABS_DIFFERENCE = 1e-4
MIN_INT8_COSINE = 0.99  # of random weights


@dataclass(frozen=True)
class Original:
    """A checkpoint and its reference."""

    source: Checkpoint
    config: EncoderConfig
    reference: Run

    @classmethod
    def read(cls, folder: Path) -> Original:
        source = checkpoint.read(str(folder))
        config = longformer.parse_config(source.config)
        return cls(source, config, reference_model(source, config))

    def graph(self, folder: Path, *, engine: str, precision: str = "fp32") -> Run:
        weights = longformer.load(self.source, self.config)
        ENGINES[engine].graphs().write_encoder(folder, config=self.config, weights=weights, precision=precision)
        return open_graph(folder, engine=engine)

    def batch(self, length: int) -> Batch:
        return Batch.random(np.random.default_rng(length), length=length, config=self.config)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return Original.read(random_checkpoint(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="module", params=ENGINES)
def run(request: pytest.FixtureRequest, original: Original, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The fp32 graph of each engine."""
    return original.graph(tmp_path_factory.mktemp("graph"), engine=request.param)


@pytest.fixture(scope="module")
def int8(original: Original, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return original.graph(tmp_path_factory.mktemp("graph"), engine="onnx", precision="int8")


def assert_equal(batch: Batch, found: Array, expected: Array) -> None:
    """At real places only."""
    real = batch.mask.astype(bool)
    np.testing.assert_allclose(found[real], expected[real], atol=MAX_ABS_DIFFERENCE, rtol=0)


def test_the_lengths_take_all_three_ways() -> None:
    for reach in REACHES:
        assert any(n <= reach + 1 for n in LENGTHS)
        assert any(reach + 1 < n <= dense_limit(reach) for n in LENGTHS)
        assert any(n > dense_limit(reach) for n in LENGTHS)


@pytest.mark.parametrize("length", LENGTHS)
def test_both_feeds_give_the_reference_vectors(original: Original, run: Run, length: int) -> None:
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
        np.concatenate([np.pad(batch.ids[:1, :75], ((0, 0), (0, 75)), constant_values=1), batch.ids]),
        np.concatenate([np.pad(batch.mask[:1, :75], ((0, 0), (0, 75))), batch.mask]),
    )
    np.testing.assert_allclose(together[0, :75], alone[0], atol=MAX_ABS_DIFFERENCE, rtol=0)


@pytest.mark.parametrize("length", [4, 9, 12, 40, 129, 198])
def test_a_packs_spans_are_pooled_from_the_reference_vectors(original: Original, run: Run, length: int) -> None:
    batch = original.batch(length)
    pack = Pack.of(batch)
    pooled = run(pack.ids, pack.mask)
    expected: Array = pack.pool(original.reference(batch.ids, batch.mask))
    assert pooled.shape == (1, 1, expected.size)
    np.testing.assert_allclose(pooled.reshape(expected.shape), expected, atol=MAX_ABS_DIFFERENCE, rtol=0)


def test_a_pack_pools_what_its_spans_say_and_nothing_else(original: Original) -> None:
    """One span is <s> alone, others are some of a row's pieces; <s> elsewhere, a piece and </s> are in none."""
    pack = Pack.of(original.batch(40))
    places = [(part.begin, part.end) for part in pack.spans[0]]
    assert places == [(0, 1), (1, 14), (14, 26), (27, 39)]
    assert all(part.begin > 0 for part in pack.spans[1])
    assert len(pack.spans[1]) > 0


@pytest.mark.parametrize("length", [1, 2, 12, 40, 198])
def test_int8_is_near_the_reference(original: Original, int8: Run, length: int) -> None:
    batch = original.batch(length)
    real = batch.mask.astype(bool)
    found, expected = int8(batch.ids, batch.mask), original.reference(batch.ids, batch.mask)
    assert cosines(found[real], expected[real]).min() >= MIN_INT8_COSINE
    assert np.abs(found[real] - expected[real]).max() > MAX_ABS_DIFFERENCE  # it is int8


@pytest.mark.parametrize("length", [12, 40, 198])
def test_int8_packs_are_pooled_from_the_same_vectors(original: Original, int8: Run, length: int) -> None:
    batch = original.batch(length)
    pack = Pack.of(batch)
    expected: Array = pack.pool(int8(batch.ids, batch.mask))
    pooled = int8(pack.ids, pack.mask).reshape(expected.shape)
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
@pytest.mark.parametrize("engine", ENGINES)
def test_other_shapes(settings: dict[str, object], engine: str, tmp_path: Path) -> None:
    original = Original.read(random_checkpoint(tmp_path, **settings))  # type: ignore[arg-type]
    run = original.graph(tmp_path / "graph", engine=engine)
    for length in (5, original.config.max_row // 2, original.config.max_row):
        batch = original.batch(length)
        assert_equal(batch, run(batch.ids, batch.mask), original.reference(batch.ids, batch.mask))


def test_blocks_hold_what_a_piece_reaches() -> None:
    for reach in range(1, 600):
        assert block_sides(reach) * block_size(reach) >= reach
