"""The answers that a checkpoint gives by transformers alone, to be compared with those of a run.

    python -m training.predict_qa NOTES CHECKPOINT --output PREDICTIONS

NOTES is a .jsonl with note_id, text and question, as `python -m sparkclin.evaluation.qa notes` writes it. PREDICTIONS
has a row per answer, rank 0 the best, which `python -m sparkclin.evaluation.qa score` scores. transformers has no
pipeline for questions since version 5. So this runs the model itself, on each window alone, and picks answers of whole
words as that pipeline did in version 4.57. With `--no-answer` there may be none: a row without text.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from tokenizers import Encoding
from transformers import AutoModelForQuestionAnswering

from sparkclin.schema import NOTE_ID, STATUS_NO_ANSWER, STATUS_OK, TEXT
from training.predictions import Predictor, parser_of, unread_status, write_predictions
from training.qa import MAX_ANSWER_PIECES, Span
from training.windowed import forward, rows_of_transformers

Logits = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Of begins and ends, (pieces,) each."""

QUESTION = "question"
COLUMNS = ["note_id", "rank", "begin", "end", "text", "score", "status", "model"]


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """`max_pieces` is the most that the model reads where it is None; `top_k` how many answers a question gets."""

    max_pieces: int | None = None
    max_answer_pieces: int = MAX_ANSWER_PIECES
    top_k: int = 1
    no_answer: bool = False


def predicted(notes: Sequence[Mapping[str, Any]], checkpoint: str, options: PredictOptions) -> pd.DataFrame:
    """COLUMNS: a row per answer; one, without an answer, for a note of which nothing can be read."""
    by = Predictor.of(checkpoint, AutoModelForQuestionAnswering, max_pieces=options.max_pieces)
    rows: list[tuple[Any, ...]] = []
    for note in notes:
        note_id, text = str(note[NOTE_ID]), note[TEXT]
        if status := unread_status(text):
            rows.append((note_id, 0, None, None, None, None, status, by.name))
            continue
        windows = rows_of_transformers(by.tokenizer, text, note[QUESTION], other_first=True, max_pieces=by.max_pieces)
        outputs = [forward(by.model, by.tokenizer, window) for window in windows]
        logits = [(output.start_logits[0].numpy(), output.end_logits[0].numpy()) for output in outputs]
        spans = answers_of(windows, logits, text, options)
        for rank, span in enumerate(spans):
            if span.range is None:
                rows.append((note_id, rank, None, None, None, span.score, STATUS_NO_ANSWER, by.name))
            else:
                rows.append((note_id, rank, *span.range, text[slice(*span.range)], span.score, STATUS_OK, by.name))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"begin": "Int32", "end": "Int32"})


def answers_of(windows: Sequence[Encoding], logits: Sequence[Logits], text: str, options: PredictOptions) -> list[Span]:
    """As QuestionAnsweringPipeline of transformers 4.57 makes answers of its windows; 5 has none."""
    scores: dict[str, float] = {}
    ranges: dict[str, tuple[int, int]] = {}
    missing = 1.0
    for window, of_window in zip(windows, logits, strict=True):
        asked = np.array([sequence == 1 for sequence in window.sequence_ids])
        readable = asked | (np.arange(len(asked)) == 0)
        begins, ends = (softmax(np.where(readable, numbers.astype(np.float64), -1e4)) for numbers in of_window)
        missing = min(missing, begins[0] * ends[0])
        spans = np.tril(np.triu(np.outer(begins * asked, ends * asked)), options.max_answer_pieces - 1)
        best = np.argsort(-spans, axis=None, kind="stable")[: 2 * options.top_k + 10]
        for first, last in zip(*np.unravel_index(best, spans.shape), strict=True):
            if asked[first] and asked[last]:
                found = range_of_words(window, int(first), int(last), text)
                if answer := text[slice(*found)].lower():
                    ranges.setdefault(answer, found)
                    scores[answer] = scores.get(answer, 0.0) + float(spans[first, last])
    answers = [Span(score, ranges[answer]) for answer, score in scores.items()]
    if options.no_answer:
        answers.append(Span(missing, None))
    return sorted(answers, key=lambda answer: -answer.score)[: options.top_k]


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    exponents = np.exp(logits - logits.max())
    found: npt.NDArray[np.float64] = exponents / exponents.sum()
    return found


def range_of_words(window: Encoding, first: int, last: int, text: str) -> tuple[int, int]:
    """From the begin of the word of one piece to the end of that of another; of a piece without a word, its own."""
    edges = []
    for piece in (first, last):
        word = window.token_to_word(piece)
        of_word = None if word is None else window.word_to_chars(word, sequence_index=1)
        edges.append(of_word or window.offsets[piece])
    return without_white_space(text, edges[0][0], edges[1][1])


def without_white_space(text: str, begin: int, end: int) -> tuple[int, int]:
    """The range without white space at its ends; of white space only, its end."""
    shown = text[begin:end].strip()
    first = begin + text[begin:end].find(shown)
    return (first, first + len(shown)) if shown else (end, end)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 for what the user can mend."""
    parser = parser_of("training.predict_qa", __doc__, notes=".jsonl with note_id, text and question")
    default = PredictOptions
    parser.add_argument("--max-answer-pieces", type=int, metavar="N", default=default.max_answer_pieces)
    parser.add_argument("--top-k", type=int, metavar="N", default=default.top_k, help="answers per question")
    parser.add_argument("--no-answer", action="store_true", help="a note may have no answer")
    asked = parser.parse_args(arguments)
    options = PredictOptions(
        max_pieces=asked.max_pieces,
        max_answer_pieces=asked.max_answer_pieces,
        top_k=asked.top_k,
        no_answer=asked.no_answer,
    )
    needed = [NOTE_ID, TEXT, QUESTION]
    return write_predictions(asked, lambda notes: predicted(notes, asked.checkpoint, options), needed=needed)


if __name__ == "__main__":
    sys.exit(main())
