"""Checkpoints of a given size with random weights: speed does not depend on what a model has learned."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.tasks import ANSWER, Task
from sparkclin.text.windows import default_stride

STANDARD_DEVIATION = 0.02
PAD_ID = 1
SPECIAL_PIECES = 2
"""A row's first and its last."""


@dataclass(frozen=True, kw_only=True)
class Longformer:
    """A piece sees `window` neighbours and itself. The first pieces of a row may see all and be seen by all."""

    window: int
    unused_positions: ClassVar[int] = 2
    """RoBERTa leaves as many unused before the first."""

    def seen(self, length: int, *, n_global: int = 0) -> int:
        """How many pieces the pieces of a row see, all together. At a row's ends, too, a window counts as whole."""
        return n_global * length + (length - n_global) * min(self.window + 1 + n_global, length)

    def __str__(self) -> str:
        return f"window {self.window}"


@dataclass(frozen=True, kw_only=True)
class BigBird:
    """The first and the last block see all and are seen by all; each other block sees itself and its two neighbours
    too. `random_blocks` only decide up to which length a row has full attention: in evaluation mode they are the first
    block once more (`sparkclin.export.graph.block_sparse`), and no further work."""

    block_size: int
    random_blocks: int
    unused_positions: ClassVar[int] = 0

    def seen(self, length: int, *, n_global: int = 0) -> int:
        """As Longformer's; there is no other global attention than that of the two blocks, so `n_global` is 0.

        Raises ValueError where it is not.
        """
        if n_global:
            raise ValueError(f"n_global is {n_global}; BigBird's global attention is that of its blocks, expected 0.")
        if length <= (5 + 2 * self.random_blocks) * self.block_size:
            return length * length
        at_the_ends = 2 * self.block_size
        return at_the_ends * length + (length - at_the_ends) * 5 * self.block_size

    def __str__(self) -> str:
        return f"blocks of {self.block_size}, {self.random_blocks} random ones"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A model's size. `positions` are the rows of its table of positions."""

    layers: int
    width: int
    heads: int
    inner: int
    family: Longformer | BigBird
    positions: int
    vocab_size: int

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Shape:
        """The inverse of dataclasses.asdict()."""
        family = Longformer if "window" in raw["family"] else BigBird
        return cls(**{**raw, "family": family(**raw["family"])})

    @property
    def max_row(self) -> int:
        """The most pieces that one forward pass reads, special ones included."""
        return self.positions - self.family.unused_positions

    @property
    def max_pieces(self) -> int:
        """The most pieces of a text that one forward pass reads."""
        return self.max_row - SPECIAL_PIECES

    @property
    def stride(self) -> int:
        """Pieces that two windows share: embed()'s default."""
        return default_stride(self.max_pieces)

    def flops(self, length: int, *, n_global: int = 0) -> float:
        """Floating point operations of the matrix products of a row of `length` pieces, its first `n_global` with
        global attention.

        Per layer and piece: four projections of width × width, two of width × inner, and scores and weighted sum over
        the pieces that it sees. The projections that pieces with global attention have of their own are not counted:
        how many products those take is up to who computes them.
        """
        projections = 2 * (4 * self.width**2 + 2 * self.width * self.inner)
        return self.layers * (projections * length + 4 * self.width * self.family.seen(length, n_global=n_global))

    def flops_per_piece(self, lengths: Sequence[int]) -> float:
        """The same per piece, over rows of these lengths without global attention.

        The two special pieces of a row are not counted.
        """
        return sum(map(self.flops, lengths)) / sum(lengths)


BASE = Shape(
    layers=12, width=768, heads=12, inner=3072, family=Longformer(window=512), positions=4098, vocab_size=50_265
)
"""Clinical-Longformer's."""

TINY = Shape(layers=2, width=64, heads=2, inner=128, family=Longformer(window=64), positions=514, vocab_size=8_000)
"""For --smoke: everything runs, nothing is worth measuring."""

BIGBIRD_BLOCKS = {BASE: BigBird(block_size=64, random_blocks=3), TINY: BigBird(block_size=16, random_blocks=1)}
"""The first are Clinical-BigBird's."""


def as_bigbird(shape: Shape) -> Shape:
    """A BigBird of the size of a Longformer, which is one of BIGBIRD_BLOCKS, and that reads as long rows."""
    return replace(shape, family=BIGBIRD_BLOCKS[shape], positions=shape.max_row)


def make_checkpoint(folder: Path, *, shape: Shape, task: Task, tokenizer_json: str) -> None:
    """Write a checkpoint as transformers saves it, whole or not at all; one that is there already is left alone."""
    if folder.is_dir():
        return
    import transformers

    from testkit.checkpoints import random_model, save_checkpoint

    name, own = settings_of(shape.family, layers=shape.layers)
    config = getattr(transformers, f"{name}Config")(
        num_hidden_layers=shape.layers,
        hidden_size=shape.width,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=shape.positions,
        vocab_size=shape.vocab_size,
        initializer_range=STANDARD_DEVIATION,
        **({"id2label": dict(enumerate(task.labels))} if task.labels else {}),
        **own,
    )
    model = random_model(config, getattr(transformers, f"{name}{task.architecture}"))
    if task == ANSWER:
        ends_where_it_begins(model)
    staged = folder.with_name(f".{folder.name}.staged")
    shutil.rmtree(staged, ignore_errors=True)
    save_checkpoint(model, staged, tokenizer_json)
    staged.rename(folder)


def ends_where_it_begins(model: Any) -> None:
    """Makes the best answer of a model with the head for it, which is changed, one piece long.

    With random weights every other answer would end before it begins, and Spark NLP's annotator fails on that.
    """
    import torch

    with torch.no_grad():
        begin, end = model.qa_outputs.weight
        end.copy_(begin)


def settings_of(family: Longformer | BigBird, *, layers: int) -> tuple[str, dict[str, Any]]:
    """What transformers' classes begin with, and the settings of the family alone. BigBird's special ids are those of
    `testkit.tokenizers.train_unigram`."""
    if isinstance(family, BigBird):
        return "BigBird", {
            "block_size": family.block_size,
            "num_random_blocks": family.random_blocks,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": 2,
            "sep_token_id": 5,
        }
    return "Longformer", {
        "attention_window": [family.window] * layers,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "bos_token_id": 0,
        "pad_token_id": PAD_ID,
        "eos_token_id": 2,
        "sep_token_id": 2,
    }
