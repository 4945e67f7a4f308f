"""Logits of a note's pieces -> the best answers to a question, as transformers' QuestionAnsweringPipeline makes them.

transformers 4.57 was the last to have it (pipelines/question_answering.py, `postprocess`). Of each window the logits of
begins and of ends become probabilities, over the window's own pieces and its first special piece, which stands for "no
answer". An answer's score is the product of the two; it reaches from the word of its first piece to that of its last.
Answers of all windows are sorted together; those with the same text, by lower case, count as one, with the sum of
their scores. Here they have no white space at their ends, which transformers leaves where a line breaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparkclin.errors import OptionError
from sparkclin.text.labels import Floats64, softmax
from sparkclin.text.pieces import NO_WORD, Pieces, trimmed
from sparkclin.text.pooling import PartOutput, SegmentVector
from sparkclin.text.segments import SegmentPart, SegmentPlan
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.text.windows import Range

NO_ANSWER: Range = (-1, -1)
"""The range of a window's first special piece, and of the answer that there is none."""


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """`answers` is how many are wanted; `max_answer_pieces` how long one may be; `may_be_missing` says that the model
    was trained on questions without an answer, so that there being none is an answer too.

    Raises OptionError for a number below 1.
    """

    answers: int = 1
    max_answer_pieces: int = 15
    may_be_missing: bool = False

    def __post_init__(self) -> None:
        numbers = {"answers": self.answers, "max_answer_pieces": self.max_answer_pieces}
        if problems := [f"{name} is {number}, expected at least 1" for name, number in numbers.items() if number < 1]:
            raise OptionError("; ".join(problems) + ".")

    @property
    def candidates(self) -> int:
        """Spans that are taken from a window: transformers' number, so that words which hold several leave enough."""
        return 2 * self.answers + 10


def plan_answers(note: TokenizedNote) -> SegmentPlan:
    """Of every window its first special piece, with the range NO_ANSWER, and all its pieces, each with the range of its
    word in that window: a segment of one part each, window after window."""
    segments: list[Range] = []
    parts: list[SegmentPart] = []
    for window, piece_range in enumerate(note.windows):
        ranges = [NO_ANSWER, *_word_ranges(note.pieces, piece_range)]
        parts += [
            SegmentPart(window, position, position + 1, len(segments) + position) for position in range(len(ranges))
        ]
        segments += ranges
    return SegmentPlan(segments, parts)


def _word_ranges(pieces: Pieces, window: Range) -> list[Range]:
    """Of each piece of a window the range of its word, in code points; of a piece of white space its own."""
    words, begins, ends = (column[slice(*window)].copy() for column in (pieces.words, pieces.begins, pieces.ends))
    of_words = np.flatnonzero(words != NO_WORD)
    numbers = words[of_words]
    first = np.searchsorted(numbers, numbers, side="left")
    last = np.searchsorted(numbers, numbers, side="right") - 1
    begins[of_words], ends[of_words] = begins[of_words[first]], ends[of_words[last]]
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer's range of code points, or NO_ANSWER, and its score."""

    begin: int
    end: int
    score: float


def merge_answers(
    segments: Sequence[Range], parts: Sequence[PartOutput], *, options: AnswerOptions
) -> list[SegmentVector]:
    """Candidates of all windows, each with its range and its score as its vector, (1,), for `best_answers`.

    The answer that there is none, with the range NO_ANSWER, stands last: its score is the least of the windows'.
    """
    if not parts:
        return []
    logits = np.zeros((len(segments), 2), np.float64)
    for part in parts:
        logits[part.segment] = part.numbers
    found: list[Answer] = []
    missing = 1.0
    for begin, end in _windows(segments):
        of_window, no_answer = _best(logits[begin:end], segments[begin:end], options)
        found += of_window
        missing = min(missing, no_answer)
    if options.may_be_missing:
        begin, end = NO_ANSWER
        found.append(Answer(begin=begin, end=end, score=missing))
    return [SegmentVector(answer.begin, answer.end, np.array([answer.score], np.float32)) for answer in found]


def _windows(segments: Sequence[Range]) -> list[Range]:
    """The runs of segments of each window, which begin with NO_ANSWER."""
    firsts = [index for index, segment in enumerate(segments) if segment == NO_ANSWER]
    return list(zip(firsts, [*firsts[1:], len(segments)], strict=True))


def _best(logits: Floats64, ranges: Sequence[Range], options: AnswerOptions) -> tuple[list[Answer], float]:
    """A window's best answers, and the score of there being none. `logits` (positions, 2)."""
    begins, ends = softmax(logits.T)
    missing = float(begins[0] * ends[0])
    begins, ends = begins.copy(), ends.copy()
    begins[0] = ends[0] = 0.0
    length = min(options.max_answer_pieces, len(ranges))
    padded = np.concatenate([ends, np.zeros(length - 1)])
    scores = begins[:, None] * np.lib.stride_tricks.sliding_window_view(padded, length)  # (positions, lengths)
    flat = scores.ravel()
    most = min(options.candidates, flat.size)
    chosen = np.argpartition(-flat, most - 1)[:most]
    chosen = chosen[np.argsort(-flat[chosen], kind="stable")]
    starts, extra = np.unravel_index(chosen, scores.shape)
    return [
        Answer(begin=ranges[start][0], end=ranges[start + more][1], score=float(flat[index]))
        for index, start, more in zip(chosen.tolist(), starts.tolist(), extra.tolist(), strict=True)
        if start > 0 and start + more < len(ranges)
    ], missing


def best_answers(text: str, candidates: Sequence[Answer], *, options: AnswerOptions) -> list[Answer]:
    """A note's best answers, best first, without white space at their ends. Those with the same text are one, where the
    first of them stands; one of white space only is none."""
    joined: dict[str | None, Answer] = {}
    for candidate in candidates:
        if (candidate.begin, candidate.end) == NO_ANSWER:
            joined[None] = candidate
            continue
        begin, end = trimmed(text, candidate.begin, candidate.end)
        if words := text[begin:end].lower():
            before = joined.get(words, Answer(begin=begin, end=end, score=0.0))
            joined[words] = replace(before, score=before.score + candidate.score)
    return sorted(joined.values(), key=lambda answer: -answer.score)[: options.answers]
