"""Labels of pieces -> labels of words -> entities.

For example, the pieces `Ġwith`, `Ġhe`, `rnia`, `.` have the labels O, B-SIGN, O, O. The second and the third are a
word, which has the label of its first piece, so `hernia` is an entity.

The aggregation WORD is ours. The others are those of transformers' TokenClassificationPipeline (version 5.23), for
which a word ends at a space: `hernia.` is one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sparkclin.errors import OptionError
from sparkclin.text.labels import Floats64, softmax
from sparkclin.text.pieces import NO_WORD, trimmed
from sparkclin.text.pooling import PartOutput, SegmentVector
from sparkclin.text.segments import SegmentPart, SegmentPlan
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.text.windows import Range, own

WORD = "word"
OF_TRANSFORMERS = ("simple", "first", "max", "average")
AGGREGATIONS = (WORD, *OF_TRANSFORMERS)
OUTSIDE_LABEL = "O"


@dataclass(frozen=True, kw_only=True)
class EntityOptions:
    """The labels of a model, by number, and how the label of a word follows from the labels of its pieces.

    - word: a word has the label of its first piece. A word is a pre-token of the tokenizer, and ends where letters or
      digits meet another character (`begins_word()`).
    - first: the same, but a word ends at a space and includes punctuation.
    - max: as `first`, with the label of the most certain piece.
    - average: as `first`, with the most probable label on average.
    - simple: every piece is a word, so an entity may begin or end in the middle of a word of the text.

    `unknown_id` is the id of pieces that the vocabulary lacks: each begins a word, except with `word`. Raises
    OptionError for an unknown aggregation.
    """

    labels: tuple[str, ...]
    aggregation: str = WORD
    unknown_id: int | None = None

    def __post_init__(self) -> None:
        if self.aggregation not in AGGREGATIONS:
            raise OptionError(
                f"unknown aggregation of entities, {self.aggregation!r}: expected one of {', '.join(AGGREGATIONS)}."
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
    """Return a segment per word, with a part per piece from the window that owns it; with `simple`, a segment per
    piece."""
    if not len(note.pieces):
        return SegmentPlan((), ())
    is_first = _is_first(note, options)
    is_first[0] = True
    begins, ends = note.pieces.begins.tolist(), note.pieces.ends.tolist()
    firsts = np.flatnonzero(is_first).tolist()
    words = np.cumsum(is_first) - 1
    shown = without_punctuation if options.aggregation == WORD else trimmed
    segments = [shown(note.text, begins[first], ends[after - 1]) for first, after in pairwise([*firsts, len(begins)])]
    parts = [
        SegmentPart(index, 1 + piece - window.begin, 2 + piece - window.begin, int(words[piece]))
        for index, window in enumerate(own(note.windows))
        for piece in range(window.own_begin, window.own_end)
    ]
    return SegmentPlan(segments, parts)


def _is_first(note: TokenizedNote, options: EntityOptions) -> list[bool]:
    """Return whether each piece begins a word."""
    match options.aggregation:
        case "word":
            return begins_word(note)
        case "simple":
            return [True] * len(note.pieces)
        case _:
            pieces = zip(note.pieces.ids.tolist(), note.pieces.begins.tolist(), strict=True)
            return [piece_id == options.unknown_id or not _goes_on(note.text, begin) for piece_id, begin in pieces]


def _goes_on(text: str, begin: int) -> bool:
    """Return whether a piece that begins here continues the word before it. As in transformers, only a space ends a
    word; a line break is a part of it."""
    return begin > 0 and " " not in text[begin - 1 : begin + 1]


def begins_word(note: TokenizedNote) -> list[bool]:
    """Return whether each piece begins a word, for the aggregation WORD.

    A word is a pre-token of the tokenizer, with the combining marks next to it, cut further at white space and where
    letters or digits meet another character; of other characters, every piece is a word. Most tokenizers already cut
    there. SentencePiece only cuts at spaces, so its pre-token `failure.` becomes the words `failure` and `.`. A piece
    that holds both is not cut, but its word does not begin or end with its punctuation (`without_punctuation()`).
    Pieces of white space begin no word, nor does a piece that shares a character with the one before, as the bytes of
    an emoji do.
    """
    pieces = note.pieces
    found = [False] * len(pieces)
    word, end = NO_WORD, -1
    columns = zip(pieces.begins.tolist(), pieces.ends.tolist(), pieces.words.tolist(), strict=True)
    for index, (piece_begin, piece_end, piece_word) in enumerate(columns):
        begin, after = trimmed(note.text, piece_begin, piece_end)
        if begin == after:
            continue
        neighbours = note.text[begin - 1 : begin + 1]
        is_one_word = word == piece_word or any(map(_is_mark, neighbours))
        continues = begin == end and is_one_word and all(map(_is_of_word, neighbours))
        found[index] = begin >= end and not continues
        word, end = piece_word, after
    return found


def without_punctuation(text: str, begin: int, end: int) -> Range:
    """Return the range from the first letter or digit to the last one. A range without any only loses the white space
    at its ends."""
    letters = [index for index in range(begin, end) if _is_of_word(text[index])]
    return (letters[0], letters[-1] + 1) if letters else trimmed(text, begin, end)


def _is_of_word(character: str) -> bool:
    """Return whether a character is a letter, a digit or a mark that combines with one, such as a separate accent."""
    return character.isalnum() or _is_mark(character)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def merge_entities(
    segments: Sequence[Range], parts: Sequence[PartOutput], *, options: EntityOptions
) -> list[SegmentVector]:
    """A note's entities, in order, each with its range and as its vector (kind, score): the index of the kind in
    kinds_of(labels), and the mean probability of its words. White space at the ends of an entity is removed, which
    transformers does not always do; an entity of white space only is left out."""
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
