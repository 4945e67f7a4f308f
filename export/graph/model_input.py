"""What a row really says: the ids that arrive -> piece ids, positions, and what is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.graph.ops import Ops, Tensor
from export.graph.packed import Arrived
from sparkclin.wire.tags import GLOBAL, TOKEN_TYPE

if TYPE_CHECKING:
    from export.graph.encoder import EncoderConfig


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """Rows as the model was trained on them; all int (R, P).

    `ids` are piece ids, `positions` rows of the table of positions, `visible` is 1 where a piece may be seen.
    `token_types` and `has_global_attention` are 0 or 1 per position, and None for a model that does not read the flag.
    """

    ids: Tensor
    positions: Tensor
    visible: Tensor
    token_types: Tensor | None
    has_global_attention: Tensor | None


def read_input(ops: Ops, arrived: Arrived, *, config: EncoderConfig) -> ModelInput:
    """Reads ordinary ids 0…V−1, transport codes from V on, and the fields of packed batches.

    Padding is what stands behind a row's last piece: Spark NLP's ONNX annotators of RoBERTa's kind send an attention
    mask that masks id 0, which is `<s>`, and shows padding. Padding's id within a row is a piece, as where BigBird's
    tokenizer reads `<pad>` in a note.
    """
    # The remainder, too, since Spark NLP warms a model up with ids of RoBERTa's vocabulary, whatever its own is.
    ids = ops.mod(arrived.ids, config.vocab_size)
    is_piece = ops.to_int(ops.not_equal(ids, config.pad_id))
    before = ops.cumsum(is_piece, axis=1) - is_piece
    visible = ops.to_int(ops.less(before, ops.sum(is_piece, axis=1)))  # a piece stands here or behind it
    counted = ops.cumsum(visible, axis=1)
    return ModelInput(
        ids=ids,
        positions=ops.where(ops.equal(visible, 0), config.padding_position, counted + (config.first_position - 1)),
        visible=visible,
        token_types=read_flag(ops, arrived, TOKEN_TYPE, config=config),
        has_global_attention=read_flag(ops, arrived, GLOBAL, config=config),
    )


def read_flag(ops: Ops, arrived: Arrived, flag: int, *, config: EncoderConfig) -> Tensor | None:
    """0 or 1 per position of a packed batch; 0 in other rows, whose codes have no fields."""
    if not config.flags & flag:
        return None
    return ops.where(arrived.is_packed, ops.mod(arrived.ids // (config.vocab_size * flag), 2), 0 * arrived.ids)
