"""Labels of pieces -> entities, as transformers' TokenClassificationPipeline makes them (version 5.23).

For example, the pieces `fever`, `Ġof`, `Ġunk`, `nown` with the labels O, O, B-CAUSE, I-CAUSE: by the aggregation
`first` the last two are one word, which has the label of its first piece; the word is an entity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sparkclin.errors import OptionError
from sparkclin.text.labels import Floats64, softmax
from sparkclin.text.pieces import trimmed
from sparkclin.text.pooling import PartOutput, SegmentVector
from sparkclin.text.segments import SegmentPart, SegmentPlan
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.text.windows import Range, own

AGGREGATIONS = ("simple", "first", "max", "average")
OUTSIDE_LABEL = "O"


@dataclass(frozen=True, kw_only=True)
class EntityOptions:
    """`labels` are the model's, by number; `unknown_id` the id of pieces that the vocabulary lacks, each of which
    begins a word. `aggregation` is how the label of a word is made of those of its pieces.

    - simple: every piece stands for itself, so that an entity may begin or end within a word;
    - first: a word has the label of its first piece;
    - max: that of the piece which is surest of its own;
    - average: the largest of the mean probabilities.

    Raises OptionError for an aggregation that is not known.
    """

    labels: tuple[str, ...]
    aggregation: str = "simple"
    unknown_id: int | None = None

    def __post_init__(self) -> None:
        if self.aggregation not in AGGREGATIONS:
            raise OptionError(
                f"there is no aggregation {self.aggregation!r} of entities: expected one of {', '.join(AGGREGATIONS)}."
            )


@dataclass(frozen=True)
class Tag:
    """A label, taken apart: its kind, and whether it begins an entity and ends one.

    `B-X` begins one, `I-X` goes on, `E-X` ends one and `S-X` does both; a label without such a prefix goes on.
    """

    kind: str
    begins: bool
    ends: bool

    @classmethod
    def of(cls, label: str) -> Tag:
        prefix, dash, kind = label.partition("-")
        if not dash or prefix not in ("B", "I", "E", "S"):
            return cls(label, begins=False, ends=False)
        return cls(kind, begins=prefix in ("B", "S"), ends=prefix in ("E", "S"))


def kinds_of(labels: Sequence[str]) -> tuple[str, ...]:
    """The kinds of entities that labels tell apart, in order of first use."""
    return tuple(dict.fromkeys(Tag.of(label).kind for label in labels if label != OUTSIDE_LABEL))


def plan_entities(note: TokenizedNote, *, options: EntityOptions) -> SegmentPlan:
    """A segment per word, with a part per piece from the window that owns it; with `simple` a segment per piece."""
    if not len(note.pieces):
        return SegmentPlan((), ())
    begins, ends = note.pieces.begins.tolist(), note.pieces.ends.tolist()
    is_first = [
        options.aggregation == "simple" or piece_id == options.unknown_id or not _goes_on(note.text, begin)
        for piece_id, begin in zip(note.pieces.ids.tolist(), begins, strict=True)
    ]
    is_first[0] = True
    firsts = np.flatnonzero(is_first).tolist()
    words = np.cumsum(is_first) - 1
    segments = [trimmed(note.text, begins[first], ends[after - 1]) for first, after in pairwise([*firsts, len(begins)])]
    parts = [
        SegmentPart(index, 1 + piece - window.begin, 2 + piece - window.begin, int(words[piece]))
        for index, window in enumerate(own(note.windows))
        for piece in range(window.own_begin, window.own_end)
    ]
    return SegmentPlan(segments, parts)


def _goes_on(text: str, begin: int) -> bool:
    """Whether a piece that begins here goes on with the word before it: there is no space, as transformers sees it,
    which takes a line break for a part of the word."""
    return begin > 0 and " " not in text[begin - 1 : begin + 1]


def merge_entities(
    segments: Sequence[Range], parts: Sequence[PartOutput], *, options: EntityOptions
) -> list[SegmentVector]:
    """A note's entities, in order, each with its range and as its vector (kind, score): the index of the kind in
    kinds_of(labels), and the mean probability of its words. An entity has no white space at its ends, where
    transformers may leave some; one of white space only is none."""
    if not parts:
        return []
    words = _words(np.array([part.segment for part in parts]), softmax(np.stack([part.numbers for part in parts])))
    labelled = [
        (begin, end, options.labels[number], score)
        for (begin, end), (number, score) in zip(segments, _labels(words, options.aggregation), strict=True)
    ]
    kinds = kinds_of(options.labels)
    return [
        SegmentVector(begin, end, np.array([kinds.index(kind), score], np.float32))
        for begin, end, kind, score in _grouped(labelled)
        if begin < end
    ]


def _words(of_pieces: NDArray[np.intp], probabilities: Floats64) -> list[Floats64]:
    """The probabilities of each word's pieces, (pieces, labels)."""
    return np.split(probabilities, np.flatnonzero(np.diff(of_pieces)) + 1)


def _labels(words: Sequence[Floats64], aggregation: str) -> Iterator[tuple[int, float]]:
    """The label of each word, and its probability."""
    for of_word in words:
        match aggregation:
            case "max":
                chosen = of_word[of_word.max(axis=1).argmax()]
            case "average":
                chosen = of_word.mean(axis=0)
            case _:
                chosen = of_word[0]
        number = int(chosen.argmax())
        yield number, float(chosen[number])


def _grouped(labelled: Sequence[tuple[int, int, str, float]]) -> Iterator[tuple[int, int, str, float]]:
    """Words that follow each other, of one kind, are one entity, unless one begins an entity or the one before ended
    it."""
    group: list[tuple[int, int, str, float]] = []
    before: Tag | None = None
    for word in [*labelled, (0, 0, OUTSIDE_LABEL, 0.0)]:
        tag = Tag.of(word[2])
        joins = before is not None and tag.kind == before.kind and not tag.begins and not before.ends
        if group and not (joins and word[2] != OUTSIDE_LABEL):
            shown = [(begin, end) for begin, end, *_ in group if begin < end] or [(0, 0)]
            yield shown[0][0], shown[-1][1], Tag.of(group[0][2]).kind, float(np.mean([score for *_, score in group]))
            group = []
        if word[2] != OUTSIDE_LABEL:
            group.append(word)
        before = tag
