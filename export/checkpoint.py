"""A Hugging Face checkpoint -> its configuration, tokenizer and tensors. Nothing in it is ever executed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkclin.errors import OptionError
from sparkclin.export.errors import CheckpointError
from sparkclin.export.graph.ops import Array
from sparkclin.spark.storage import sha256_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TensorShape = tuple[int, ...]

TOKENIZER_FILES = (
    "config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "*.model",
)
"""Files that transformers may read for a tokenizer."""

# What an export reads in addition to the weights. Nothing else is fetched from a hub, and nothing in its folders.
HUB_FILES = (*TOKENIZER_FILES, "model.safetensors.index.json", "pytorch_model.bin.index.json")
HUB_FOLDERS = "*/*"
# The first that there is holds the weights.
WEIGHT_FILES = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
VOCABULARIES = "vocab.json and merges.txt, or spiece.model"
# Prefixes of all names where a wrapper was saved in place of the model: DataParallel's and that of torch.compile().
WRAPPERS = ("module.", "_orig_mod.")
# Names that TensorFlow-era checkpoints use for a layer norm's weight and bias.
LEGACY_ENDINGS = {".gamma": ".weight", ".beta": ".bias"}


@dataclass(frozen=True, kw_only=True)
class HubName:
    """A model on the hub. `revision` is a branch, a tag or a commit; None is the default branch."""

    hub_id: str
    revision: str | None = None

    @classmethod
    def parse(cls, name: str) -> HubName:
        """Read `id` or `id@revision`; an id has no @."""
        hub_id, _, revision = name.partition("@")
        return cls(hub_id=hub_id, revision=revision or None)

    def __str__(self) -> str:
        return self.hub_id if self.revision is None else f"{self.hub_id}@{self.revision}"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Files of a model: `source` is a folder's name or `id@commit`, `folder` the directory that holds them."""

    source: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Found):
    """A checkpoint as it was read. `tokenizer` are the files of its tokenizer, by default the checkpoint's own."""

    tokenizer: Found
    config: dict[str, Any]
    tensors: dict[str, Array]
    sha256: dict[str, str]

    def tokenizer_json(self) -> str:
        """Return the fast tokenizer, as the `tokenizers` library writes it. Raise what fast_tokenizer() raises."""
        text: str = self.fast_tokenizer().to_str()
        return text

    def fast_tokenizer(self) -> Tokenizer:
        """Return the fast tokenizer that transformers loads from the tokenizer's files.

        Raise CheckpointError if transformers finds no fast tokenizer, or one without its vocabulary.
        """
        from transformers import AutoConfig, AutoTokenizer

        source = self.tokenizer.source
        remedy = (
            f"Add its tokenizer.json or vocabulary files ({VOCABULARIES}), or name the tokenizer that the model was "
            "trained with by --tokenizer NAME_OR_FOLDER."
        )
        is_own = self.tokenizer.folder == self.folder
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                self.tokenizer.folder,
                # A folder of vocabulary files alone does not name the model type by which a class is chosen.
                config=None if is_own else AutoConfig.from_pretrained(self.folder),
                use_fast=True,
                trust_remote_code=False,
            )
        except Exception as error:  # a missing or damaged file comes in many types
            raise CheckpointError(
                f"{source} has no tokenizer that transformers reads ({type(error).__name__}). {remedy}"
            ) from error
        backend: Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise CheckpointError(f"{source} has no fast tokenizer. {remedy}")
        special = {str(piece) for piece in backend.get_added_tokens_decoder().values()}
        # Without a vocabulary's file transformers makes a tokenizer of special pieces, and says nothing.
        if backend.get_vocab().keys() <= special:
            raise CheckpointError(f"{source} has a tokenizer of nothing but special pieces. {remedy}")
        return backend


def read(source: str, *, revision: str | None = None, tokenizer: str | None = None) -> Checkpoint:
    """Read a local folder, or fetch a hub id into the Hugging Face cache and read it from there. `tokenizer` is the
    folder or hub id of a tokenizer that takes the place of the checkpoint's own.

    A hub id may have a `revision`, here or as `id@revision`. Raises OptionError for a revision of anything else, and
    CheckpointError if the hub does not hand it out, or the configuration or the weights are missing.
    """
    if problems := revision_problems(source, revision):
        raise OptionError("; ".join(problems) + ".")
    found = find(source, revision=revision)
    read = read_folder(found.folder, source=found.source)
    return read if tokenizer is None else replace(read, tokenizer=find(tokenizer, weights=False))


def find(source: str, *, revision: str | None = None, weights: bool = True) -> Found:
    """Return the files of a local folder, or of a hub id, which is fetched into the Hugging Face cache first."""
    folder = Path(source)
    if folder.is_dir():
        return Found(source=folder.resolve().name, folder=folder)
    name = HubName.parse(source)
    name = replace(name, revision=revision or name.revision)
    folder = fetch(name, weights=weights)
    return Found(source=str(replace(name, revision=folder.name)), folder=folder)


