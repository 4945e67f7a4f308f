"""Random rows of piece ids for comparing models, and the forms in which they can be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.graph.encoder import EncoderConfig
from sparkclin.export.heads.head import Head
from sparkclin.text.segments import SegmentPart
from sparkclin.wire.packed import concatenated, tagged


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A full row and one padded from half its length on, as a tokenizer would make them, with special pieces."""

    ids: Ids
    mask: Ids
    config: EncoderConfig

    @classmethod
    def random(
        cls,
        generator: np.random.Generator,
        *,
        length: int,
        config: EncoderConfig,
        separators: Sequence[int] = (),
        including: Sequence[int] = (),
    ) -> Batch:
        """Return rows of random ids. The full row ends with the ids of `including`, as many as half of it holds.

        With `separators` a row is a question, of a quarter of its pieces and 20 at most, and what follows it.
        """
        ordinary = np.setdiff1d(np.arange(config.vocab_size), special_ids(config))
        ids = generator.choice(ordinary, (2, length)).astype(np.int32)
        wanted = np.setdiff1d(including, special_ids(config))[: length // 2]
        ids[0, length - 1 - len(wanted) : length - 1] = wanted
        mask = np.ones_like(ids)
        lengths = (length, max(length // 2, 1))
        for row, size in enumerate(lengths):
            behind_question = 1 + min(20, size // 4)
            ids[row, behind_question : behind_question + len(separators)] = separators
            ids[row, size - 1] = config.sep_id
            ids[row, 0] = config.cls_id
            ids[row, size:] = config.pad_id
            mask[row, size:] = 0
        return cls(ids=ids, mask=mask, config=config)

    @property
    def length(self) -> int:
        """The length of the longer row, in ids."""
        return int(self.ids.shape[1])

    def codes(self) -> Ids:
        """Return the ids as Spark NLP sends codes: the special pieces at the ends and the padding are ordinary."""
        return np.where(np.isin(self.ids, special_ids(self.config)), self.ids, self.ids + self.config.vocab_size)

    def rows(self) -> list[Ids]:
        """The ids of each row without padding."""
        return [row[mask.astype(bool)] for row, mask in zip(self.ids, self.mask, strict=True)]

    def real(self, vectors: Vectors) -> list[Vectors]:
        """(2, P, W) -> the vectors of each row's real positions"""
        return [row[mask.astype(bool)] for row, mask in zip(vectors, self.mask, strict=True)]

    def windows(self) -> list[list[int]]:
        """The pieces of each row with the first special piece, whose vector then comes back too, without the last."""
        return [row[:-1].tolist() for row in self.rows() if len(row) > 2]


@dataclass(frozen=True, kw_only=True)
class PackedSample:
    """The rows of a batch as one packed batch, (1, 3 + R · P + 1): the host's own first id, the request, the number of
    rows, the rows, the host's own last id.

    `parts` are the segment parts of each row, `rows` their tagged ids without padding.
    """

    ids: Ids
    mask: Ids
    rows: tuple[Ids, ...]
    parts: tuple[tuple[SegmentPart, ...], ...]

    @classmethod
    def of(cls, batch: Batch, *, request: int | None = 0) -> PackedSample:
        """Every row needs its two special pieces. `request` names the wanted outputs; 0 is for all, None for
        a graph that is not told."""
        vocabulary = batch.config.vocabulary
        parts = tuple(some_parts(len(row), with_cls=index == 0) for index, row in enumerate(batch.rows()))
        rows = tuple(tagged(row[1:-1], of_row, vocabulary) for row, of_row in zip(batch.rows(), parts, strict=True))
        edges = np.array([vocabulary.n_tagged, vocabulary.n_tagged + 1], np.int32)
        ids = np.concatenate([edges[:1], concatenated(rows, vocabulary, request=request), edges[1:]])[None]
        return cls(ids=ids, mask=np.ones_like(ids), rows=rows, parts=parts)

    def expected(self, vectors: Vectors, head: Head, *, wanted: Sequence[str]) -> npt.NDArray[np.float64]:
        """Vectors (R, P, W) -> the wanted outputs of each segment part, in order: (parts, numbers)"""
        exact = vectors.astype(np.float64)
        states = (row[part.begin : part.end] for row, parts in zip(exact, self.parts, strict=True) for part in parts)
        outputs = (head.expected(of_part) for of_part in states)
        return np.stack([np.concatenate([of_part[name] for name in wanted]) for of_part in outputs])


def some_parts(length: int, *, with_cls: bool) -> tuple[SegmentPart, ...]:
    """Segment parts of a row of `length` positions: if wanted, its first special piece alone; a third of the pieces;
    the next third less one piece; the rest.

    That one piece and the last special piece are in none.
    """
    first, second, third = np.linspace(1, length, 4).astype(int)[:3]
    edges = [(0, 1)] * with_cls + [(first, second), (second, third - 1), (third, length - 1)]
    return tuple(SegmentPart(0, begin, end, 0) for begin, end in edges if begin < end)


def special_ids(config: EncoderConfig) -> list[int]:
    return [config.cls_id, config.pad_id, config.sep_id]
