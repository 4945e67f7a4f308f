"""The entities that the pipeline of transformers finds in a labelled corpus, to be compared with those of ner_notes.py.

    python -m training.predict_ner CORPUS CHECKPOINT --output ENTITIES

CORPUS is a CoNLL file, of which each sentence is a note (evaluation/ner.py). `python -m sparkclin.evaluation.ner score`
scores the output.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from transformers import pipeline

from sparkclin.evaluation.ner import Sentence, add_spelling, read_conll
from sparkclin.text.entities import OF_TRANSFORMERS


def predicted(sentences: Sequence[Sentence], checkpoint: str, *, aggregation: str) -> pd.DataFrame:
    """Return what the pipeline of transformers finds: note_id, begin, end, label, score. A sentence without entities
    has one row of nulls."""
    find = pipeline("token-classification", model=checkpoint, aggregation_strategy=aggregation)
    rows: list[tuple[str, int | None, int | None, str | None, float | None]] = []
    for index, sentence in enumerate(sentences):
        found = find(sentence.text)
        rows += [(str(index), e["start"], e["end"], e["entity_group"], float(e["score"])) for e in found]
        rows += [(str(index), None, None, None, None)] * (not found)
    return pd.DataFrame(rows, columns=["note_id", "begin", "end", "label", "score"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.predict_ner", description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="CoNLL file: word, tab, IOB2 label")
    parser.add_argument("checkpoint", help="a folder or hub id")
    parser.add_argument("--output", type=Path, required=True, help="parquet like that of ner_notes.py")
    parser.add_argument("--aggregation", choices=OF_TRANSFORMERS, default="first", help="default: first")
    add_spelling(parser)
    options = parser.parse_args(arguments)
    sentences = read_conll(options.corpus, spelling=options.spelling)
    predicted(sentences, options.checkpoint, aggregation=options.aggregation).to_parquet(options.output)


if __name__ == "__main__":
    main()