def revision_problems(source: str, revision: str | None) -> list[str]:
    """Return the reasons why `source` has no such revision, each with a remedy."""
    if revision is None:
        return []
    if not revision:
        return ["--revision is empty: give it a branch, tag or commit of the hub id, or leave it out"]
    if Path(source).is_dir():
        return [f"--revision {revision!r}: {source} is a folder here, and only a hub id has revisions; leave it out"]
    if HubName.parse(source).revision:
        return [f"--revision {revision!r}: {source} names a revision already; give one of the two"]
    return []


def read_folder(folder: Path, *, source: str) -> Checkpoint:
    """Read a folder; raise CheckpointError if its configuration or its weights are missing."""
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise CheckpointError(f"{source} has no config.json: expected a checkpoint folder as transformers saves it.")
    weight_files = find_weights(folder, source=source)
    tensors: dict[str, Array] = {}
    for file in weight_files:
        tensors.update(read_tensors(file))
    hashed = [config_file, *weight_files]
    return Checkpoint(
        source=source,
        folder=folder,
        tokenizer=Found(source=source, folder=folder),
        config=json.loads(config_file.read_text(encoding="utf-8")),
        tensors={canonical(name): array for name, array in unwrapped(tensors).items()},
        sha256={file.name: sha256_of(file) for file in hashed},
    )


def fetch(name: HubName, *, weights: bool = True) -> Path:
    """Return a folder with the files that an export reads; its name is the commit that they are of.

    Of several formats of the weights only the one that is read is fetched; without `weights` only the tokenizer's files
    are. Files that are in the cache already are not fetched again. Raises CheckpointError if the hub does not hand the
    model out.
    """
    from huggingface_hub.errors import RevisionNotFoundError

    try:
        folder = download(name, HUB_FILES if weights else TOKENIZER_FILES)
        if not weights:
            return folder
        names = names_of(name.hub_id, folder)
        stored = next((file for file in WEIGHT_FILES if file in names), None)
        if stored:
            download(replace(name, revision=folder.name), weight_names(folder, stored))
    except CheckpointError:
        raise
    except RevisionNotFoundError as error:
        raise CheckpointError(
            f"{name.hub_id!r} has no revision {name.revision or 'main'!r} on the hub: expected a branch, a tag or a "
            "commit. The model's page on the hub lists them under Files."
        ) from error
    except Exception as error:  # the hub client has a dozen unrelated error types
        at = f" at revision {name.revision!r}" if name.revision else ""
        raise CheckpointError(
            f"{name.hub_id!r} is neither a folder here nor a model that the hub handed out{at} "
            f"({type(error).__name__}). Check the name. If the download broke, run this again: files that came whole "
            "are not fetched again. Without internet, copy the checkpoint's folder to this machine and give its path."
        ) from error
    return folder


def download(name: HubName, files: Sequence[str]) -> Path:
    """The snapshot's folder, after `files` (names or patterns) were fetched into it as far as the hub has them."""
    from huggingface_hub import snapshot_download

    folder = snapshot_download(
        name.hub_id, revision=name.revision, allow_patterns=list(files), ignore_patterns=HUB_FOLDERS
    )
    return Path(folder)


def names_of(hub_id: str, folder: Path) -> set[str]:
    """The names of all files that the hub has in the commit of a snapshot's folder."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return {file.path for file in get_cached_repo_tree(hub_id, revision=folder.name)}
    except CachedRepoTreeNotFoundError:  # offline, and an older client filled the cache: it holds all that can be had
        return {path.name for path in folder.iterdir()}


def find_weights(folder: Path, *, source: str) -> list[Path]:
    """The files that hold the weights: safetensors where there are any, a PyTorch file otherwise."""
    found = next((name for name in WEIGHT_FILES if (folder / name).is_file()), None)
    if found is None:
        raise CheckpointError(f"{source} has no weights: expected one of {', '.join(WEIGHT_FILES)}.")
    names = weight_names(folder, found)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(f"{source} lacks the shards {', '.join(missing)} that {found} names.")
    return [folder / name for name in names]


def weight_names(folder: Path, stored: str) -> list[str]:
    """The names of the files that hold the weights: `stored`, one of WEIGHT_FILES, or the shards of that index.

    Raises CheckpointError for an index that names a file elsewhere.
    """
    if not stored.endswith(".json"):
        return [stored]
    shards = sorted(set(json.loads((folder / stored).read_text(encoding="utf-8"))["weight_map"].values()))
    # The index is part of an untrusted download: a shard is a file name, never a path.
    outside = [name for name in shards if Path(name).name != name]
    if outside:
        raise CheckpointError(f"{stored} names files outside the checkpoint: {', '.join(outside)}.")
    return shards


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


def unwrapped(tensors: dict[str, Array]) -> dict[str, Array]:
    """Return the tensors by their names in the model: without the prefix of a wrapper, if all names have it."""
    prefix = next((prefix for prefix in WRAPPERS if all(name.startswith(prefix) for name in tensors)), None)
    if prefix is None or not tensors:
        return tensors
    return unwrapped({name.removeprefix(prefix): array for name, array in tensors.items()})


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

    A name may begin with one of `prefixes`. Raises CheckpointError that names every tensor that is missing, that is
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
