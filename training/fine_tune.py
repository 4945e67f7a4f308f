"""What the fine-tuning scripts share (ner.py, classify.py, qa.py): options, the Trainer, and the record of a run.

The rows of a run are the windows of its notes. The epoch with the best metric on `--dev` is kept; training ends early
where `--patience` epochs bring nothing better. A seed gives the same weights on the same machine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.utils.data import Dataset
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

from sparkclin.errors import OptionError, exit_status
from sparkclin.export.assets import RowEnds
from sparkclin.export.families import family_of
from training.attention import keep_attention_type
from training.pretrain import LIBRARIES, RECORD_FILE
from training.tokenizer import save_tokenizer

Features = Mapping[str, list[int] | list[float] | int]
"""A row as the model takes it: `input_ids`, `attention_mask` and what it is to learn."""


@dataclass(frozen=True, kw_only=True)
class FineTuneOptions:
    """`train` and `dev` are corpora; `init` a checkpoint folder or hub id; `batch` rows per step; `work` the folder of
    the run's own checkpoints; `patience` in epochs. `max_pieces` is what the model reads where it is None, `dropout`
    what the checkpoint has."""

    counts: ClassVar[tuple[str, ...]] = ("epochs", "batch", "patience")
    """The options that must be at least 1."""

    train: tuple[Path, ...]
    dev: tuple[Path, ...]
    init: str
    output: Path
    work: Path
    lr: float = 2e-5
    epochs: int = 4
    batch: int = 4
    warm_up_share: float = 0.1
    weight_decay: float = 0.01
    patience: int = 2
    max_pieces: int | None = None
    dropout: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in self.counts}
        if problems := [f"{name} is {count}, it must be at least 1" for name, count in counts.items() if count < 1]:
            raise OptionError("; ".join(problems) + ".")


@dataclass(frozen=True, kw_only=True)
class Run:
    """What made a checkpoint, without a path of the machine that did. `rows` are windows to train
    on; `epochs_run` is less than `epochs` where training ended early."""

    date: str
    elapsed_s: float
    init: str
    train: list[str]
    dev: list[str]
    rows: int
    lr: float
    epochs: int
    epochs_run: float
    best_epoch: float
    batch: int
    weight_decay: float
    dropout: float | None
    max_pieces: int
    seed: int
    libraries: dict[str, str]


@dataclass(frozen=True)
class Trained:
    """`predictions` are those of the dev rows, by the best epoch's weights, as Trainer.predict() gives them."""

    run: Run
    predictions: Any


