"""Fine-tuning for entities: a checkpoint of either family becomes one with a head of token classification.

    python -m training.ner --train train.tsv --dev devel.tsv --init CHECKPOINT --output ner_checkpoint --work run

Corpora are CoNLL files in IOB2 (evaluation/ner.py). The defaults are those of the Clinical-Longformer authors for the
i2b2 corpora (Li et al., arXiv 2201.11838): learning rate 2e-5, 4 epochs, 4 rows per step. Rows are notes, and windows
of notes that are longer than a window: each piece counts in the window that owns it, as when entities are found. The
label of a word stands at its first piece. The epoch with the best F1 on `--dev` is kept; training ends early where
`--patience` epochs bring nothing better. A seed gives the same weights on the same machine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    set_seed,
)

from evaluation.ner import EntityScore, Sentence, read_conll, score
from export.assets import RowEnds
from export.families import family_of
from sparkclin.errors import OptionError
from sparkclin.text.entities import OUTSIDE_LABEL
from sparkclin.text.windows import cut, default_stride, own
from training.evaluate import IGNORED
from training.pretrain import LIBRARIES, RECORD_FILE
from training.tokenizer import save_tokenizer


@dataclass(frozen=True, kw_only=True)
class NerOptions:
    """`train` and `dev` are CoNLL files, of which `sentences_per_note` sentences in a row make a note; `init` a
    checkpoint folder or hub id; `batch` rows per step; `work` the folder of the run's own checkpoints; `patience` in
    epochs. `max_pieces` is what the model reads where it is None."""

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
    sentences_per_note: int = 1
    max_pieces: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        names = ("epochs", "batch", "patience", "sentences_per_note")
        counts = {name: getattr(self, name) for name in names}
        if problems := [f"{name} is {count}, it must be at least 1" for name, count in counts.items() if count < 1]:
            raise OptionError("; ".join(problems) + ".")


@dataclass(frozen=True, kw_only=True)
class NerRecord:
    """What made a checkpoint, without a path of the machine that did."""

    date: str
    elapsed_s: float
    init: str
    train: list[str]
    dev: list[str]
    train_notes: int
    dev_notes: int
    sentences_per_note: int
    lr: float
    epochs: int
    best_epoch: float
    batch: int
    weight_decay: float
    seed: int
    labels: list[str]
    dev_score: EntityScore
    libraries: dict[str, str]


@dataclass(frozen=True)
class LabelledRow:
    """A window with its special pieces: ids and label numbers, both (pieces,); `words` are those whose first piece has
    a label here, as (sentence, word)."""

    ids: list[int]
    labels: list[int]
    words: list[tuple[int, int]]


class LabelledRows(Dataset[dict[str, list[int]]]):
    """The rows of sentences."""

    def __init__(self, rows: Sequence[LabelledRow]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        row = self.rows[index]
        return {"input_ids": row.ids, "attention_mask": [1] * len(row.ids), "labels": row.labels}


def labelled_rows(
    sentences: Sequence[Sentence], tokenizer: PreTrainedTokenizerBase, *, numbers: dict[str, int], max_pieces: int
) -> Iterator[LabelledRow]:
    """The windows of each sentence; `numbers` are those of labels. Nothing is cut off."""
    for number, sentence in enumerate(sentences):
        encoded = tokenizer(
            sentence.text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        ids, firsts = encoded["input_ids"], dict(first_pieces(sentence, encoded["offset_mapping"]))
        for window in own(cut(len(ids), max_pieces, default_stride(max_pieces))):
            owned = {piece: word for piece, word in firsts.items() if window.own_begin <= piece < window.own_end}
            labels = [
                numbers[sentence.labels[owned[piece]]] if piece in owned else IGNORED
                for piece in range(window.begin, window.end)
            ]
            yield LabelledRow(
                [tokenizer.cls_token_id, *ids[window.begin : window.end], tokenizer.sep_token_id],
                [IGNORED, *labels, IGNORED],
                [(number, word) for word in owned.values()],
            )


def first_pieces(sentence: Sentence, offsets: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The first piece that reaches into each word, and the word's number."""
    ends = np.array([end for _, end in offsets])
    taken = -1
    for word, (begin, _) in enumerate(sentence.ranges):
        piece = int(np.searchsorted(ends, begin, side="right"))
        if taken < piece < len(ends):
            yield piece, word
            taken = piece


