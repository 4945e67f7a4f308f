"""What the scripts that write transformers' own predictions share (predict_classify.py, predict_qa.py)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from sparkclin.errors import exit_status
from sparkclin.evaluation.classify import read_records
from sparkclin.schema import STATUS_EMPTY, STATUS_NULL
from training.attention import keep_attention_type
from training.fine_tune import window_of


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A checkpoint in evaluation mode, and the pieces per window; `name` is what its rows say made them."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_pieces: int
    name: str

    @classmethod
    def of(cls, checkpoint: str, model_class: Any, *, max_pieces: int | None) -> Predictor:
        """`model_class` is transformers' class; `max_pieces` None stands for the most that the model reads."""
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        model = model_class.from_pretrained(checkpoint).eval()
        keep_attention_type(model)
        most = window_of(model, tokenizer, source=checkpoint, max_pieces=max_pieces)
        return cls(model=model, tokenizer=tokenizer, max_pieces=most, name=Path(checkpoint).name)


def unread_status(text: str | None) -> str | None:
    """Why nothing of a note can be read; None where it can."""
    if text is None:
        return STATUS_NULL
    return None if text.strip() else STATUS_EMPTY


def parser_of(module: str, description: str | None, *, notes: str) -> argparse.ArgumentParser:
    """The options that both scripts have; `notes` says what the file of notes is."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=(description or "").splitlines()[0])
    parser.add_argument("notes", type=Path, help=notes)
    parser.add_argument("checkpoint", help="a folder or hub id")
    parser.add_argument("--output", type=Path, required=True, help="parquet")
    parser.add_argument("--max-pieces", type=int, metavar="N", help="per window; default: the most the model reads")
    return parser


def write_predictions(
    asked: argparse.Namespace,
    predict: Callable[[Sequence[Mapping[str, Any]]], pd.DataFrame],
    *,
    needed: Sequence[str],
) -> int:
    """Writes what `predict` makes of the notes. Returns the exit status: 0, or 1 for what the user can mend."""
    return exit_status(lambda: predict(read_records(asked.notes, needed=needed)).to_parquet(asked.output))
