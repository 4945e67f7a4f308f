"""A Hugging Face checkpoint -> its configuration, tokenizer and tensors. Nothing in it is ever executed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import CheckpointError
from export.graph.ops import Array
from sparkclin.models.bundle import sha256_of

TensorShape = tuple[int, ...]

# What an export reads; nothing else is fetched from a hub.
HUB_FILES = ("*.json", "*.txt", "*.model", "*.safetensors", "pytorch_model*.bin")
WEIGHT_FILES = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
# Names that TensorFlow-era checkpoints use for a layer norm's weight and bias.
LEGACY_ENDINGS = {".gamma": ".weight", ".beta": ".bias"}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint as it was read: `source` is how the user named it, `folder` where its files lie."""

    source: str
    folder: Path
    config: dict[str, Any]
    tensors: dict[str, Array]
    sha256: dict[str, str]

    def tokenizer_json(self) -> str:
        """The checkpoint's fast tokenizer, as the `tokenizers` library writes it."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.folder, use_fast=True, trust_remote_code=False)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise CheckpointError(f"{self.source} has no fast tokenizer. Add its tokenizer.json or vocabulary files.")
        text: str = backend.to_str()
        return text


def read(source: str) -> Checkpoint:
    """Reads a local folder, or fetches a hub id into the Hugging Face cache and reads it from there.

    Raises CheckpointError where there is no configuration or no weights.
    """
    folder = Path(source) if Path(source).is_dir() else fetch(source)
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise CheckpointError(f"{source} has no config.json: expected a checkpoint folder as transformers saves it.")
    weight_files = find_weights(folder, source=source)
    tensors: dict[str, Array] = {}
    for file in weight_files:
        tensors.update(read_tensors(file))
    hashed = [config_file, *weight_files]
    return Checkpoint(
        source=source if folder != Path(source) else folder.resolve().name,
        folder=folder,
        config=json.loads(config_file.read_text(encoding="utf-8")),
        tensors={canonical(name): array for name, array in tensors.items()},
        sha256={file.name: sha256_of(file) for file in hashed},
    )


def fetch(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(HUB_FILES)))
    except Exception as error:  # the hub client has a dozen unrelated error types
        raise CheckpointError(
            f"{hub_id!r} is neither a folder here nor a model that the hub handed out ({type(error).__name__}). "
            "Without internet, copy the checkpoint's folder to this machine and give its path."
        ) from error


def find_weights(folder: Path, *, source: str) -> list[Path]:
    """The files that hold the weights: safetensors where there are any, a PyTorch file otherwise."""
    found = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)
    if found is None:
        raise CheckpointError(f"{source} has no weights: expected one of {', '.join(WEIGHT_FILES)}.")
    if found.suffix != ".json":
        return [found]
    shards = sorted(set(json.loads(found.read_text(encoding="utf-8"))["weight_map"].values()))
    # The index is part of an untrusted download: a shard is a file name, never a path.
    outside = [name for name in shards if Path(name).name != name]
    if outside:
        raise CheckpointError(f"{found.name} names files outside the checkpoint: {', '.join(outside)}.")
    missing = [name for name in shards if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(f"{source} lacks the shards {', '.join(missing)} that {found.name} names.")
    return [folder / name for name in shards]


def read_tensors(file: Path) -> dict[str, Array]:
    """Name -> fp32 array. A PyTorch file is read with `weights_only`: tensors, never objects."""
    import torch

    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(file)
    else:
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # unpickling errors come in many types
            raise CheckpointError(
                f"{file.name} holds more than tensors, or is damaged ({type(error).__name__}): it is not loaded, "
                "since unpickling can run any code. Save the model again as safetensors."
            ) from error
    return {name: tensor.to(torch.float32).numpy() for name, tensor in state.items()}


def canonical(name: str) -> str:
    for old, new in LEGACY_ENDINGS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def account_for(
    checkpoint: Checkpoint,
    *,
    needed: Mapping[str, TensorShape],
    unused: Mapping[str, TensorShape],
    prefixes: Sequence[str],
) -> dict[str, Array]:
    """The `needed` tensors by name without prefix, after every tensor of the checkpoint was accounted for.

    One of `prefixes` may stand before a name. Raises CheckpointError that names every tensor that is missing, that is
    in neither list, or that has another shape.
    """
    prefix = max(prefixes, key=lambda p: sum(p + name in checkpoint.tensors for name in needed))
    named = {name.removeprefix(prefix): array for name, array in checkpoint.tensors.items()}
    expected = {**needed, **unused}
    problems = [f"missing {prefix}{name} {needed[name]}" for name in needed.keys() - named.keys()]
    problems += [f"unexpected {name} {named[name].shape}" for name in named.keys() - expected.keys()]
    problems += [
        f"{name} has shape {named[name].shape}, expected {expected[name]}"
        for name in named.keys() & expected.keys()
        if tuple(named[name].shape) != expected[name]
    ]
    if problems:
        raise CheckpointError(
            f"{checkpoint.source} does not hold the tensors that its config.json describes:\n  "
            + "\n  ".join(sorted(problems))
            + "\nCheck that config.json belongs to these weights."
        )
    return {name: named[name] for name in needed}
