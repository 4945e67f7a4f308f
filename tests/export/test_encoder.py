"""The graph against transformers' LongformerModel, in this process: no Spark."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from export import checkpoint, parity
from export.checkpoint import Checkpoint
from export.families import longformer
from export.graph import tensorflow as engine
from export.graph.attention import block_sides, block_size, dense_limit
from export.graph.encoder import EncoderConfig
from tests.export.checkpoints import random_checkpoint

Array = npt.NDArray[Any]
v1 = engine.v1

# Wide enough windows for every way through the attention, and two that differ; lengths on both sides of each limit.
REACHES = (4, 10)
LIMITS = sorted({limit for reach in REACHES for limit in (reach + 1, dense_limit(reach), block_size(reach))})
LENGTHS = [1, 2, *sorted({length for limit in LIMITS for length in (limit - 1, limit, limit + 1)}), 129, 198]


class Model:
    """A checkpoint, its graph and its reference."""

    def __init__(self, folder: Path) -> None:
        self.source: Checkpoint = checkpoint.read(str(folder))
        self.config: EncoderConfig = longformer.parse_config(self.source.config)
        self.reference: Callable[..., Array] = parity.reference_model(self.source, self.config)
        engine.write_encoder(folder / "graph", config=self.config, weights=longformer.load(self.source, self.config))
        self._session = v1.Session(graph=v1.Graph())
        with self._session.graph.as_default():
            v1.saved_model.load(self._session, ["serve"], str(folder / "graph"))

    def run(self, ids: Array, mask: Array) -> Array:
        return np.asarray(self._session.run("last_hidden_state:0", {"input_ids:0": ids, "attention_mask:0": mask}))

    def batch(self, length: int) -> parity.Batch:
        return parity.Batch.random(np.random.default_rng(length), length=length, config=self.config)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(random_checkpoint(tmp_path_factory.mktemp("model")))


def assert_equal(batch: parity.Batch, found: Array, expected: Array) -> None:
    """At real places only."""
    real = batch.mask.astype(bool)
    np.testing.assert_allclose(found[real], expected[real], atol=parity.MAX_ABS_DIFFERENCE, rtol=0)


def test_the_lengths_take_all_three_ways() -> None:
    for reach in REACHES:
        assert any(n <= reach + 1 for n in LENGTHS)
        assert any(reach + 1 < n <= dense_limit(reach) for n in LENGTHS)
        assert any(n > dense_limit(reach) for n in LENGTHS)


@pytest.mark.parametrize("length", LENGTHS)
def test_both_feeds_give_the_reference_vectors(model: Model, length: int) -> None:
    batch = model.batch(length)
    expected = model.reference(batch.ids, batch.mask)
    assert_equal(batch, model.run(batch.ids, batch.mask), expected)
    assert_equal(batch, model.run(batch.codes(model.config), batch.mask), expected)


@pytest.mark.parametrize("length", [3, 12, 40, 150])
def test_the_code_of_cls_makes_the_outer_one_disappear(model: Model, length: int) -> None:
    batch = model.batch(length)
    expected = model.reference(batch.ids, batch.mask)
    config = model.config
    outer = np.full((2, 1), config.cls_id, np.int32)
    inner = batch.codes(config)
    inner[:, 0] = config.vocab_size + config.cls_id
    mask = np.concatenate([np.ones((2, 1), np.int32), batch.mask], axis=1)
    found = model.run(np.concatenate([outer, inner], axis=1), mask)[:, 1:]
    assert_equal(batch, found, expected)


def test_rows_of_different_lengths_do_not_touch_each_other(model: Model) -> None:
    batch = model.batch(150)
    alone = model.run(batch.ids[:1, :75], batch.mask[:1, :75])
    together = model.run(
        np.concatenate([np.pad(batch.ids[:1, :75], ((0, 0), (0, 75)), constant_values=1), batch.ids]),
        np.concatenate([np.pad(batch.mask[:1, :75], ((0, 0), (0, 75))), batch.mask]),
    )
    np.testing.assert_allclose(together[0, :75], alone[0], atol=parity.MAX_ABS_DIFFERENCE, rtol=0)


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
def test_other_shapes(settings: dict[str, object], tmp_path: Path) -> None:
    model = Model(random_checkpoint(tmp_path, **settings))  # type: ignore[arg-type]
    for length in (5, model.config.max_row // 2, model.config.max_row):
        batch = model.batch(length)
        assert_equal(batch, model.run(batch.ids, batch.mask), model.reference(batch.ids, batch.mask))


def test_blocks_hold_what_a_piece_reaches() -> None:
    for reach in range(1, 600):
        assert block_sides(reach) * block_size(reach) >= reach
