"""The ranges of what meets each linear layer, against transformers' states and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LongformerModel

from sparkclin.export.engines import Ids
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.ranges import input_ranges
from sparkclin.export.verify.samples import Batch
from testkit.checkpoints import random_checkpoint

INPUTS = ("query", "key", "value")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    folder = random_checkpoint(tmp_path_factory.mktemp("checkpoint"), attention_window=64)
    return TrainedModel.read(str(folder))


@pytest.fixture(scope="module")
def rows(trained: TrainedModel) -> list[Ids]:
    """Two batches of a row each. Neither transformers nor the graph pads rows of this length."""
    generator = np.random.default_rng(1)
    return [Batch.random(generator, length=length, config=trained.config).ids[:1] for length in (64, 64)]


def largest_by_layer(trained: TrainedModel, ids: Ids) -> list[np.typing.NDArray[np.float32]]:
    """Of transformers' states that each layer reads, the largest magnitude in each channel."""
    model = LongformerModel.from_pretrained(trained.source.folder, add_pooling_layer=False)
    model.train(False)
    with torch.inference_mode():
        states = model(torch.from_numpy(ids).long(), output_hidden_states=True).hidden_states
    return [state[0].abs().max(dim=0).values.numpy() for state in states[:-1]]


@pytest.mark.parametrize("turn", [1, -1])
def test_ranges_are_the_largest_of_all_batches(trained: TrainedModel, rows: list[Ids], turn: int) -> None:
    """Each batch has channels with a larger value than the other; their order does not matter."""
    first, second = (largest_by_layer(trained, ids) for ids in rows)
    assert all(np.any(a > b) and np.any(a < b) for a, b in zip(first, second, strict=True))
    found = input_ranges(trained, iter(rows[::turn]))
    for index, (a, b) in enumerate(zip(first, second, strict=True)):
        for name in INPUTS:
            np.testing.assert_allclose(found[f"layer_{index}/attention/{name}"], np.maximum(a, b), rtol=1e-3)


def test_every_linear_layer_has_a_range_per_input(trained: TrainedModel, rows: list[Ids]) -> None:
    found = input_ranges(trained, iter(rows[:1]))
    width, intermediate = trained.config.width, trained.config.intermediate
    inputs = {
        **{f"attention/{name}": width for name in (*INPUTS, "output")},
        "feed_forward/intermediate": width,
        "feed_forward/output": intermediate,
    }
    expected = {f"layer_{index}/{name}": (size,) for index in range(2) for name, size in inputs.items()}
    assert {name: of_layer.shape for name, of_layer in found.items()} == expected
    assert all(np.all(of_layer > 0) for name, of_layer in found.items() if "feed_forward/output" not in name)


def test_a_batch_has_the_ranges_of_its_rows(trained: TrainedModel, rows: list[Ids]) -> None:
    """Two rows of one length together are as large as the larger of them."""
    together = input_ranges(trained, iter([np.concatenate(rows)]))
    alone = input_ranges(trained, iter(rows))
    for name, of_layer in together.items():
        np.testing.assert_allclose(of_layer, alone[name], rtol=1e-5)
