"""What a row really says: the ids that arrive -> piece ids, positions, and what is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkclin.export.graph.ops import Ops, Tensor

if TYPE_CHECKING:
    from sparkclin.export.graph.encoder import EncoderConfig


NO_GLOBAL, GLOBAL_FIRST, GLOBAL_QUESTION = GLOBAL_ATTENTIONS = ("none", "first", "question")
"""Which positions have global attention: none; a row's first special piece; that and the question behind it, up to the
first separator."""


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """Rows as the model was trained on them; all int (R, P).

    `ids` are piece ids, `positions` rows of the table of positions, `visible` is 1 where a piece may be seen.
    `token_types` are 0 or 1 per position, None where all are 0. `n_global` (R, 1) says how many of a row's first
    positions have global attention, None where none has.
    """

    ids: Tensor
    positions: Tensor
    visible: Tensor
    token_types: Tensor | None
    n_global: Tensor | None


def read_input(ops: Ops, arrived: Tensor, *, config: EncoderConfig) -> ModelInput:
    """Reads ids as they arrive, int (R, P): ordinary ones 0…V−1, transport codes from V on, and those with tags.

    Padding is what stands behind a row's last piece: Spark NLP's ONNX annotators of RoBERTa's kind send an attention
    mask that masks id 0, which is `<s>`, and shows padding. Padding's id within a row is a piece, as where BigBird's
    tokenizer reads `<pad>` in a note.
    """
    # The remainder, too, since Spark NLP warms a model up with ids of RoBERTa's vocabulary, whatever its own is.
    ids = ops.mod(arrived, config.vocab_size)
    is_piece = ops.to_int(ops.not_equal(ids, config.pad_id))
    before = ops.cumsum(is_piece, axis=1) - is_piece
    visible = ops.to_int(ops.less(before, ops.sum(is_piece, axis=1)))  # a piece stands here or behind it
    counted = ops.cumsum(visible, axis=1)
    return ModelInput(
        ids=ids,
        positions=ops.where(ops.equal(visible, 0), config.padding_position, counted + (config.first_position - 1)),
        visible=visible,
        token_types=behind_separator(ops, ids, config=config) if config.has_token_types else None,
        n_global=count_global(ops, ids, visible, config=config),
    )


def behind_separator(ops: Ops, ids: Tensor, *, config: EncoderConfig) -> Tensor:
    """1 behind a row's first separator, such as the one that ends a question, else 0: int (R, P)"""
    is_separator = ops.to_int(ops.equal(ids, config.sep_id))
    return ops.to_int(ops.less(0, ops.cumsum(is_separator, axis=1) - is_separator))


def count_global(ops: Ops, ids: Tensor, visible: Tensor, *, config: EncoderConfig) -> Tensor | None:
    """How many of a row's first positions have global attention: (R, 1), None where none has.

    A row whose first separator is its last piece has no question.
    """
    if config.global_attention == NO_GLOBAL:
        return None
    n_visible = ops.sum(visible, axis=1)
    if config.global_attention == GLOBAL_FIRST:
        return 0 * n_visible + 1
    seen_separators = ops.cumsum(ops.to_int(ops.equal(ids, config.sep_id)), axis=1)
    length = ops.sum(ops.to_int(ops.equal(seen_separators, 0)), axis=1)
    return ops.where(ops.less(length + 1, n_visible), length, 0)
