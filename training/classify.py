"""Fine-tuning for labels of notes, or of pairs of texts: a checkpoint of either family becomes one with a head of
sequence classification.

    python -m training.classify --train train.csv --dev dev.csv --init CHECKPOINT --output classes --work run

Corpora are CSV or JSONL (evaluation/classify.py). The defaults are those of the Clinical-Longformer authors for chest
X-ray reports with several labels (Li et al., arXiv 2201.11838): learning rate 2e-5, 10 epochs; they read 1,024 pieces,
which is `--max-pieces 1022`. A note longer than a window is cut into windows that overlap, each a row with the note's
labels; on `--dev` the probabilities of a note's windows are combined, as when notes are run. The epoch with the best
macro F1 (with `--multi-label`: micro F1) is kept (training/fine_tune.py).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    set_seed,
)

from sparkclin.errors import InputError
from sparkclin.evaluation.classify import ClassScore, Columns, Example, add_columns, columns_of, read_examples, score
from sparkclin.text.labels import (
    LABEL_AGGREGATIONS,
    MULTI_LABEL,
    SINGLE_LABEL,
    THRESHOLD,
    Floats64,
    LabelOptions,
    probabilities,
)
from sparkclin.text.pieces import PieceEncoder
from training.fine_tune import (
    Features,
    FineTuneOptions,
    Run,
    dropout_settings,
    parser_of,
    run_and_print,
    save,
    shared_options,
    train_best,
    window_of,
)
from training.windowed import Layout, check_room


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions(FineTuneOptions):
    """`aggregation` is how the probabilities of a note's windows are combined; with `pair_first` the pair stands before
    the note."""

    epochs: int = 10
    columns: Columns = field(default_factory=Columns)
    pair_first: bool = False
    aggregation: str = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        LabelOptions(problem_type=self.problem_type, aggregation=self.aggregation)  # which refuses what is not known

    @property
    def problem_type(self) -> str:
        return MULTI_LABEL if self.columns.multi_label else SINGLE_LABEL


@dataclass(frozen=True, kw_only=True)
class ClassifyRecord:
    """What made a checkpoint, and how good it is on `run.dev`."""

    run: Run
    train_notes: int
    dev_notes: int
    columns: Columns
    pair_first: bool
    aggregation: str
    labels: list[str]
    dev_score: ClassScore


@dataclass(frozen=True)
class NoteRows:
    """The rows of notes, those of a note in a row: `begins` has each note's first."""

    features: list[Features]
    begins: list[int]


def fine_tune(options: ClassifyOptions) -> ClassifyRecord:
    """Trains, writes the checkpoint with its record to `options.output`, and returns the record.

    Raises InputError for a corpus that cannot be read, and OptionError for windows that the model cannot.
    """
    set_seed(options.seed)
    columns = options.columns
    train, dev = (read_all(files, columns) for files in (options.train, options.dev))
    labels = label_set(train, dev)
    tokenizer = AutoTokenizer.from_pretrained(options.init)
    model = AutoModelForSequenceClassification.from_pretrained(
        options.init,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        problem_type=options.problem_type,
        **dropout_settings(options),
    )
    max_pieces = window_of(model, tokenizer, source=options.init, max_pieces=options.max_pieces)
    train_rows, dev_rows = (
        rows_of(
            examples,
            tokenizer,
            labels=labels,
            multi_label=columns.multi_label,
            pair_first=options.pair_first,
            max_pieces=max_pieces,
        )
        for examples in (train, dev)
    )

    def dev_score(logits: npt.NDArray[np.float32]) -> ClassScore:
        of_windows = probabilities(logits, options.problem_type)
        combined = combine(of_windows, dev_rows.begins, aggregation=options.aggregation)
        found = [[labels[number] for number in row] for row in chosen(combined, multi_label=columns.multi_label)]
        return score([example.labels for example in dev], found)

    def metric(logits: npt.NDArray[np.float32]) -> float:
        found = dev_score(logits)
        return found.micro_f1 if columns.multi_label else found.macro_f1

    trained = train_best(
        model,
        tokenizer,
        options,
        train=train_rows.features,
        dev=dev_rows.features,
        collator=DataCollatorWithPadding(tokenizer),
        metric=metric,
        max_pieces=max_pieces,
        libraries=["scikit-learn"],
    )
    record = ClassifyRecord(
        run=trained.run,
        train_notes=len(train),
        dev_notes=len(dev),
        columns=columns,
        pair_first=options.pair_first,
        aggregation=options.aggregation,
        labels=list(labels),
        dev_score=dev_score(trained.predictions),
    )
    save(model, tokenizer, record, folder=options.output)
    return record


