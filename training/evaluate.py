"""Held-out loss of masked language modelling.

    python -m training.evaluate CHECKPOINT NOTES [--held-out 0.1] [--seed 0]

Each held-out note is one row, as it is when a corpus is embedded; a note longer than the model's positions is several.
15 % of the pieces are masked (80 % `<mask>`, 10 % a random piece, 10 % left as they are), the same ones for every model
of one tokenizer and seed. The loss is the mean over all masked pieces, in nats.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from sparkclin.evaluation.notes import read_notes
from training.attention import keep_attention_type
from training.rows import EncodedNotes, encode_notes
from training.split import split_notes

IGNORED = -100
MASKED_SHARE = 0.15


@dataclass(frozen=True, kw_only=True)
class HeldOutLoss:
    """Nats per masked piece. `untrained` is a model of the same configuration with fresh weights; `unigram` predicts
    every piece by its share of the training pieces (one added to each count)."""

    notes: int
    masked_pieces: int
    trained: float
    untrained: float
    unigram: float


@dataclass(frozen=True, kw_only=True)
class MaskedRow:
    """`input_ids` and `labels` (1, pieces); a label is IGNORED where the piece is not masked."""

    input_ids: torch.Tensor
    labels: torch.Tensor


def evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    train: EncodedNotes,
    held_out: EncodedNotes,
    seed: int = 0,
) -> HeldOutLoss:
    rows = list(mask_rows(held_out, tokenizer, max_length=usable_positions(model.config), seed=seed))
    labels = torch.cat([row.labels[row.labels != IGNORED] for row in rows])
    set_seed(seed)
    fresh = type(model)(model.config).to(model.device)
    return HeldOutLoss(
        notes=len(held_out.ends),
        masked_pieces=len(labels),
        trained=model_loss(model, rows),
        untrained=model_loss(fresh, rows),
        unigram=unigram_loss(train, labels, vocab_size=model.config.vocab_size),
    )


def usable_positions(config: PretrainedConfig) -> int:
    """The longest row. Like RoBERTa's, a Longformer's first position is the id of `<pad>` plus 1; a BigBird's is 0."""
    first = int(config.pad_token_id or 0) + 1 if config.model_type == "longformer" else 0
    return int(config.max_position_embeddings) - first


def scores_of(
    model: PreTrainedModel, input_ids: torch.Tensor, attention_mask: torch.Tensor, *, where: torch.Tensor
) -> torch.Tensor:
    """The vocabulary's scores, (pieces, vocabulary) float32, of the pieces `where` (batch, pieces) says so alone."""
    hidden = model.base_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    head = model.lm_head if hasattr(model, "lm_head") else model.cls  # BigBird's has BERT's name
    scores: torch.Tensor = head(hidden[where])
    return scores.float()


def mask_rows(
    notes: EncodedNotes, tokenizer: PreTrainedTokenizerBase, *, max_length: int, seed: int
) -> Iterator[MaskedRow]:
    """One row per note, or several of at most `max_length` pieces with `<s>` and `</s>` on each."""
    collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=MASKED_SHARE, seed=seed)
    for index in range(len(notes.ends)):
        content = notes.note(index)[1:-1].tolist()
        for begin in range(0, len(content), max_length - 2):
            ids = [tokenizer.cls_token_id, *content[begin : begin + max_length - 2], tokenizer.sep_token_id]
            special = [1] + [0] * (len(ids) - 2) + [1]
            batch = collate([{"input_ids": ids, "special_tokens_mask": special}])
            yield MaskedRow(input_ids=batch["input_ids"], labels=batch["labels"])


@torch.inference_mode()
def model_loss(model: PreTrainedModel, rows: Sequence[MaskedRow]) -> float:
    """Mean over all masked pieces of all rows, not a mean of the rows' means."""
    model.eval()
    keep_attention_type(model)
    total, count = 0.0, 0
    for row in rows:
        ids, labels = row.input_ids.to(model.device), row.labels.to(model.device)
        masked = labels != IGNORED
        scores, labels = scores_of(model, ids, torch.ones_like(ids), where=masked), labels[masked]
        total += torch.nn.functional.cross_entropy(scores, labels, reduction="sum").item()
        count += len(labels)
    return total / count


def unigram_loss(train: EncodedNotes, labels: torch.Tensor, *, vocab_size: int) -> float:
    counts = np.bincount(train.pieces, minlength=vocab_size) + 1.0
    return float(-np.log(counts[labels.numpy()] / counts.sum()).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a folder or a hub id, its tokenizer included")
    parser.add_argument("notes", type=Path, help=".jsonl, .parquet or .txt")
    parser.add_argument("--held-out", type=float, default=0.1, help="the share that was kept from training")
    parser.add_argument("--seed", type=int, default=0, help="which pieces are masked")
    options = parser.parse_args(arguments)
    tokenizer = AutoTokenizer.from_pretrained(options.checkpoint)
    model = AutoModelForMaskedLM.from_pretrained(options.checkpoint)
    split = split_notes(read_notes(options.notes), held_out=options.held_out)
    loss = evaluate(
        model,
        tokenizer,
        train=encode_notes([note.text for note in split.train], tokenizer),
        held_out=encode_notes([note.text for note in split.held_out], tokenizer),
        seed=options.seed,
    )
    print(json.dumps(asdict(loss), indent=2))


if __name__ == "__main__":
    main()