def labels_of_words(
    sentences: Sequence[Sentence], rows: Sequence[LabelledRow], found: Iterable[Sequence[str]]
) -> list[list[str]]:
    """The labels that were found at each row's labelled pieces, by sentence and word."""
    labels = [[OUTSIDE_LABEL] * len(sentence.words) for sentence in sentences]
    for row, of_row in zip(rows, found, strict=True):
        for (sentence, word), label in zip(row.words, of_row, strict=True):
            labels[sentence][word] = label
    return [list(mended(row)) for row in labels]


def mended(labels: Sequence[str]) -> Iterator[str]:
    """IOB2 of labels as a model gives them: an entity that begins with I- begins with B-."""
    previous = OUTSIDE_LABEL
    for label in labels:
        goes_on = label[:2] == "I-" and previous[2:] == label[2:]
        previous = label if goes_on or label == OUTSIDE_LABEL else f"B-{label[2:]}"
        yield previous


def fine_tune(options: NerOptions) -> NerRecord:
    """Trains, writes the checkpoint with its record to `options.output`, and returns the record.

    Raises InputError for a corpus that cannot be read, and OptionError for windows that the model cannot.
    """
    set_seed(options.seed)
    train, dev = (read_all(files, per_note=options.sentences_per_note) for files in (options.train, options.dev))
    labels = label_set([*train, *dev])
    numbers = {label: number for number, label in enumerate(labels)}
    tokenizer = AutoTokenizer.from_pretrained(options.init)
    model = AutoModelForTokenClassification.from_pretrained(
        options.init, id2label=dict(enumerate(labels)), label2id=numbers
    )
    max_pieces = window_of(model, tokenizer, options)
    train_rows, dev_rows = (
        list(labelled_rows(sentences, tokenizer, numbers=numbers, max_pieces=max_pieces)) for sentences in (train, dev)
    )

    def metrics(predicted: Any) -> dict[str, float]:
        return {"f1": dev_score(dev, dev_rows, predicted.predictions, labels).f1}

    trainer = Trainer(
        model=model,
        args=training_arguments(options, rows=len(train_rows)),
        train_dataset=LabelledRows(train_rows),
        eval_dataset=LabelledRows(dev_rows),
        data_collator=DataCollatorForTokenClassification(tokenizer),
        processing_class=tokenizer,
        compute_metrics=metrics,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=options.patience)],
    )
    started = time.monotonic()
    trainer.train()
    elapsed_s = time.monotonic() - started
    best = trainer.predict(LabelledRows(dev_rows)).predictions
    record = NerRecord(
        date=datetime.now(UTC).date().isoformat(),
        elapsed_s=round(elapsed_s, 1),
        init=Path(options.init).name,
        train=[file.name for file in options.train],
        dev=[file.name for file in options.dev],
        train_notes=len(train),
        dev_notes=len(dev),
        sentences_per_note=options.sentences_per_note,
        lr=options.lr,
        epochs=options.epochs,
        best_epoch=best_epoch(trainer),
        batch=options.batch,
        weight_decay=options.weight_decay,
        seed=options.seed,
        labels=list(labels),
        dev_score=dev_score(dev, dev_rows, best, labels),
        libraries={name: version(name) for name in (*LIBRARIES, "nervaluate")},
    )
    options.output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(options.output)
    save_tokenizer(tokenizer, options.output)
    (options.output / RECORD_FILE).write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    return record


def read_all(files: Sequence[Path], *, per_note: int) -> list[Sentence]:
    """The sentences of all files, `per_note` of a file in a row joined to one: a long row is padded less than many
    short ones, and shows more context."""
    found = []
    for file in files:
        sentences = read_conll(file)
        found += [joined(sentences[begin : begin + per_note]) for begin in range(0, len(sentences), per_note)]
    return found


