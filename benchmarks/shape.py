"""A Longformer checkpoint of a given size with random weights: speed does not depend on what a model has learned."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparkclin.text.windows import default_stride

STANDARD_DEVIATION = 0.02
PAD_ID = 1
SPECIAL_POSITIONS = 2
"""Positions that a row's `<s>` and `</s>` take; RoBERTa leaves as many unused before the first."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A Longformer's size. `window` is how many neighbours a piece attends to, `positions` the rows of its table."""

    layers: int
    width: int
    heads: int
    inner: int
    window: int
    positions: int
    vocab_size: int

    @property
    def max_pieces(self) -> int:
        """The most pieces of a text that one forward pass reads."""
        return self.positions - 2 * SPECIAL_POSITIONS

    @property
    def stride(self) -> int:
        """Pieces that two windows share: embed()'s default."""
        return default_stride(self.max_pieces)

    def flops_per_piece(self, lengths: Sequence[int]) -> float:
        """Floating point operations of the matrix products per piece, over rows of these lengths.

        Per piece and layer: four projections of width × width, two of width × inner, and scores and weighted sum over
        as many neighbours as the window or the row has. The two special pieces of a row are not counted.
        """
        projections = 2 * (4 * self.width**2 + 2 * self.width * self.inner)
        attention = sum(4 * self.width * min(self.window + 1, n) * n for n in lengths) / sum(lengths)
        return self.layers * (projections + attention)


BASE = Shape(layers=12, width=768, heads=12, inner=3072, window=512, positions=4098, vocab_size=50_265)
"""Clinical-Longformer's."""

TINY = Shape(layers=2, width=64, heads=2, inner=128, window=64, positions=514, vocab_size=8_000)
"""For --smoke: everything runs, nothing is worth measuring."""


def make_checkpoint(folder: Path, *, shape: Shape, tokenizer_json: str) -> None:
    """Write a checkpoint as transformers saves it, whole or not at all; one that is there already is left alone."""
    if folder.is_dir():
        return
    from transformers import LongformerConfig

    from testkit.checkpoints import random_model, save_checkpoint

    config = LongformerConfig(
        num_hidden_layers=shape.layers,
        hidden_size=shape.width,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        attention_window=[shape.window] * shape.layers,
        max_position_embeddings=shape.positions,
        vocab_size=shape.vocab_size,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=STANDARD_DEVIATION,
        bos_token_id=0,
        pad_token_id=PAD_ID,
        eos_token_id=2,
        sep_token_id=2,
    )
    staged = folder.with_name(f".{folder.name}.staged")
    shutil.rmtree(staged, ignore_errors=True)
    save_checkpoint(random_model(config), staged, tokenizer_json)
    staged.rename(folder)
