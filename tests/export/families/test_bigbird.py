"""BigBird as transformers runs it in evaluation mode, and its configuration, tensors and tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BigBirdConfig, BigBirdModel

from sparkclin.export import checkpoint
from sparkclin.export.assets import RowEnds
from sparkclin.export.checkpoint import Checkpoint
from sparkclin.export.engines import Vectors
from sparkclin.export.errors import CheckpointError
from sparkclin.export.families import bert, bigbird
from sparkclin.export.graph.attention import FullAttention
from sparkclin.export.graph.block_sparse import BlockSparse
from sparkclin.export.trained import TrainedModel
from sparkclin.schema import ANSWER
from testkit.checkpoints import random_bigbird

ENDS = RowEnds(cls_id=4, sep_id=5)
BLOCKS = BlockSparse(block_size=4, random_blocks=1)
LONG = BLOCKS.dense_limit + 7
N_PIECES = 30
"""Ids below this are in every vocabulary."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return checkpoint.read(str(random_bigbird(tmp_path_factory.mktemp("checkpoint"))))


@pytest.fixture
def fresh(source: Checkpoint) -> Callable[[], BigBirdModel]:
    """transformers' model, as it is before it has read a row."""

    def make() -> BigBirdModel:
        model = BigBirdModel(BigBirdConfig.from_dict(source.config), add_pooling_layer=False)
        model.train(False)
        tensors = {name: torch.from_numpy(array) for name, array in TrainedModel.of(source).tensors.items()}
        assert not model.load_state_dict(tensors, strict=False).missing_keys
        return model

    return make


def vectors(model: BigBirdModel, ids: Any, mask: Any = None) -> Vectors:
    with torch.inference_mode():
        given = None if mask is None else torch.as_tensor(mask)
        output: Vectors = model(torch.as_tensor(ids), attention_mask=given).last_hidden_state.numpy()
    return output


def row(length: int) -> np.typing.NDArray[np.int64]:
    return np.random.default_rng(length).integers(7, N_PIECES, (1, length))


def test_the_configuration_is_read(source: Checkpoint) -> None:
    config = bigbird.parse_config(source.config, ENDS)
    assert (config.width, config.heads, config.attention) == (32, 4, (BLOCKS, BLOCKS))
    assert (config.max_row, config.max_pieces, config.first_position) == (200, 198, 0)
    assert (config.cls_id, config.sep_id, config.pad_id, config.activation) == (4, 5, 0, "gelu_new")


def test_what_a_configuration_leaves_out_is_as_in_transformers(source: Checkpoint) -> None:
    least = {name: source.config[name] for name in bert.REQUIRED} | {"max_position_embeddings": 4096}
    defaults = BigBirdConfig()
    found = bigbird.parse_config(least, ENDS)
    assert found.attention[0] == BlockSparse(block_size=defaults.block_size, random_blocks=defaults.num_random_blocks)
    assert (found.activation, found.types) == (defaults.hidden_act, defaults.type_vocab_size)
    assert (found.layer_norm_eps, found.pad_id) == (defaults.layer_norm_eps, defaults.pad_token_id)


def test_a_model_of_full_attention_has_it_at_every_length(source: Checkpoint) -> None:
    config = bigbird.parse_config({**source.config, "attention_type": "original_full"}, ENDS)
    assert set(config.attention) == {FullAttention()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention_type": "flash"}, "attention_type 'flash' is not 'block_sparse' or 'original_full'"),
        ({"block_size": 0}, "block_size 0"),
        ({"block_size": 6}, "max_position_embeddings 200 is not a multiple of block_size 6"),
        ({"num_random_blocks": -1}, "num_random_blocks -1"),
        ({"use_bias": False}, "use_bias is false"),
        ({"rescale_embeddings": True}, "rescale_embeddings is true"),
        ({"hidden_act": "mish"}, "hidden_act 'mish' is not one of gelu"),
        ({"pad_token_id": 500}, r"pad_token_id 500 is not one of the \d+ ids"),
        ({"type_vocab_size": 0}, "type_vocab_size 0 is less than 1"),
    ],
)
def test_what_cannot_be_exported_is_said(source: Checkpoint, change: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        bigbird.parse_config({**source.config, **change}, ENDS)


def test_a_question_needs_two_token_types(source: Checkpoint) -> None:
    one_type = {**source.config, "type_vocab_size": 1}
    assert bigbird.parse_config(one_type, ENDS).types == 1
    with pytest.raises(CheckpointError, match="type_vocab_size 1 is less than 2"):
        bigbird.parse_config(one_type, ENDS, task=ANSWER)


def test_a_row_of_up_to_the_limit_switches_transformers_to_full_attention_for_good(
    fresh: Callable[[], BigBirdModel],
) -> None:
    """The limit is that of BlockSparse; this is why a reference needs a model for each kind of attention."""
    expected = vectors(fresh(), row(LONG))
    model = fresh()
    vectors(model, row(BLOCKS.dense_limit + 1))
    np.testing.assert_array_equal(vectors(model, row(LONG)), expected)
    vectors(model, row(BLOCKS.dense_limit))
    assert np.abs(vectors(model, row(LONG)) - expected).max() > 0.01


def test_in_a_batch_of_transformers_a_padded_row_has_another_last_block(fresh: Callable[[], BigBirdModel]) -> None:
    """This is why the reference of a row is the row alone."""
    alone = vectors(fresh(), row(LONG))
    ids, mask = np.zeros((1, LONG + 40), np.int64), np.zeros((1, LONG + 40), np.int64)
    ids[:, :LONG], mask[:, :LONG] = row(LONG), 1
    assert np.abs(vectors(fresh(), ids, mask)[:, :LONG] - alone).max() > 0.01


def test_the_random_blocks_of_transformers_are_block_0_in_evaluation_mode(fresh: Callable[[], BigBirdModel]) -> None:
    """Once more for each, without a mask: which the fresh model's attention plan shows."""
    attention = fresh().encoder.layer[0].attention.self
    plan = attention._bigbird_block_rand_mask_with_head(
        from_seq_length=36, to_seq_length=36, from_block_size=4, to_block_size=4, num_heads=4,
        plan_from_length=[36], plan_num_rand_blocks=[1],
    )  # fmt: skip
    assert np.unique(np.stack(plan)).tolist() == [0]


def test_a_reference_row_does_not_depend_on_its_batch(source: Checkpoint, fresh: Callable[[], BigBirdModel]) -> None:
    reference = TrainedModel.of(source).reference()
    ids, mask = np.zeros((3, 150), np.int32), np.zeros((3, 150), np.int32)
    for index, length in enumerate((150, LONG, 20)):
        ids[index, :length], mask[index, :length] = row(length), 1
    found = reference(ids, mask)
    for index, length in enumerate((150, LONG, 20)):
        np.testing.assert_allclose(found[index, :length], vectors(fresh(), row(length))[0], atol=1e-6, rtol=0)


def test_every_head_of_pretraining_may_be_there(source: Checkpoint) -> None:
    """BigBirdForMaskedLM saves what vectors do not need; TrainedModel.of() accounts for it."""
    assert any(name.startswith("cls.predictions") for name in source.tensors)
    assert (
        TrainedModel.of(source).tensors.keys() == bert.encoder_shapes(bigbird.parse_config(source.config, ENDS)).keys()
    )
