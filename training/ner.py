"""Fine-tuning for entities: a checkpoint of either family becomes one with a head of token classification.

    python -m training.ner --train train.tsv --dev devel.tsv --init CHECKPOINT --output ner_checkpoint --work run

Corpora are CoNLL files in IOB2 (evaluation/ner.py). The defaults are those of the Clinical-Longformer authors for the
i2b2 corpora (Li et al., arXiv 2201.11838): learning rate 2e-5, 4 epochs, 4 rows per step. Rows are notes, and windows
of notes that are longer than a window: each piece counts in the window that owns it, as when entities are found. The
label of a word stands at its first piece. The epoch with the best F1 on `--dev` is kept (training/fine_tune.py).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    PreTrainedTokenizerBase,
    set_seed,
)

from sparkclin.evaluation.ner import EntityScore, Sentence, read_conll, score
from sparkclin.text.entities import OUTSIDE_LABEL
from sparkclin.text.windows import cut, default_stride, own
from training.evaluate import IGNORED
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


@dataclass(frozen=True, kw_only=True)
class NerOptions(FineTuneOptions):
    """Corpora are CoNLL files, of which `sentences_per_note` sentences in a row make a note."""

    counts: ClassVar[tuple[str, ...]] = (*FineTuneOptions.counts, "sentences_per_note")

    sentences_per_note: int = 1


@dataclass(frozen=True, kw_only=True)
class NerRecord:
    """What made a checkpoint, and how good it is on `run.dev`."""

    run: Run
    train_notes: int
    dev_notes: int
    sentences_per_note: int
    labels: list[str]
    dev_score: EntityScore


@dataclass(frozen=True)
class LabelledRow:
    """A window with its special pieces: ids and label numbers, both (pieces,); `words` are those whose first piece has
    a label here, as (sentence, word)."""

    ids: list[int]
    labels: list[int]
    words: list[tuple[int, int]]

    @property
    def features(self) -> Features:
        return {"input_ids": self.ids, "attention_mask": [1] * len(self.ids), "labels": self.labels}


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
        options.init, id2label=dict(enumerate(labels)), label2id=numbers, **dropout_settings(options)
    )
    max_pieces = window_of(model, tokenizer, source=options.init, max_pieces=options.max_pieces)
    train_rows, dev_rows = (
        list(labelled_rows(sentences, tokenizer, numbers=numbers, max_pieces=max_pieces)) for sentences in (train, dev)
    )

    trained = train_best(
        model,
        tokenizer,
        options,
        train=[row.features for row in train_rows],
        dev=[row.features for row in dev_rows],
        collator=DataCollatorForTokenClassification(tokenizer),
        metric=lambda logits: dev_score(dev, dev_rows, logits, labels).f1,
        max_pieces=max_pieces,
        libraries=["nervaluate"],
    )
    record = NerRecord(
        run=trained.run,
        train_notes=len(train),
        dev_notes=len(dev),
        sentences_per_note=options.sentences_per_note,
        labels=list(labels),
        dev_score=dev_score(dev, dev_rows, trained.predictions, labels),
    )
    save(model, tokenizer, record, folder=options.output)
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


def dev_score(
    sentences: Sequence[Sentence], rows: Sequence[LabelledRow], logits: npt.NDArray[np.float32], labels: Sequence[str]
) -> EntityScore:
    """`logits` (rows, pieces, labels), padded."""
    found = []
    for row, of_row in zip(rows, logits, strict=True):
        is_labelled = np.array(row.labels) != IGNORED
        found.append([labels[number] for number in of_row[: len(row.labels)][is_labelled].argmax(axis=1)])
    return score([sentence.labels for sentence in sentences], labels_of_words(sentences, rows, found))


def parse_options(arguments: Sequence[str] | None = None) -> NerOptions:
    parser = parser_of("training.ner", __doc__, NerOptions, files="CoNLL files", metric="F1")
    default = NerOptions.sentences_per_note
    parser.add_argument("--sentences-per-note", type=int, default=default, metavar="N", help="joined to one note")
    found = parser.parse_args(arguments)
    return NerOptions(**shared_options(found), sentences_per_note=found.sentences_per_note)


def main(arguments: Sequence[str] | None = None) -> int:
    return run_and_print(lambda: fine_tune(parse_options(arguments)))


if __name__ == "__main__":
    sys.exit(main())