def read_all(files: Sequence[Path], columns: Columns) -> list[Example]:
    return [example for file in files for example in read_examples(file, columns)]


def label_set(train: Sequence[Example], dev: Sequence[Example]) -> tuple[str, ...]:
    """In the order of the alphabet. Raises InputError where there are fewer than two, or one is in `dev` alone."""
    learned, asked_for = ({label for example in examples for label in example.labels} for examples in (train, dev))
    if unknown := sorted(asked_for - learned):
        raise InputError(
            f"{len(unknown)} of {len(asked_for)} labels of --dev are not in --train: {', '.join(unknown[:10])}. Move "
            "some of their notes to --train, or take the labels out."
        )
    if len(learned) < 2:
        raise InputError(f"--train has {len(learned)} labels, expected at least 2. Look at --label-column.")
    return tuple(sorted(learned))


def rows_of(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    *,
    labels: Sequence[str],
    multi_label: bool,
    pair_first: bool,
    max_pieces: int,
) -> NoteRows:
    """Every window of every note, with the note's labels: their 0.0 or 1.0 each, or the number of the one."""
    encoder, layout = PieceEncoder(tokenizer.backend_tokenizer.to_str()), Layout.of(tokenizer)
    notes = [pieces.ids.tolist() for pieces in encoder.encode([example.text for example in examples])]
    pairs = [pieces.ids.tolist() for pieces in encoder.encode([example.pair or "" for example in examples])]
    if without_pieces := sum(not note for note in notes):
        raise InputError(f"{without_pieces} of {len(notes)} notes have no piece for this tokenizer: leave them out.")
    if with_pair := examples[0].pair is not None:
        check_room(layout, pairs, max_pieces=max_pieces, what="pair")
    features: list[Features] = []
    begins = []
    for example, note, pair in zip(examples, notes, pairs, strict=True):
        begins.append(len(features))
        wanted: list[float] | int = (
            [float(label in example.labels) for label in labels] if multi_label else labels.index(example.labels[0])
        )
        rows = layout.rows(note, pair if with_pair else None, other_first=pair_first, max_pieces=max_pieces)
        features += [{**row.features, "labels": wanted} for row in rows]
    return NoteRows(features, begins)


def combine(of_windows: Floats64, begins: Sequence[int], *, aggregation: str) -> Floats64:
    """(windows, labels) -> (notes, labels): the mean or the largest over the windows of each note."""
    if aggregation == "max":
        return np.asarray(np.maximum.reduceat(of_windows, begins))
    counts = np.diff([*begins, len(of_windows)])
    return np.asarray(np.add.reduceat(of_windows, begins) / counts[:, None])


def chosen(of_notes: Floats64, *, multi_label: bool) -> list[list[int]]:
    """The numbers of each note's labels: all that reach THRESHOLD, or the likeliest."""
    if multi_label:
        return [np.flatnonzero(row >= THRESHOLD).tolist() for row in of_notes]
    return [[int(row.argmax())] for row in of_notes]


def parse_options(arguments: Sequence[str] | None = None) -> ClassifyOptions:
    parser = parser_of("training.classify", __doc__, ClassifyOptions, files="CSV or JSONL files", metric="F1")
    add_columns(parser)
    parser.add_argument("--pair-first", action="store_true", help="the pair stands before the note, not behind it")
    parser.add_argument(
        "--aggregation",
        choices=LABEL_AGGREGATIONS,
        default="mean",
        help="of the windows of a note (default: %(default)s)",
    )
    found = parser.parse_args(arguments)
    return ClassifyOptions(
        **shared_options(found),
        columns=columns_of(found),
        pair_first=found.pair_first,
        aggregation=found.aggregation,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    return run_and_print(lambda: fine_tune(parse_options(arguments)))


if __name__ == "__main__":
    sys.exit(main())
