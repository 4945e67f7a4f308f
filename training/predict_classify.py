"""The labels that a checkpoint gives notes by transformers alone, to be compared with those of a run.

    python -m training.predict_classify NOTES CHECKPOINT --output PREDICTIONS

NOTES is a .jsonl with note_id and text, and pair for pairs of texts, as `python -m evaluation.classify notes` writes
it. PREDICTIONS has a row per note and label, which `python -m evaluation.classify score` scores. transformers'
tokenizer cuts the windows. Each goes through the model alone: in a batch, BigBird's attention would depend on the
longest row.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from evaluation.classify import read_records
from sparkclin.errors import SparkclinError
from sparkclin.schema import NOTE_ID, STATUS_EMPTY, STATUS_NULL, STATUS_OK, TEXT
from sparkclin.text.labels import LABEL_AGGREGATIONS, MULTI_LABEL
from training.classify import THRESHOLD
from training.fine_tune import keep_attention_type, window_of
from training.windowed import forward, rows_of_transformers

PAIR = "pair"
COLUMNS = ["note_id", "label_index", "label", "score", "predicted", "status", "model"]


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """`max_pieces` is the most that the model reads where it is None."""

    max_pieces: int | None = None
    aggregation: str = "mean"
    threshold: float = THRESHOLD
    pair_first: bool = False


def predicted(notes: Sequence[Mapping[str, Any]], checkpoint: str, options: PredictOptions) -> pd.DataFrame:
    """COLUMNS: a row per note and label; one, without a label, for a note of which nothing can be read."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    keep_attention_type(model)
    max_pieces = window_of(model, tokenizer, source=checkpoint, max_pieces=options.max_pieces)
    is_multi_label = model.config.problem_type == MULTI_LABEL
    name = Path(checkpoint).name
    rows: list[tuple[Any, ...]] = []
    for note in notes:
        note_id, text = str(note[NOTE_ID]), note[TEXT]
        if text is None or not text.strip():
            rows.append((note_id, None, None, None, None, STATUS_NULL if text is None else STATUS_EMPTY, name))
            continue
        windows = rows_of_transformers(
            tokenizer, text, note.get(PAIR), other_first=options.pair_first, max_pieces=max_pieces
        )
        logits = torch.stack([forward(model, tokenizer, window).logits[0] for window in windows])
        of_windows = logits.sigmoid() if is_multi_label else logits.softmax(dim=1)
        scores = of_windows.amax(dim=0) if options.aggregation == "max" else of_windows.mean(dim=0)
        for index, value in enumerate(scores.tolist()):
            is_predicted = value >= options.threshold if is_multi_label else index == int(scores.argmax())
            rows.append((note_id, index, model.config.id2label[index], value, is_predicted, STATUS_OK, name))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"label_index": "Int32", "predicted": "boolean"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 for what the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m training.predict_classify", description=__doc__.splitlines()[0])
    parser.add_argument("notes", type=Path, help=".jsonl with note_id and text, and pair for pairs")
    parser.add_argument("checkpoint", help="a folder or hub id")
    parser.add_argument("--output", type=Path, required=True, help="parquet")
    parser.add_argument("--max-pieces", type=int, metavar="N", help="per window; default: the most the model reads")
    parser.add_argument("--aggregation", choices=LABEL_AGGREGATIONS, default="mean", help="default: %(default)s")
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="of several labels (default: %(default)s)")
    parser.add_argument("--pair-first", action="store_true", help="the pair stands before the note, not behind it")
    options = parser.parse_args(arguments)
    try:
        found = predicted(
            read_records(options.notes, needed=[NOTE_ID, TEXT]),
            options.checkpoint,
            PredictOptions(
                max_pieces=options.max_pieces,
                aggregation=options.aggregation,
                threshold=options.threshold,
                pair_first=options.pair_first,
            ),
        )
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found.to_parquet(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
