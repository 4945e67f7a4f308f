"""The answers that a checkpoint gives by transformers alone, to be compared with those of a run.

    python -m training.predict_qa NOTES CHECKPOINT --output PREDICTIONS

NOTES is a .jsonl with note_id, text and question, as `python -m evaluation.qa notes` writes it. PREDICTIONS has a row
per answer, rank 0 the best, which `python -m evaluation.qa score` scores. transformers has no pipeline for questions
since version 5. So this runs the model itself, on each window alone, and picks spans as that pipeline did, but spans of
pieces and not of whole words (training/qa.py). With `--no-answer` there may be none: a row without text.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tokenizers import Encoding
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from evaluation.classify import read_records
from sparkclin.errors import SparkclinError
from sparkclin.schema import NOTE_ID, STATUS_EMPTY, STATUS_NULL, STATUS_OK, TEXT
from training.fine_tune import keep_attention_type, window_of
from training.qa import MAX_ANSWER_PIECES, QuestionRow, best_spans
from training.windowed import forward, rows_of_transformers

QUESTION = "question"
STATUS_NO_ANSWER = "no_answer"
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
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForQuestionAnswering.from_pretrained(checkpoint).eval()
    keep_attention_type(model)
    max_pieces = window_of(model, tokenizer, source=checkpoint, max_pieces=options.max_pieces)
    name = Path(checkpoint).name
    rows: list[tuple[Any, ...]] = []
    for note in notes:
        note_id, text = str(note[NOTE_ID]), note[TEXT]
        if text is None or not text.strip():
            status = STATUS_NULL if text is None else STATUS_EMPTY
            rows.append((note_id, 0, None, None, None, None, status, name))
            continue
        windows = rows_of_transformers(tokenizer, text, note[QUESTION], other_first=True, max_pieces=max_pieces)
        outputs = [forward(model, tokenizer, window) for window in windows]
        (spans,) = best_spans(
            [row_of(window, text) for window in windows],
            ((output.start_logits[0].numpy(), output.end_logits[0].numpy()) for output in outputs),
            longest=options.max_answer_pieces,
            no_answer=options.no_answer,
            top_k=options.top_k,
        )
        for rank, span in enumerate(spans):
            if span.range is None:
                rows.append((note_id, rank, None, None, None, span.score, STATUS_NO_ANSWER, name))
            else:
                rows.append((note_id, rank, *span.range, text[slice(*span.range)], span.score, STATUS_OK, name))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"begin": "Int32", "end": "Int32"})


def row_of(window: Encoding, text: str) -> QuestionRow:
    """Where the pieces of its second text are."""
    own = [position for position, sequence in enumerate(window.sequence_ids) if sequence == 1]
    offsets = [without_white_space(text, *window.offsets[position]) for position in own]
    begins, ends = np.array(offsets, dtype=np.int32).T
    return QuestionRow(0, {}, own[0], begins, ends)


def without_white_space(text: str, begin: int, end: int) -> tuple[int, int]:
    """The range without white space at its ends; of white space only, its end."""
    shown = text[begin:end].strip()
    first = begin + text[begin:end].find(shown)
    return (first, first + len(shown)) if shown else (end, end)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 for what the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m training.predict_qa", description=__doc__.splitlines()[0])
    default = PredictOptions
    parser.add_argument("notes", type=Path, help=".jsonl with note_id, text and question")
    parser.add_argument("checkpoint", help="a folder or hub id")
    parser.add_argument("--output", type=Path, required=True, help="parquet")
    parser.add_argument("--max-pieces", type=int, metavar="N", help="per window; default: the most the model reads")
    parser.add_argument("--max-answer-pieces", type=int, metavar="N", default=default.max_answer_pieces)
    parser.add_argument("--top-k", type=int, metavar="N", default=default.top_k, help="answers per question")
    parser.add_argument("--no-answer", action="store_true", help="a note may have no answer")
    options = parser.parse_args(arguments)
    try:
        found = predicted(
            read_records(options.notes, needed=[NOTE_ID, TEXT, QUESTION]),
            options.checkpoint,
            PredictOptions(
                max_pieces=options.max_pieces,
                max_answer_pieces=options.max_answer_pieces,
                top_k=options.top_k,
                no_answer=options.no_answer,
            ),
        )
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found.to_parquet(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
