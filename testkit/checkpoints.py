"""Random checkpoints, saved as transformers saves them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer
from transformers import (
    AutoTokenizer,
    BigBirdConfig,
    BigBirdForMaskedLM,
    LongformerConfig,
    LongformerForMaskedLM,
    PretrainedConfig,
    PreTrainedModel,
)

from testkit.tokenizers import (
    BIGBIRD_ROLES,
    ROBERTA_ROLES,
    for_transformers,
    read_bigbird_tokenizer,
    train_sentencepiece,
    train_tokenizer,
    train_unigram,
)

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "type_vocab_size": 2, "initializer_range": 0.2,
}  # fmt: skip
TEXTS = ["the patient was seen in the clinic", "blood pressure 120/80, he's well", "no acute distress was noted today"]
NOTES = {
    "short": "He's well.\n\nBP 120/80,  on aspirin (81mg)",
    "long": " ".join(TEXTS) * 12,
    "emoji": "🩺 fever 🤒 and chills",
    "empty": " \n",
    "null": None,
}
"""With all that is hard for a run: spaces, several windows, code points, nothing at all."""


def random_checkpoint(
    folder: Path,
    *,
    tokenizer_json: str | None = None,
    vocab_size: int = 400,
    positions: int = 200,
    model_class: type[PreTrainedModel] = LongformerForMaskedLM,
    **settings: object,
) -> Path:
    """A small checkpoint that shows what an export gets wrong; `settings` are fields of LongformerConfig.

    Weights are large, so that a wrong mask shows, and no bias is 0, so that a forgotten one does.
    """
    tokenizer_json = tokenizer_json or train_tokenizer(TEXTS, vocab_size=vocab_size)
    size = {"vocab_size": vocab_size, "max_position_embeddings": positions}
    config = LongformerConfig(**{**SMALL, **size, "attention_window": [8, 20], **settings})
    return save_checkpoint(with_biases(random_model(config, model_class)), folder, tokenizer_json)


def random_bigbird(
    folder: Path,
    *,
    tokenizer_json: str | None = None,
    model_class: type[PreTrainedModel] = BigBirdForMaskedLM,
    **settings: object,
) -> Path:
    """The same of BigBird: blocks of 4 and one random one, so that rows of more than 28 pieces go in blocks."""
    tokenizer_json = tokenizer_json or train_unigram(TEXTS)
    size = {"vocab_size": Tokenizer.from_str(tokenizer_json).get_vocab_size(), "max_position_embeddings": 200}
    blocks = {"block_size": 4, "num_random_blocks": 1}
    config = BigBirdConfig(**{**SMALL, **size, **blocks, "sep_token_id": 5, **settings})
    return save_checkpoint(with_biases(random_model(config, model_class)), folder, tokenizer_json)


def longformer_of_2021(folder: Path, *, initializer_range: float = 0.2) -> Path:
    """The same Longformer in the files of the time of Clinical-Longformer: `pytorch_model.bin`, `vocab.json` and
    `merges.txt`, neither safetensors nor tokenizer.json."""
    random_checkpoint(folder, initializer_range=initializer_range)
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    return with_files_of_2021(folder, ROBERTA_ROLES, tokenizer="LongformerTokenizer")


def bigbird_of_2021(folder: Path) -> Path:
    """The same of BigBird: `pytorch_model.bin` and `spiece.model`."""
    folder.mkdir(parents=True, exist_ok=True)
    spiece_model = folder / "spiece.model"
    spiece_model.write_bytes(train_sentencepiece(TEXTS))
    random_bigbird(folder, tokenizer_json=read_bigbird_tokenizer(spiece_model))
    return with_files_of_2021(folder, BIGBIRD_ROLES, tokenizer="BigBirdTokenizer")


def with_files_of_2021(folder: Path, roles: Mapping[str, str], *, tokenizer: str) -> Path:
    """The folder, which is changed, as transformers 4 saved one."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    for file in ("model.safetensors", "tokenizer.json"):
        (folder / file).unlink()
    mask = {"content": roles["mask_token"], "single_word": False, "lstrip": True, "rstrip": False, "normalized": True}
    files = {
        "special_tokens_map.json": {**roles, "mask_token": mask},
        "tokenizer_config.json": {
            **roles,
            "mask_token": {**mask, "__type": "AddedToken"},
            "special_tokens_map_file": None,
            "tokenizer_class": tokenizer,
        },
    }
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content), encoding="utf-8")
    return folder


def random_model(
    config: PretrainedConfig, model_class: type[PreTrainedModel] = LongformerForMaskedLM
) -> PreTrainedModel:
    """The same weights every time."""
    torch.manual_seed(0)
    return model_class(config)


def with_biases(model: PreTrainedModel) -> PreTrainedModel:
    """The model, which is changed, without a bias of 0."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    return model


def with_outliers(folder: Path, *, channels: Sequence[int] = (5, 60, 101), factor: float = 40.0) -> Path:
    """Change the checkpoint in `folder` and return it: the values of some channels become `factor` times larger, as in
    trained RoBERTa (Kovaleva et al., 2021; Dettmers et al., 2022).

    The normalisation of the embeddings makes them, and they stay: each further normalisation is scaled up so that the
    other channels keep their size. Layers that read the channels weigh them as much less. The last normalisation makes
    the channels small again, so that cosines of vectors show the error in all other channels.
    """
    state = load_file(folder / "model.safetensors")
    chosen = list(channels)
    norms = [name for name in state if name.endswith("LayerNorm.weight") and "lm_head" not in name]
    layers = [int(found[1]) for name in norms if (found := re.search(r"layer\.(\d+)\.", name))]
    width = len(state[norms[0]])
    beside = (1 + len(chosen) * factor**2 / width) ** 0.5
    for name in norms:
        bias = name.replace("weight", "bias")
        if "embeddings" in name:
            state[name][chosen] *= factor
            state[bias][chosen] *= factor
            continue
        state[name] *= beside
        if name.endswith(f"layer.{max(layers)}.output.LayerNorm.weight"):
            state[name][chosen] /= factor
        else:
            state[bias][chosen] *= factor
    readers = re.compile(r"self\.(query|key|value)(_global)?\.weight|intermediate\.dense\.weight")
    for name in filter(readers.search, state):
        state[name][:, chosen] /= factor
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def add_tokens(folder: Path, *tokens: str | AddedToken) -> Path:
    """Add tokens to the tokenizer of the checkpoint in `folder`, which is changed; its embedding matrix stays as it
    is."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(list(tokens))
    tokenizer.save_pretrained(folder)
    return folder


def save_checkpoint(model: PreTrainedModel, folder: Path, tokenizer_json: str) -> Path:
    """Write the model and its tokenizer into `folder`, which is returned."""
    model.save_pretrained(folder)
    for_transformers(tokenizer_json).save_pretrained(folder)
    return folder
