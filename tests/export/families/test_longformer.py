from dataclasses import replace

import numpy as np
import pytest

from sparkclin.export import checkpoint
from sparkclin.export.assets import RowEnds
from sparkclin.export.checkpoint import Checkpoint
from sparkclin.export.errors import CheckpointError
from sparkclin.export.families import longformer
from sparkclin.export.families.longformer import LONGFORMER
from sparkclin.export.graph.encoder import EncoderWeights
from sparkclin.export.graph.sliding_window import SlidingWindow
from sparkclin.export.trained import TrainedModel
from testkit.checkpoints import random_checkpoint

ENDS = RowEnds(cls_id=0, sep_id=2)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return checkpoint.read(str(random_checkpoint(tmp_path_factory.mktemp("checkpoint"))))


def test_the_configuration_is_read(source: Checkpoint) -> None:
    config = longformer.parse_config(source.config, ENDS)
    assert (config.width, config.heads, config.attention) == (32, 4, (SlidingWindow(4), SlidingWindow(10)))
    assert (config.max_row, config.max_pieces) == (198, 196)


def test_one_window_stands_for_all_layers(source: Checkpoint) -> None:
    assert longformer.parse_config({**source.config, "attention_window": 16}, ENDS).attention == (SlidingWindow(8),) * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention_window": [8]}, "1 entries for 2 layers"),
        ({"attention_window": [8, 7]}, "odd or non-positive"),
        ({"hidden_act": "mish"}, "hidden_act 'mish' is not one of gelu"),
        ({"num_attention_heads": 5}, "not a multiple of num_attention_heads 5"),
        ({"pad_token_id": None}, "pad_token_id None is not one of the 400 ids"),
        ({"pad_token_id": 300}, "max_position_embeddings 200 leaves no room for a piece"),
        ({"max_position_embeddings": 4}, "max_position_embeddings 4 leaves no room for a piece"),
        ({"position_embedding_type": "relative_key"}, "is not 'absolute'"),
    ],
)
def test_what_cannot_be_exported_is_said(source: Checkpoint, change: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        longformer.parse_config({**source.config, **change}, ENDS)


def test_missing_settings_are_named() -> None:
    with pytest.raises(CheckpointError, match="hidden_size, num_attention_heads"):
        longformer.parse_config({"vocab_size": 5}, ENDS)


def weights_of(source: Checkpoint) -> EncoderWeights:
    trained = TrainedModel.of(source)
    return trained.family.load(trained.tensors, trained.config)


@pytest.mark.parametrize("prefix", LONGFORMER.prefixes)
def test_all_prefixes_give_the_same_weights(source: Checkpoint, prefix: str) -> None:
    renamed = {name.replace("longformer.", prefix): array for name, array in source.tensors.items()}
    found, expected = weights_of(replace(source, tensors=renamed)), weights_of(source)
    np.testing.assert_array_equal(found.layers[1].attention.query.weight, expected.layers[1].attention.query.weight)
    np.testing.assert_array_equal(found.pieces, expected.pieces)


def test_every_tensor_that_does_not_fit_is_named_at_once(source: Checkpoint) -> None:
    tensors = dict(source.tensors)
    del tensors["longformer.encoder.layer.1.output.dense.bias"]
    tensors["longformer.encoder.layer.9.surprise"] = np.zeros((3,), np.float32)
    tensors["longformer.embeddings.LayerNorm.weight"] = np.zeros((5,), np.float32)
    with pytest.raises(CheckpointError) as caught:
        TrainedModel.of(replace(source, tensors=tensors))
    message = str(caught.value)
    assert "missing longformer.encoder.layer.1.output.dense.bias (32,)" in message
    assert "unexpected encoder.layer.9.surprise (3,)" in message
    assert "embeddings.LayerNorm.weight has shape (5,), expected (32,)" in message
