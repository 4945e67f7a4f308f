"""A model that shows what Spark NLP sends: instead of vectors it gives the ids that arrived."""

from __future__ import annotations

from sparkclin.export.graph.ops import Ops, Tensor
from sparkclin.export.graph.packed import is_packed, packed_or_rows
from sparkclin.export.heads.embedding import EmbeddingHead
from sparkclin.wire.tags import Vocabulary

WIDTH = 2


def echo(ops: Ops, input_ids: Tensor, *, vocabulary: Vocabulary) -> Tensor:
    """Arriving ids, int (R, P) -> (id, length of its row without padding) of each position, float (R, P, 2).

    Of a packed batch their mean and maximum per segment part, as of any model; a piece of it is shown as if it had come
    alone, as V + piece id.
    """

    def encode(arrived: Tensor) -> Tensor:
        ids = ops.mod(arrived, vocabulary.size)
        shown = ops.where(is_packed(ops, input_ids, vocabulary=vocabulary), ids + vocabulary.size, arrived)
        lengths = ops.sum(ops.to_int(ops.not_equal(ids, vocabulary.pad_id)), axis=1) + 0 * ids
        return ops.concat([third_axis(ops, ops.to_float(x)) for x in (shown, lengths)], axis=2)

    return packed_or_rows(ops, input_ids, vocabulary=vocabulary, encode=encode, head=EmbeddingHead(width=WIDTH))


def third_axis(ops: Ops, x: Tensor) -> Tensor:
    """(R, P) -> (R, P, 1)"""
    return ops.reshape(x, (-1, ops.size(x, axis=1), 1))
