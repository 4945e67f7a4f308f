"""The labels that a checkpoint gives notes by transformers alone, to be compared with those of a run.

    python -m training.predict_classify NOTES CHECKPOINT --output PREDICTIONS

NOTES is a .jsonl with note_id and text, and pair for pairs of texts, as `python -m sparkclin.evaluation.classify notes`
writes it. PREDICTIONS has a row per note and label, which `python -m sparkclin.evaluation.classify score` scores.
transformers' tokenizer cuts the windows. Each goes through the model alone: in a batch, BigBird's attention would
depend on the longest row.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from transformers import AutoModelForSequenceClassification

from sparkclin.export.heads.labels import problem_type_of
from sparkclin.schema import NOTE_ID, PAIR, STATUS_OK, TEXT
from sparkclin.text.labels import LABEL_AGGREGATIONS, MULTI_LABEL, REGRESSION, SINGLE_LABEL, THRESHOLD, LabelOptions
from training.predictions import Predictor, parser_of, unread_status, write_predictions
from training.windowed import forward, rows_of_transformers

COLUMNS = ["note_id", "label_index", "label", "score", "predicted", "status", "model"]


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """`max_pieces` is by default the most that the model reads; `threshold` is as in LabelOptions."""

    max_pieces: int | None = None
    aggregation: str = "mean"
    threshold: float | None = None
    pair_first: bool = False


def predicted(notes: Sequence[Mapping[str, Any]], checkpoint: str, options: PredictOptions) -> pd.DataFrame:
    """Return COLUMNS: a row per note and label, or one row without a label for a note that cannot be read. Raises
    OptionError for a threshold that has no effect."""
    by = Predictor.of(checkpoint, AutoModelForSequenceClassification, max_pieces=options.max_pieces)
    config = by.model.config
    labels = LabelOptions(
        problem_type=problem_type_of(config.to_dict(), n_labels=config.num_labels),
        aggregation=options.aggregation,
        threshold=options.threshold,
    )
    rows: list[tuple[Any, ...]] = []
    for note in notes:
        note_id, text = str(note[NOTE_ID]), note[TEXT]
        if status := unread_status(text):
            rows.append((note_id, None, None, None, None, status, by.name))
            continue
        windows = rows_of_transformers(
            by.tokenizer, text, note.get(PAIR), other_first=options.pair_first, max_pieces=by.max_pieces
        )
        logits = torch.stack([forward(by.model, by.tokenizer, window).logits[0] for window in windows])
        of_windows = _scores(logits, labels.problem_type)
        scores = of_windows.amax(dim=0) if options.aggregation == "max" else of_windows.mean(dim=0)
        for index, value in enumerate(scores.tolist()):
            is_predicted = {
                SINGLE_LABEL: index == int(scores.argmax()),
                MULTI_LABEL: labels.threshold is not None and value >= labels.threshold,
                REGRESSION: None,
            }[labels.problem_type]
            rows.append((note_id, index, config.id2label[index], value, is_predicted, STATUS_OK, by.name))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"label_index": "Int32", "predicted": "boolean"})


def _scores(logits: torch.Tensor, problem_type: str) -> torch.Tensor:
    """Return the scores of logits, (windows, labels), as transformers' pipeline computes them."""
    if problem_type == REGRESSION:
        return logits
    return logits.softmax(dim=1) if problem_type == SINGLE_LABEL else logits.sigmoid()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 for what the user can mend."""
    parser = parser_of("training.predict_classify", __doc__, notes=".jsonl with note_id and text, and pair for pairs")
    parser.add_argument("--aggregation", choices=LABEL_AGGREGATIONS, default="mean", help="default: %(default)s")
    parser.add_argument("--threshold", type=float, help=f"of several labels (default: {THRESHOLD})")
    parser.add_argument("--pair-first", action="store_true", help="the pair stands before the note, not behind it")
    asked = parser.parse_args(arguments)
    options = PredictOptions(
        max_pieces=asked.max_pieces,
        aggregation=asked.aggregation,
        threshold=asked.threshold,
        pair_first=asked.pair_first,
    )
    return write_predictions(asked, lambda notes: predicted(notes, asked.checkpoint, options), needed=[NOTE_ID, TEXT])


if __name__ == "__main__":
    sys.exit(main())
