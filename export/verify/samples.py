"""Made-up rows of piece ids for comparing models, and the forms in which they can be sent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.engines import Ids, Vectors
from export.graph.encoder import EncoderConfig
from sparkclin.text.segments import Part
from sparkclin.wire.packed import joined, marked


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A full row and one padded from half its length on, as a tokenizer would make them: <s> … </s>."""

    ids: Ids
    mask: Ids
    config: EncoderConfig

    @classmethod
    def random(cls, generator: np.random.Generator, *, length: int, config: EncoderConfig) -> Batch:
        ordinary = np.setdiff1d(np.arange(config.vocab_size), special_ids(config))
        ids = generator.choice(ordinary, (2, length)).astype(np.int32)
        mask = np.ones_like(ids)
        lengths = (length, max(length // 2, 1))
        for row, size in enumerate(lengths):
            ids[row, size - 1] = config.sep_id
            ids[row, 0] = config.cls_id
            ids[row, size:] = config.pad_id
            mask[row, size:] = 0
        return cls(ids=ids, mask=mask, config=config)

    def codes(self) -> Ids:
        """As Spark NLP sends codes: the special pieces at the ends and the padding are ordinary."""
        return np.where(np.isin(self.ids, special_ids(self.config)), self.ids, self.ids + self.config.vocab_size)

    def rows(self) -> list[Ids]:
        """The ids of each row without padding."""
        return [row[mask.astype(bool)] for row, mask in zip(self.ids, self.mask, strict=True)]

    def real(self, vectors: Vectors) -> list[Vectors]:
        """(2, P, W) -> the vectors of each row's real places"""
        return [row[mask.astype(bool)] for row, mask in zip(vectors, self.mask, strict=True)]

    def windows(self) -> list[list[int]]:
        """The pieces of each row with <s> in front, whose vector is then handed back too, and without </s>."""
        return [row[:-1].tolist() for row in self.rows() if len(row) > 2]


@dataclass(frozen=True, kw_only=True)
class Pack:
    """The rows of a batch as one pack, (1, 1 + R · P + 1), with Spark NLP's own first and last id around them.

    `spans` are those of each row, as places.
    """

    ids: Ids
    mask: Ids
    spans: tuple[tuple[Part, ...], ...]

    @classmethod
    def of(cls, batch: Batch) -> Pack:
        """Every row needs its two special pieces."""
        vocabulary = batch.config.vocabulary
        spans = tuple(some_spans(len(row), with_cls=index == 0) for index, row in enumerate(batch.rows()))
        rows = [marked(row[1:-1], parts, vocabulary) for row, parts in zip(batch.rows(), spans, strict=True)]
        edges = np.array([vocabulary.n_marked, vocabulary.n_marked + 1], np.int32)
        ids = np.concatenate([edges[:1], joined(rows, vocabulary), edges[1:]])[None]
        return cls(ids=ids, mask=np.ones_like(ids), spans=spans)

    def pool(self, vectors: Vectors) -> npt.NDArray[np.float64]:
        """Vectors (R, P, W) -> mean and maximum of each span, in order, (2 · spans, W)"""
        exact = vectors.astype(np.float64)
        spans = [row[part.begin : part.end] for row, parts in zip(exact, self.spans, strict=True) for part in parts]
        return np.stack([pooled for span in spans for pooled in (span.mean(0), span.max(0))])


def some_spans(length: int, *, with_cls: bool) -> tuple[Part, ...]:
    """Spans of a row of `length` places: <s> alone, if wanted; a third of the pieces; the next less one; the rest.

    That one piece and </s> are in none.
    """
    first, second, third = np.linspace(1, length, 4).astype(int)[:3]
    edges = [(0, 1)] * with_cls + [(first, second), (second, third - 1), (third, length - 1)]
    return tuple(Part(0, begin, end, 0) for begin, end in edges if begin < end)


def special_ids(config: EncoderConfig) -> list[int]:
    return [config.cls_id, config.pad_id, config.sep_id]
