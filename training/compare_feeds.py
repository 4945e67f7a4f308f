"""What wrong model input costs: document vectors by sparkclin, and by a stock Spark NLP pipeline of the same model.

    python -m training.compare_feeds NOTES.jsonl --models DIR --model NAME

Prints the nearest-neighbour specialty accuracy (evaluation/retrieval.py) of both. Both run the same exported model with
the same engine, and both vectors are means over a note's pieces or tokens. Only the ids that reach the model differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sparkclin
from sparkclin.engines import ENGINES, TENSORFLOW
from sparkclin.errors import exit_status
from sparkclin.evaluation.notes import read_notes
from sparkclin.evaluation.retrieval import SpecialtyAccuracy, specialty_accuracy
from sparkclin.models.pretrained import load
from sparkclin.runs import corpus

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkclin.models.bundle import Bundle

N_TASKS = 8


def by_sparkclin(notes: DataFrame, bundle: Bundle) -> DataFrame:
    """(note_id, text) -> (note_id, vector) by embed()."""
    vectors: DataFrame = sparkclin.embed(notes, model=bundle)
    return vectors.select("note_id", "vector")


def by_stock_pipeline(notes: DataFrame, bundle: Bundle) -> DataFrame:
    """(note_id, text) -> (note_id, vector) by Spark NLP's documented pipeline.

    The annotator reads as many pieces at once as the model has positions for: an exported model is saved so, and the
    setter of RoBertaEmbeddings would refuse more than 512.
    """
    from pyspark.ml import Pipeline
    from pyspark.sql import functions as F
    from sparknlp.annotator import SentenceEmbeddings

    pipeline = Pipeline(
        stages=[
            *stock_stages(bundle, output_col="embeddings"),
            SentenceEmbeddings()
            .setInputCols(["document", "embeddings"])
            .setOutputCol("note_embeddings")
            .setPoolingStrategy("AVERAGE"),
        ]
    )
    embedded = pipeline.fit(notes).transform(notes)
    return embedded.select("note_id", F.col("note_embeddings")[0]["embeddings"].alias("vector"))


def stock_stages(bundle: Bundle, *, output_col: str) -> list[Any]:
    """DocumentAssembler, Tokenizer, and the bundle's own annotator, from the column `text`."""
    from sparknlp.annotator import Tokenizer
    from sparknlp.base import DocumentAssembler

    return [
        DocumentAssembler().setInputCol("text").setOutputCol("document"),
        Tokenizer().setInputCols(["document"]).setOutputCol("token"),
        load(bundle).setInputCols(["document", "token"]).setOutputCol(output_col),
    ]


PATHS = {"sparkclin": by_sparkclin, "stock": by_stock_pipeline}


def compare(path: Path, *, models: Path, model: str, engine: str) -> dict[str, SpecialtyAccuracy]:
    """Both accuracies over all notes of a jsonl file with note_id, text and specialties."""
    spark = sparkclin.spark_session(app_name="sparkclin compare_feeds")
    bundle = sparkclin.use_models(spark, models).find(model, engine=engine)
    notes = corpus.read_notes(spark, corpus.NoteSource(path=str(path), format="jsonl")).repartition(N_TASKS)
    specialties = {note.note_id: note.specialties for note in read_notes(path)}
    return {name: specialty_accuracy(embed(notes, bundle).toPandas(), specialties) for name, embed in PATHS.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m training.compare_feeds", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("notes", type=Path, help=".jsonl with note_id, text and specialties")
    parser.add_argument("--models", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=TENSORFLOW.name,
        help="of both (default: %(default)s, which stock LongformerEmbeddings runs)",
    )
    options = parser.parse_args(arguments)
    return exit_status(lambda: print_comparison(options))


def print_comparison(options: argparse.Namespace) -> None:
    found = compare(options.notes, models=options.models, model=options.model, engine=options.engine)
    print(json.dumps({name: asdict(accuracy) for name, accuracy in found.items()}, indent=2))


if __name__ == "__main__":
    sys.exit(main())