class Rows(Dataset[Features]):
    def __init__(self, rows: Sequence[Features]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Features:
        return self.rows[index]


def train_best(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    options: FineTuneOptions,
    *,
    train: Sequence[Features],
    dev: Sequence[Features],
    collator: Any,
    metric: Callable[[Any], float],
    max_pieces: int,
    libraries: Sequence[str] = (),
) -> Trained:
    """Trains `model`, which then has the weights of the epoch with the best `metric`, a function of the predictions for
    the dev rows. `libraries` are those of the metric, for the record."""
    keep_attention_type(model)
    trainer = Trainer(
        model=model,
        args=training_arguments(options, rows=len(train)),
        train_dataset=Rows(train),
        eval_dataset=Rows(dev),
        data_collator=collator,
        processing_class=tokenizer,
        compute_metrics=lambda predicted: {"metric": metric(predicted.predictions)},
        callbacks=[EarlyStoppingCallback(early_stopping_patience=options.patience)],
    )
    started = time.monotonic()
    trainer.train()
    elapsed_s = time.monotonic() - started
    epochs_run = float(trainer.state.epoch)
    run = Run(
        date=datetime.now(UTC).date().isoformat(),
        elapsed_s=round(elapsed_s, 1),
        init=Path(options.init).name,
        train=[file.name for file in options.train],
        dev=[file.name for file in options.dev],
        rows=len(train),
        lr=options.lr,
        epochs=options.epochs,
        epochs_run=epochs_run,
        best_epoch=best_epoch(trainer),
        batch=options.batch,
        weight_decay=options.weight_decay,
        dropout=options.dropout,
        max_pieces=max_pieces,
        seed=options.seed,
        libraries={name: version(name) for name in (*LIBRARIES, *libraries)},
    )
    return Trained(run, trainer.predict(Rows(dev)).predictions)


def dropout_settings(options: FineTuneOptions) -> dict[str, float]:
    """Fields of the model's config; none where the checkpoint's are kept."""
    names = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    return {} if options.dropout is None else dict.fromkeys(names, options.dropout)


def training_arguments(options: FineTuneOptions, *, rows: int) -> TrainingArguments:
    steps = -(-rows // options.batch) * options.epochs
    return TrainingArguments(
        output_dir=str(options.work),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch,
        per_device_eval_batch_size=options.batch,
        learning_rate=options.lr,
        warmup_steps=round(options.warm_up_share * steps),
        weight_decay=options.weight_decay,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="metric",
        use_cpu=not torch.accelerator.is_available(),
        dataloader_pin_memory=torch.accelerator.is_available(),
        seed=options.seed,
        report_to="none",
        disable_tqdm=True,
        logging_steps=100,
    )


def best_epoch(trainer: Trainer) -> float:
    scored = [entry for entry in trainer.state.log_history if "eval_metric" in entry]
    return float(max(scored, key=lambda entry: entry["eval_metric"])["epoch"])


def window_of(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, source: str, max_pieces: int | None
) -> int:
    """Pieces per window, special ones not counted; CheckpointError for a model of a family that cannot be exported."""
    config = model.config.to_dict()
    ends = RowEnds.of(tokenizer.backend_tokenizer.to_str())
    most = family_of(config, source=source).parse_config(config, ends).max_pieces
    if max_pieces is not None and not 1 <= max_pieces <= most:
        raise OptionError(f"max_pieces is {max_pieces}; the model reads 1 to {most}.")
    return max_pieces or most


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, record: Any, *, folder: Path) -> None:
    """The checkpoint, with its record, which is a dataclass."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    (folder / RECORD_FILE).write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")


def parser_of(
    module: str, description: str | None, defaults: type[FineTuneOptions], *, files: str, metric: str
) -> argparse.ArgumentParser:
    """The options that all scripts have; `files` is what a corpus is, `metric` what chooses the epoch."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--train", type=Path, nargs="+", required=True, metavar="FILE", help=f"{files} to train on")
    add("--dev", type=Path, nargs="+", required=True, metavar="FILE", help=f"{files} that choose the epoch")
    add("--init", required=True, metavar="CHECKPOINT", help="start from this one: a folder or a hub id")
    add("--output", type=Path, required=True, help="folder of the finished checkpoint")
    add("--work", type=Path, required=True, help="folder of the run's own checkpoints")
    add("--lr", type=float, default=defaults.lr, help="peak learning rate; it then falls to 0 linearly")
    add("--epochs", type=int, default=defaults.epochs)
    add("--batch", type=int, default=defaults.batch, help="rows in a step")
    add("--warm-up-share", type=float, default=defaults.warm_up_share, help="share of the steps until the peak")
    add("--weight-decay", type=float, default=defaults.weight_decay)
    add(
        "--patience",
        type=int,
        default=defaults.patience,
        help=f"epochs without a better {metric} that end the training",
    )
    add("--max-pieces", type=int, metavar="N", help="pieces per window; default: the most the model reads")
    add("--dropout", type=float, metavar="P", help="of hidden states and attention; default: the checkpoint's")
    add("--seed", type=int, default=defaults.seed)
    return parser


def shared_options(parsed: argparse.Namespace) -> dict[str, Any]:
    """The options of parser_of(), by the names of the fields."""
    found = {field.name: getattr(parsed, field.name) for field in fields(FineTuneOptions)}
    return {**found, "train": tuple(found["train"]), "dev": tuple(found["dev"])}


def run_and_print(fine_tune: Callable[[], Any]) -> int:
    """Prints the record. Returns the exit status: 0, or 1 for what the user can mend."""
    return exit_status(lambda: print(json.dumps(asdict(fine_tune()), indent=2)))
