import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sparkclin.export import checkpoint
from sparkclin.export.errors import CheckpointError
from testkit.checkpoints import bigbird_of_2021, longformer_of_2021, random_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def bare_copy(folder: Path, target: Path) -> Path:
    target.mkdir()
    (target / "config.json").write_bytes((folder / "config.json").read_bytes())
    return target


def assert_same_tensors(found: checkpoint.Checkpoint, expected: checkpoint.Checkpoint) -> None:
    assert found.tensors.keys() == expected.tensors.keys()
    for name, array in expected.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], array)


def test_a_pytorch_file_gives_the_same_tensors_as_safetensors(folder: Path, tmp_path: Path) -> None:
    other = bare_copy(folder, tmp_path / "bin")
    torch.save(load_file(folder / "model.safetensors"), other / "pytorch_model.bin")
    assert_same_tensors(checkpoint.read(str(other)), checkpoint.read(str(folder)))


def test_shards_are_read_together(folder: Path, tmp_path: Path) -> None:
    other = bare_copy(folder, tmp_path / "sharded")
    state = load_file(folder / "model.safetensors")
    names = sorted(state)
    halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: state[name] for name in part}, other / file)
    weight_map = {name: file for file, part in halves.items() for name in part}
    (other / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert_same_tensors(checkpoint.read(str(other)), checkpoint.read(str(folder)))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_names_of_a_wrapped_model_are_those_of_the_model(folder: Path, tmp_path: Path, prefix: str) -> None:
    other = bare_copy(folder, tmp_path / "wrapped")
    state = load_file(folder / "model.safetensors")
    save_file({prefix + name: tensor for name, tensor in state.items()}, other / "model.safetensors")
    assert_same_tensors(checkpoint.read(str(other)), checkpoint.read(str(folder)))


def test_a_prefix_that_only_some_names_have_stays(folder: Path, tmp_path: Path) -> None:
    other = bare_copy(folder, tmp_path / "partly")
    save_file({"module.x": torch.ones(1), "y": torch.ones(1)}, other / "model.safetensors")
    assert checkpoint.read(str(other)).tensors.keys() == {"module.x", "y"}


def test_a_shard_outside_the_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    other = bare_copy(folder, tmp_path / "outside")
    (other / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    with pytest.raises(CheckpointError, match=r"outside the checkpoint: \.\./secret\.safetensors"):
        checkpoint.read(str(other))


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.target), "w")


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(folder: Path, tmp_path: Path) -> None:
    other = bare_copy(folder, tmp_path / "bomb")
    (other / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Bomb(tmp_path / "went-off")}))
    with pytest.raises(CheckpointError, match="more than tensors"):
        checkpoint.read(str(other))
    assert not (tmp_path / "went-off").exists()


def test_half_precision_and_old_names_are_read(folder: Path, tmp_path: Path) -> None:
    other = bare_copy(folder, tmp_path / "old")
    state = {"x.LayerNorm.gamma": torch.tensor([0.5, 0.25]).bfloat16(), "x.LayerNorm.beta": torch.tensor([1.0]).half()}
    save_file(state, other / "model.safetensors")
    tensors = checkpoint.read(str(other)).tensors
    assert {name: array.tolist() for name, array in tensors.items()} == {
        "x.LayerNorm.weight": [0.5, 0.25],
        "x.LayerNorm.bias": [1.0],
    }
    assert all(array.dtype == np.float32 for array in tensors.values())


def test_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        checkpoint.read(str(tmp_path))


def test_no_weights(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no weights: expected one of model\.safetensors\.index\.json"):
        checkpoint.read(str(bare_copy(folder, tmp_path / "empty")))


@pytest.mark.parametrize(
    ("make", "absent", "found"),
    [
        (longformer_of_2021, ("merges.txt",), "no tokenizer that transformers reads"),
        (longformer_of_2021, ("vocab.json", "merges.txt"), "a tokenizer of nothing but special pieces"),
        (bigbird_of_2021, ("spiece.model",), "a tokenizer of nothing but special pieces"),
    ],
)
def test_a_vocabulary_that_is_absent(
    make: Callable[[Path], Path], absent: tuple[str, ...], found: str, tmp_path: Path
) -> None:
    """Vectors of a tokenizer that knows no word would be compared with themselves, and pass."""
    folder = make(tmp_path)
    checkpoint.read(str(folder)).tokenizer_json()
    for file in absent:
        (folder / file).unlink()
    with pytest.raises(CheckpointError, match=f"has {found}.* Add its tokenizer.json or vocabulary files"):
        checkpoint.read(str(folder)).tokenizer_json()


def test_a_tokenizer_may_come_from_another_folder(folder: Path, tmp_path: Path) -> None:
    """A Trainer's folder may have weights and a configuration only."""
    trained = bare_copy(folder, tmp_path / "trained")
    (trained / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"trained has .* by --tokenizer NAME_OR_FOLDER"):
        checkpoint.read(str(trained)).tokenizer_json()
    read = checkpoint.read(str(trained), tokenizer=str(folder))
    assert read.tokenizer_json() == checkpoint.read(str(folder)).tokenizer_json()
    assert (read.source, read.tokenizer.source) == ("trained", folder.name)


def test_a_tokenizer_s_folder_needs_no_configuration(tmp_path: Path) -> None:
    """The checkpoint's configuration names the family."""
    whole, vocabulary = longformer_of_2021(tmp_path / "whole"), tmp_path / "vocabulary"
    vocabulary.mkdir()
    for name in ("vocab.json", "merges.txt"):
        (vocabulary / name).write_bytes((whole / name).read_bytes())
    read = checkpoint.read(str(whole), tokenizer=str(vocabulary))
    assert (
        json.loads(read.tokenizer_json())["model"] == json.loads(checkpoint.read(str(whole)).tokenizer_json())["model"]
    )


def test_a_tokenizer_that_is_not_there_names_the_option(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CheckpointError, match=r"empty has .* by --tokenizer NAME_OR_FOLDER"):
        checkpoint.read(str(folder), tokenizer=str(empty)).tokenizer_json()


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="neither a folder here nor a model that the hub handed out"):
        checkpoint.read("nobody/nothing")
