"""Spark NLP's sentence annotations -> ranges of code points.

Spark NLP counts UTF-16 code units, both ends inclusive, so an emoji counts twice; and a detector's offsets may differ
from the text it returns. A range is taken as it is where the note's text there is the sentence's; otherwise the
sentence is looked for behind the one before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparkclin.text.pieces import WHITE_SPACE
from sparkclin.text.windows import Range


@dataclass(frozen=True)
class Sentence:
    """A sentence annotation: `begin` and `end` in UTF-16 code units, end inclusive, and the sentence's text."""

    begin: int
    end: int
    text: str


def cover(text: str, sentences: Iterable[Sentence]) -> tuple[Range, ...]:
    """The ranges of `sentences` in `text`, and of what a detector left out: every visible character is in one.

    A stretch between two sentences that has other than white space is a sentence of its own. Ranges are in order and do
    not overlap.
    """
    found = locate(text, sentences)
    edges = [0, *(edge for sentence in found for edge in sentence), len(text)]
    gaps = (_stripped(text, begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True))
    return tuple(sorted([*found, *((begin, end) for begin, end in gaps if begin < end)]))


def locate(text: str, sentences: Iterable[Sentence]) -> tuple[Range, ...]:
    """The ranges of `sentences` in `text`: in order, none overlapping another, each reading as the sentence does.

    A sentence that is not in the text (a detector may have changed it) is left out, and so is one without text.
    """
    positions = _utf16_positions(text)
    ranges: list[Range] = []
    after = 0
    for sentence in sentences:
        begin = _code_point(positions, sentence.begin)
        if begin < after or not text.startswith(sentence.text, begin):
            begin = text.find(sentence.text, after)
        if sentence.text and begin >= 0:
            after = begin + len(sentence.text)
            ranges.append((begin, after))
    return tuple(ranges)


def _stripped(text: str, begin: int, end: int) -> Range:
    """The range without white space at its ends; empty where there is nothing else."""
    part = text[begin:end]
    first = begin + len(part) - len(part.lstrip(WHITE_SPACE))
    return first, first + len(part.strip(WHITE_SPACE))


def _utf16_positions(text: str) -> NDArray[np.intp] | None:
    """The UTF-16 position of each code point; None where the two agree, as in a text without emoji and the like."""
    if len(text.encode("utf-16-le")) == 2 * len(text):
        return None
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    units: NDArray[np.intp] = 1 + (points > 0xFFFF).astype(np.intp)
    return units.cumsum() - units


def _code_point(positions: NDArray[np.intp] | None, utf16: int) -> int:
    return utf16 if positions is None else int(np.searchsorted(positions, utf16))
