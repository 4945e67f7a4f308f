"""What the wrong feed costs: document vectors of the same model and notes, fed by us and by a stock Spark NLP pipeline.

    python -m training.compare_feeds NOTES.jsonl --models DIR --model NAME

Prints the nearest-neighbour specialty accuracy (export/downstream.py) of both. Both vectors are means over a note's
pieces or tokens, from the same weights; only what reaches the model differs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import sparkclin
from evaluation.retrieval import SpecialtyAccuracy, specialty_accuracy
from sparkclin.models.pretrained import load
from sparkclin.runs.corpus import NoteSource, read_notes
from training import notes as corpus

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkclin.models.bundle import Bundle


def ours(notes: DataFrame, bundle: Bundle) -> DataFrame:
    """(note_id, text) -> (note_id, vector) by NoteTokenizer."""
    return sparkclin.embed(notes, bundle=bundle, options=sparkclin.EmbedOptions()).select("note_id", "vector")


def stock(notes: DataFrame, bundle: Bundle) -> DataFrame:
    """(note_id, text) -> (note_id, vector) by Spark NLP's documented pipeline."""
    from pyspark.ml import Pipeline
    from pyspark.sql import functions as F
    from sparknlp.annotator import SentenceEmbeddings, Tokenizer
    from sparknlp.base import DocumentAssembler

    pipeline = Pipeline(
        stages=[
            DocumentAssembler().setInputCol("text").setOutputCol("document"),
            Tokenizer().setInputCols(["document"]).setOutputCol("token"),
            load(bundle).setInputCols(["document", "token"]).setOutputCol("embeddings").setMaxSentenceLength(4096),
            SentenceEmbeddings()
            .setInputCols(["document", "embeddings"])
            .setOutputCol("note_embeddings")
            .setPoolingStrategy("AVERAGE"),
        ]
    )
    embedded = pipeline.fit(notes).transform(notes)
    return embedded.select("note_id", F.col("note_embeddings")[0]["embeddings"].alias("vector"))


def compare(path: Path, *, models: Path, model: str) -> dict[str, SpecialtyAccuracy]:
    """Both accuracies over all notes of a jsonl file with note_id, text and specialties."""
    spark = sparkclin.spark_session(app_name="sparkclin compare_feeds")
    bundle = sparkclin.use_models(spark, models).find(model)
    notes = read_notes(spark, NoteSource(path=str(path), format="jsonl")).repartition(8)
    specialties = {note.note_id: note.specialties for note in corpus.read_notes(path)}
    feeds = {"sparkclin": ours, "stock": stock}
    return {name: specialty_accuracy(feed(notes, bundle).toPandas(), specialties) for name, feed in feeds.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.compare_feeds", description=__doc__)
    parser.add_argument("notes", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--model", required=True)
    options = parser.parse_args(arguments)
    found = compare(options.notes, models=options.models, model=options.model)
    print(json.dumps({name: asdict(accuracy) for name, accuracy in found.items()}, indent=2))


if __name__ == "__main__":
    main()
