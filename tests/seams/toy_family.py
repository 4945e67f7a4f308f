"""A family that the package does not know: BERT's full attention, names of its own, and a WordPiece tokenizer.

Special pieces are `[PAD]` 0, `[UNK]` 1, `[CLS]` 2 and `[SEP]` 3, positions begin at 0, and token types are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from sparkclin.export.assets import OrdinaryAssets, RowEnds, no_ordinary_pieces
from sparkclin.export.checkpoint import TensorShape
from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.families.family import Family, Reference
from sparkclin.export.graph.attention import FullAttention
from sparkclin.export.graph.encoder import AttentionWeights, EncoderConfig, EncoderWeights, LayerWeights, Linear, Norm
from sparkclin.export.graph.ops import Array

SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
NAMES = {
    "embeddings.word_embeddings": "pieces",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "types",
    "embeddings.LayerNorm": "first_norm",
    "encoder.layer.": "block.",
    "attention.self.": "",
    "attention.output.dense": "out",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "inner",
    "output.dense": "outer",
    "output.LayerNorm": "norm2",
}
"""BERT's names -> the toy's."""


def parse_config(
    config: Mapping[str, Any],
    ends: RowEnds,
    *,
    task: str = "",  # noqa: ARG001
    global_attention: str | None = None,  # noqa: ARG001
) -> EncoderConfig:
    return EncoderConfig(
        vocab_size=config["n_pieces"],
        width=config["width"],
        heads=config["heads"],
        intermediate=config["inner"],
        positions=config["positions"],
        first_position=0,
        padding_position=0,
        types=2,
        pad_id=0,
        cls_id=ends.cls_id,
        sep_id=ends.sep_id,
        layer_norm_eps=1e-12,
        activation="gelu",
        attention=(FullAttention(),) * config["blocks"],
        has_token_types=True,
    )


def bert_config(config: Mapping[str, Any]) -> BertConfig:
    return BertConfig(
        vocab_size=config["n_pieces"],
        hidden_size=config["width"],
        num_attention_heads=config["heads"],
        intermediate_size=config["inner"],
        max_position_embeddings=config["positions"],
        num_hidden_layers=config["blocks"],
        initializer_range=0.2,
    )


def bert(raw: Mapping[str, Any]) -> BertModel:
    torch.manual_seed(0)
    model = BertModel(bert_config(raw), add_pooling_layer=False)
    model.train(False)
    return model


def toy_name(name: str) -> str:
    for old, new in NAMES.items():
        name = name.replace(old, new)
    return name


def shapes(config: EncoderConfig) -> dict[str, TensorShape]:
    width, inner = config.width, config.intermediate
    found: dict[str, TensorShape] = {
        "pieces.weight": (config.vocab_size, width),
        "positions.weight": (config.positions, width),
        "types.weight": (config.types, width),
    }
    layers = {"query": (width, width), "key": (width, width), "value": (width, width), "out": (width, width)}
    layers |= {"inner": (inner, width), "outer": (width, inner)}
    norms = ["first_norm"]
    for index in range(config.layers):
        for name, shape in layers.items():
            found |= {f"block.{index}.{name}.weight": shape, f"block.{index}.{name}.bias": shape[:1]}
        norms += [f"block.{index}.norm1", f"block.{index}.norm2"]
    return found | {f"{norm}.{kind}": (width,) for norm in norms for kind in ("weight", "bias")}


def load(tensors: Mapping[str, Array], config: EncoderConfig) -> EncoderWeights:
    def linear(name: str) -> Linear:
        return Linear.read(tensors, name)

    def norm(name: str) -> Norm:
        return Norm(scale=tensors[f"{name}.weight"], shift=tensors[f"{name}.bias"])

    def layer(name: str) -> LayerWeights:
        projections = {kind: linear(f"{name}.{kind}") for kind in ("query", "key", "value")}
        return LayerWeights(
            attention=AttentionWeights.fold(**projections, output=linear(f"{name}.out"), heads=config.heads),
            attention_norm=norm(f"{name}.norm1"),
            intermediate=linear(f"{name}.inner"),
            output=linear(f"{name}.outer"),
            output_norm=norm(f"{name}.norm2"),
        )

    return EncoderWeights(
        pieces=tensors["pieces.weight"],
        positions=tensors["positions.weight"],
        types=tensors["types.weight"],
        embeddings_norm=norm("first_norm"),
        layers=tuple(layer(f"block.{index}") for index in range(config.layers)),
    )


def ordinary_assets(_tokenizer_json: str, config: EncoderConfig) -> OrdinaryAssets:
    return no_ordinary_pieces(
        vocab_size=config.vocab_size, cls_id=config.cls_id, sep_id=config.sep_id, pad_id=config.pad_id
    )


def reference(raw: Mapping[str, Any], tensors: Mapping[str, Array], _config: EncoderConfig) -> Reference:
    model = bert(raw)
    state = {
        name: torch.from_numpy(tensors[toy_name(name)]) for name in model.state_dict() if "position_ids" not in name
    }
    model.load_state_dict(state, strict=True)

    def run(ids: Ids, mask: Ids) -> Vectors:
        return bert_vectors(model, ids, mask=mask)

    return run


def bert_vectors(model: BertModel, ids: Ids, *, mask: Ids | None = None, types: Ids | None = None) -> Vectors:
    """(R, P) -> (R, P, W)"""
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    with torch.inference_mode():
        output = model(**{name: torch.from_numpy(array).long() for name, array in given.items() if array is not None})
    vectors: Vectors = output.last_hidden_state.numpy()
    return vectors


TOY = Family(
    model_type="toy",
    parse_config=parse_config,
    prefixes=("",),
    shapes=shapes,
    unused_shapes=lambda _config: {},
    load=load,
    ordinary_assets=ordinary_assets,
    reference=reference,
    lengths=(1, 2, 5, 64, 65),
)


def toy_tokenizer(texts: list[str], *, vocab_size: int) -> str:
    """The tokenizer.json of a lower-casing WordPiece tokenizer, trained on `texts`."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=vocab_size, special_tokens=list(SPECIAL_PIECES), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return str(tokenizer.to_str())


def toy_checkpoint(folder: Path, *, tokenizer_json: str) -> Path:
    """A random checkpoint, written into `folder`."""
    size = Tokenizer.from_str(tokenizer_json).get_vocab_size()
    raw = {"model_type": TOY.model_type, "architectures": ["ToyModel"], "n_pieces": size}
    raw |= {"width": 32, "heads": 4, "inner": 48, "positions": 130, "blocks": 2}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(raw), encoding="utf-8")
    state = {toy_name(name): tensor for name, tensor in bert(raw).state_dict().items() if "position_ids" not in name}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    cut = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL_PIECES, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(tokenizer_json), **cut).save_pretrained(folder)
    return folder
