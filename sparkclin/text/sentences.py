"""Text -> sentences, as ranges of code points.

A splitter is a function from a text to ranges. NUPUNKT, the default, runs in Python, whatever the model's engine, so
that a sentence's vector does not depend on the engine. SPARK_NLP means Spark NLP's SentenceDetector, whose
annotations `cover_annotations()` turns into ranges. Either way every visible character is in exactly one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparkclin.errors import OptionError
from sparkclin.text.pieces import trimmed
from sparkclin.text.windows import Range

NUPUNKT, SPARK_NLP = "nupunkt", "spark_nlp"
SPLITTERS = (NUPUNKT, SPARK_NLP)
DEFAULT_SPLITTER = NUPUNKT

LONGEST_BLOCK = 5_000
"""Characters that the library reads at once, and so the longest sentence. Some texts, such as `?!?!?!`, take it time in
the square of their length; with blocks the time grows in proportion to the length, whatever the text."""


def check_splitter(splitter: str) -> None:
    """Raise OptionError unless the splitter is one of SPLITTERS."""
    if splitter not in SPLITTERS:
        raise OptionError(f"unknown sentence splitter {splitter!r}: expected one of {', '.join(SPLITTERS)}.")


def split_sentences(text: str) -> tuple[Range, ...]:
    """Return the sentences that nupunkt finds: in order, not overlapping, without white space at their ends.

    A blank line always ends a sentence, and so does a line break behind a heading or before an item of a list. Other
    line breaks do not, because the lines of many notes are wrapped.
    """
    return cover(text, (found for block in _paragraphs(text) for found in _split_paragraph(text, block)))


def _paragraphs(text: str) -> Iterator[Range]:
    """Yield the runs of lines that are not blank. nupunkt needs minutes for a few thousand line breaks in a row."""
    lines, begin = [], 0
    for line in text.split("\n"):
        lines.append((begin, begin + len(line)))
        begin += len(line) + 1
    for is_blank, run in groupby(lines, key=lambda line: text[slice(*line)].isspace() or line[0] == line[1]):
        if not is_blank:
            first, *rest = run
            yield first[0], rest[-1][1] if rest else first[1]


def _split_paragraph(text: str, paragraph: Range) -> Iterator[Range]:
    """Yield the sentences of a paragraph, a block at a time. The last sentence of a block may go on behind it, so the
    next block begins with that sentence."""
    begin, end = paragraph
    while begin < end:
        after = min(begin + LONGEST_BLOCK, end)
        spans = _nupunkt().iter_spans(text[begin:after], line_breaks=True)
        found = [(begin + first, begin + last) for first, last in spans]
        if after < end and len(found) > 1:
            after = found.pop()[0]
        yield from found
        begin = after


@cache
def _nupunkt() -> Any:
    """Return nupunkt's splitter with the model of its package. This process keeps it."""
    from nupunkt import segmenter

    return segmenter("sentence")


@dataclass(frozen=True)
class Sentence:
    """A sentence annotation of Spark NLP: `begin` and `end` in UTF-16 code units, end inclusive, and its text."""

    begin: int
    end: int
    text: str


def cover_annotations(text: str, sentences: Iterable[Sentence]) -> tuple[Range, ...]:
    """Return the ranges of Spark NLP's sentences, and of what the detector left out."""
    return cover(text, locate(text, sentences))


def cover(text: str, ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return `ranges`, and a range for each stretch between them that has visible characters.

    The ranges are in order and do not overlap, before and after.
    """
    found = list(ranges)
    edges = [0, *(edge for sentence in found for edge in sentence), len(text)]
    gaps = (trimmed(text, begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True))
    return tuple(sorted([*found, *((begin, end) for begin, end in gaps if begin < end)]))


def locate(text: str, sentences: Iterable[Sentence]) -> tuple[Range, ...]:
    """Return the ranges of `sentences` in `text`: in order, not overlapping, each reading as the sentence does.

    Spark NLP's offsets may differ from the text that it returns. A range is taken as it is if the note's text there is
    the sentence's; otherwise the sentence is looked for behind the one before. A sentence that is not in the text (a
    detector may have changed it) is left out, and so is one without text.
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


def _utf16_positions(text: str) -> NDArray[np.intp] | None:
    """Return the UTF-16 position of each code point; None if the two agree, as in a text without emoji."""
    if len(text.encode("utf-16-le")) == 2 * len(text):
        return None
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    units: NDArray[np.intp] = 1 + (points > 0xFFFF).astype(np.intp)
    return units.cumsum() - units


def _code_point(positions: NDArray[np.intp] | None, utf16: int) -> int:
    return utf16 if positions is None else int(np.searchsorted(positions, utf16))
