"""Entities of a labelled corpus: CoNLL files in, notes out, and the F1 of what `ner_notes.py` found.

    python -m sparkclin.evaluation.ner notes CORPUS --output NOTES
    python -m sparkclin.evaluation.ner score CORPUS ENTITIES

CORPUS is a CoNLL file: a word and its IOB2 label per line, with a tab between them, and an empty line behind each
sentence. Every sentence becomes a note, whose id is its number from 0. `--spelling` decides where notes have spaces; it
must be the same for both commands. ENTITIES is the parquet that `pipelines/ner_notes.py` wrote for these notes. An
entity counts as found if its words and its kind are right (strict F1, by nervaluate); a span that covers a part of a
word counts as the whole word.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import pandas as pd

from sparkclin.errors import InputError, exit_status
from sparkclin.evaluation.notes import write_jsonl
from sparkclin.evaluation.spelling import NATURAL, SPELLINGS, TOKENIZED, glued_words
from sparkclin.text.entities import OUTSIDE_LABEL
from sparkclin.text.windows import Range


@dataclass(frozen=True)
class Sentence:
    """Words with their IOB2 labels. Words that are `glued` have no space before them."""

    words: tuple[str, ...]
    labels: tuple[str, ...]
    glued: tuple[bool, ...]

    @classmethod
    def of(cls, words: Sequence[str], labels: Sequence[str], *, spelling: str = NATURAL) -> Sentence:
        """Return the sentence in a spelling, which decides where it has spaces."""
        return cls(tuple(words), tuple(labels), glued_words(words, spelling=spelling))

    @cached_property
    def text(self) -> str:
        spaced = (word if is_glued else f" {word}" for word, is_glued in zip(self.words, self.glued, strict=True))
        return "".join(spaced).removeprefix(" ")

    @cached_property
    def ranges(self) -> tuple[Range, ...]:
        """The range of each word in the text, in code points, end exclusive."""
        lengths = (len(word) + (not is_glued) for word, is_glued in zip(self.words, self.glued, strict=True))
        ends = (end - 1 for end in accumulate(lengths))
        return tuple((end - len(word), end) for end, word in zip(ends, self.words, strict=True))

    def labels_of(self, entities: Iterable[Entity]) -> list[str]:
        """The IOB2 labels of other entities of this text. Where two of them share a word, the earlier one has it."""
        labels = [OUTSIDE_LABEL] * len(self.words)
        for entity in sorted(entities, key=lambda entity: entity.begin):
            touched = [
                index
                for index, (begin, end) in enumerate(self.ranges)
                if begin < entity.end and entity.begin < end and labels[index] == OUTSIDE_LABEL
            ]
            for index in touched:
                labels[index] = f"{'B' if index == touched[0] else 'I'}-{entity.kind}"
        return labels


@dataclass(frozen=True)
class Entity:
    """A span of a text, in code points, end exclusive."""

    begin: int
    end: int
    kind: str


@dataclass(frozen=True, kw_only=True)
class EntityScore:
    """Strict, over entities; all between 0 and 1. `support` is the number of entities in the corpus."""

    precision: float
    recall: float
    f1: float
    support: int
    f1_by_kind: dict[str, float]


def read_conll(path: Path, *, spelling: str = NATURAL) -> list[Sentence]:
    """The sentences of a file. Raises InputError with the line's number for a line or a label that is not as it should
    be."""
    sentences: list[Sentence] = []
    words: list[str] = []
    labels: list[str] = []
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            word, label = _columns(
                line, previous=labels[-1] if labels else OUTSIDE_LABEL, where=f"{path.name}, line {number}"
            )
            words.append(word)
            labels.append(label)
        elif words:
            sentences.append(Sentence.of(words, labels, spelling=spelling))
            words, labels = [], []
    if not sentences:
        raise InputError(f"{path.name} has no sentence: expected a word, a tab and a label per line.")
    return sentences


def _columns(line: str, *, previous: str, where: str) -> tuple[str, str]:
    columns = line.split("\t")
    if len(columns) != 2 or not columns[0].strip() or " " in columns[0]:
        raise InputError(f"{where} has {len(columns)} columns, expected two with a tab between them: word and label.")
    word, label = columns[0], columns[1].strip()
    prefix, _, kind = label.partition("-")
    if label != OUTSIDE_LABEL and (prefix not in ("B", "I") or not kind):
        raise InputError(f"{where} has the label {label!r}, expected O, B-KIND or I-KIND (IOB2).")
    if prefix == "I" and previous not in (f"B-{kind}", f"I-{kind}"):
        raise InputError(
            f"{where} has the label {label!r} behind {previous!r}; in IOB2 an entity begins with B-{kind}."
        )
    return word, label


def score(labels: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> EntityScore:
    """Score the IOB2 labels that were found for sentences against the labels of the corpus."""
    from nervaluate import Evaluator

    kinds = sorted({label[2:] for row in [*labels, *found] for label in row if label != OUTSIDE_LABEL})
    given, predicted = ([list(row) for row in rows] for rows in (labels, found))
    result = Evaluator(given, predicted, tags=kinds, loader="list").evaluate()
    total = result["overall"]["strict"]
    return EntityScore(
        precision=float(total.precision),
        recall=float(total.recall),
        f1=float(total.f1),
        support=int(total.possible),
        f1_by_kind={kind: float(result["entities"][kind]["strict"].f1) for kind in kinds},
    )


def score_rows(sentences: Sequence[Sentence], rows: pd.DataFrame) -> EntityScore:
    """Score what `ner_notes.py` wrote: note_id, begin, end, label. Raises InputError if a sentence has no row."""
    missing = len(set(map(str, range(len(sentences)))) - set(rows["note_id"].astype(str)))
    if missing:
        raise InputError(f"{missing} of {len(sentences)} sentences are not in the output: is it that of these notes?")
    entities: dict[int, list[Entity]] = {}
    with_entity = rows[rows["label"].notna()]
    for note_id, begin, end, kind in with_entity[["note_id", "begin", "end", "label"]].itertuples(index=False):
        entities.setdefault(int(note_id), []).append(Entity(int(begin), int(end), kind))
    found = [sentence.labels_of(entities.get(index, [])) for index, sentence in enumerate(sentences)]
    return score([sentence.labels for sentence in sentences], found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 1 for what the user can fix, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m sparkclin.evaluation.ner", description=(__doc__ or "").splitlines()[0]
    )
    actions = parser.add_subparsers(dest="action", required=True)
    notes, scoring = (actions.add_parser(name) for name in ("notes", "score"))
    for action in (notes, scoring):
        action.add_argument("corpus", type=Path, help="CoNLL file: word, tab, IOB2 label")
        add_spelling(action)
    notes.add_argument("--output", type=Path, required=True, help=".jsonl with note_id and text")
    scoring.add_argument("entities", type=Path, help="parquet that ner_notes.py wrote")
    options = parser.parse_args(arguments)
    return exit_status(lambda: act(options))


def add_spelling(parser: argparse.ArgumentParser) -> None:
    """Add the option for the spelling of notes, which has to be the same for all commands on a corpus."""
    parser.add_argument(
        "--spelling",
        choices=SPELLINGS,
        default=NATURAL,
        help=f"{NATURAL}: as text is written; {TOKENIZED}: a space between all words of the corpus; default: {NATURAL}",
    )


def act(options: argparse.Namespace) -> None:
    sentences = read_conll(options.corpus, spelling=options.spelling)
    if options.action == "notes":
        write_jsonl(({"note_id": str(index), "text": s.text} for index, s in enumerate(sentences)), options.output)
    else:
        rows = pd.read_parquet(options.entities, columns=["note_id", "begin", "end", "label"])
        print(json.dumps(asdict(score_rows(sentences, rows)), indent=2))


if __name__ == "__main__":
    sys.exit(main())
