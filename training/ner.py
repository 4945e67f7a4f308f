"""Fine-tuning for entities: a checkpoint of either family becomes one with a head of token classification.

    python -m training.ner --train train.tsv --dev devel.tsv --init CHECKPOINT --output ner_checkpoint --work run

Corpora are CoNLL files in IOB2, and become notes in ordinary spelling (evaluation/spelling.py). The defaults are those
of the Clinical-Longformer authors for the i2b2 corpora (Li et al., arXiv 2201.11838): learning rate 2e-5, 4 epochs, 4
rows per step. Rows are notes, and windows of notes that are longer than a window. Pieces, windows and words are those
of a run with the aggregation `word` (sparkclin/text/entities.py): a word is labelled at its first piece, in the window
that owns it. The epoch with the best F1 on `--dev` is kept (training/fine_tune.py).
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    set_seed,
)

from sparkclin.evaluation.ner import Entity, EntityScore, Sentence, read_conll, score
from sparkclin.export.assets import RowEnds
from sparkclin.text.entities import OUTSIDE_LABEL, EntityOptions, Tag, kinds_of, merge_entities, plan_entities
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.pooling import PartOutput
from sparkclin.text.segments import SegmentPlan
from sparkclin.text.tokenization import TokenizedNote, tokenize
from sparkclin.text.windows import Range, WindowOptions, default_stride
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
    """The settings that made a checkpoint, and its score on `run.dev`."""

    run: Run
    train_notes: int
    dev_notes: int
    sentences_per_note: int
    labels: list[str]
    dev_score: EntityScore


@dataclass(frozen=True, eq=False)
class LabelledNote:
    """A sentence as a run reads it: its words are the segments of `plan`, and each has the label in `labels`, None if
    there is nothing to label."""

    sentence: Sentence
    note: TokenizedNote
    plan: SegmentPlan
    labels: tuple[str | None, ...]

    def rows(self, *, ends: RowEnds, numbers: dict[str, int]) -> Iterator[Features]:
        """Return a row per window, with its special pieces: ids and label numbers. `numbers` are those of labels."""
        labels = [[IGNORED] * (end - begin + 2) for begin, end in self.note.windows]
        labelled = set()
        for part in self.plan.parts:
            label = self.labels[part.segment]
            if label is not None and part.segment not in labelled:
                labels[part.window][part.begin] = numbers[label]
                labelled.add(part.segment)
        for (begin, end), of_window in zip(self.note.windows, labels, strict=True):
            ids = [ends.cls_id, *self.note.pieces.ids[begin:end].tolist(), ends.sep_id]
            yield {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": of_window}

    def found(self, logits: Sequence[npt.NDArray[np.float32]], options: EntityOptions) -> list[str]:
        """Return the labels of the sentence's words by `logits`, (pieces, labels) for each row."""
        parts = [PartOutput(part.segment, 1, logits[part.window][part.begin]) for part in self.plan.parts]
        kinds = kinds_of(options.labels)
        return self.sentence.labels_of(
            Entity(entity.begin, entity.end, kinds[int(entity.vector[0])])
            for entity in merge_entities(self.plan.segments, parts, options=options)
            if entity.vector is not None
        )


def labelled_notes(
    sentences: Sequence[Sentence], *, encoder: PieceEncoder, options: EntityOptions, max_pieces: int
) -> list[LabelledNote]:
    """Return the sentences with pieces, words and their labels. Nothing is cut off."""
    windows = WindowOptions(max_pieces=max_pieces, stride=default_stride(max_pieces))
    notes = tokenize([sentence.text for sentence in sentences], [()] * len(sentences), encoder=encoder, options=windows)
    plans = [plan_entities(note, options=options) for note in notes]
    return [
        LabelledNote(sentence, note, plan, tuple(span_labels(sentence, plan.segments)))
        for sentence, note, plan in zip(sentences, notes, plans, strict=True)
    ]


def span_labels(sentence: Sentence, spans: Sequence[Range]) -> Iterator[str | None]:
    """Return the IOB2 label of each span of the sentence's text, None for an empty one.

    A span has the label of the word in which it begins. It begins an entity if the span before is not of that entity.
    """
    ends = [end for _, end in sentence.ranges]
    entities = list(accumulate(label.startswith("B-") for label in sentence.labels))
    before = None
    for begin, end in spans:
        if begin == end:
            yield None
            continue
        word = bisect_right(ends, begin)
        kind = Tag.of(sentence.labels[word]).kind
        entity = None if kind == OUTSIDE_LABEL else entities[word]
        yield OUTSIDE_LABEL if entity is None else f"{'I' if entity == before else 'B'}-{kind}"
        before = entity


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
    tokenizer_json = tokenizer.backend_tokenizer.to_str()
    encoder, ends = PieceEncoder(tokenizer_json), RowEnds.of(tokenizer_json)
    entities = EntityOptions(labels=labels, unknown_id=encoder.unknown_id)
    train_notes, dev_notes = (
        labelled_notes(sentences, encoder=encoder, options=entities, max_pieces=max_pieces)
        for sentences in (train, dev)
    )
    train_rows, dev_rows = (
        [row for note in notes for row in note.rows(ends=ends, numbers=numbers)] for notes in (train_notes, dev_notes)
    )

    trained = train_best(
        model,
        tokenizer,
        options,
        train=train_rows,
        dev=dev_rows,
        collator=DataCollatorForTokenClassification(tokenizer),
        metric=lambda logits: dev_score(dev_notes, logits, entities).f1,
        max_pieces=max_pieces,
        libraries=["nervaluate"],
    )
    record = NerRecord(
        run=trained.run,
        train_notes=len(train),
        dev_notes=len(dev),
        sentences_per_note=options.sentences_per_note,
        labels=list(labels),
        dev_score=dev_score(dev_notes, trained.predictions, entities),
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
    names = ("words", "labels", "glued")
    words, labels, glued = (tuple(chain.from_iterable(getattr(s, name) for s in sentences)) for name in names)
    return Sentence(words, labels, glued)


def label_set(sentences: Sequence[Sentence]) -> tuple[str, ...]:
    """O, then B- and I- of every kind in the order of the alphabet."""
    kinds = sorted({label[2:] for sentence in sentences for label in sentence.labels if label != OUTSIDE_LABEL})
    return (OUTSIDE_LABEL, *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI"))


def dev_score(notes: Sequence[LabelledNote], logits: npt.NDArray[np.float32], options: EntityOptions) -> EntityScore:
    """Score `logits` (rows, pieces, labels), padded, of the notes' rows."""
    rows = iter(logits)
    found = [note.found(list(islice(rows, len(note.note.windows))), options) for note in notes]
    return score([note.sentence.labels for note in notes], found)


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