def joined(sentences: Sequence[Sentence]) -> Sentence:
    words, labels = (tuple(chain.from_iterable(getattr(s, name) for s in sentences)) for name in ("words", "labels"))
    return Sentence(words, labels)


def label_set(sentences: Sequence[Sentence]) -> tuple[str, ...]:
    """O, then B- and I- of every kind in the order of the alphabet."""
    kinds = sorted({label[2:] for sentence in sentences for label in sentence.labels if label != OUTSIDE_LABEL})
    return (OUTSIDE_LABEL, *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI"))


def window_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, options: NerOptions) -> int:
    """Pieces per window, special ones not counted; CheckpointError for a model of a family that cannot be exported."""
    config = model.config.to_dict()
    ends = RowEnds.of(tokenizer.backend_tokenizer.to_str())
    most = family_of(config, source=options.init).parse_config(config, ends).max_pieces
    if options.max_pieces is not None and not 1 <= options.max_pieces <= most:
        raise OptionError(f"max_pieces is {options.max_pieces}; the model reads 1 to {most}.")
    return options.max_pieces or most


def training_arguments(options: NerOptions, *, rows: int) -> TrainingArguments:
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
        metric_for_best_model="f1",
        use_cpu=not torch.accelerator.is_available(),
        dataloader_pin_memory=torch.accelerator.is_available(),
        seed=options.seed,
        report_to="none",
        disable_tqdm=True,
        logging_steps=100,
    )


def dev_score(
    sentences: Sequence[Sentence], rows: Sequence[LabelledRow], logits: npt.NDArray[np.float32], labels: Sequence[str]
) -> EntityScore:
    """`logits` (rows, pieces, labels), padded."""
    found = []
    for row, of_row in zip(rows, logits, strict=True):
        is_labelled = np.array(row.labels) != IGNORED
        found.append([labels[number] for number in of_row[: len(row.labels)][is_labelled].argmax(axis=1)])
    return score([sentence.labels for sentence in sentences], labels_of_words(sentences, rows, found))


def best_epoch(trainer: Trainer) -> float:
    scored = [entry for entry in trainer.state.log_history if "eval_f1" in entry]
    return float(max(scored, key=lambda entry: entry["eval_f1"])["epoch"])


def parse_options(arguments: Sequence[str] | None = None) -> NerOptions:
    parser = argparse.ArgumentParser(
        prog="python -m training.ner", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults, add = NerOptions, parser.add_argument
    add("--train", type=Path, nargs="+", required=True, metavar="FILE", help="CoNLL files to train on")
    add("--dev", type=Path, nargs="+", required=True, metavar="FILE", help="CoNLL files that choose the epoch")
    add("--init", required=True, metavar="CHECKPOINT", help="start from this one: a folder or a hub id")
    add("--output", type=Path, required=True, help="folder of the finished checkpoint")
    add("--work", type=Path, required=True, help="folder of the run's own checkpoints")
    add("--lr", type=float, default=defaults.lr, help="peak learning rate; it then falls to 0 linearly")
    add("--epochs", type=int, default=defaults.epochs)
    add("--batch", type=int, default=defaults.batch, help="rows in a step")
    add("--warm-up-share", type=float, default=defaults.warm_up_share, help="share of the steps until the peak")
    add("--weight-decay", type=float, default=defaults.weight_decay)
    add("--patience", type=int, default=defaults.patience, help="epochs without a better F1 that end the training")
    add("--sentences-per-note", type=int, default=defaults.sentences_per_note, metavar="N", help="joined to one note")
    add("--max-pieces", type=int, metavar="N", help="pieces per window; default: the most the model reads")
    add("--seed", type=int, default=defaults.seed)
    asked = vars(parser.parse_args(arguments))
    return NerOptions(**{**asked, "train": tuple(asked["train"]), "dev": tuple(asked["dev"])})


def main(arguments: Sequence[str] | None = None) -> None:
    print(json.dumps(asdict(fine_tune(parse_options(arguments))), indent=2))


if __name__ == "__main__":
    main()
