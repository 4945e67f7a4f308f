"""Entities by Spark NLP's documented pipeline: the same weights, fed the stock way, for sparkclin.evaluation.ner.

    python -m training.stock_entities NOTES --models DIR --model NAME --output ENTITIES

DocumentAssembler, Tokenizer, the model's own stock annotator, NerConverter. A note without entities: a row of nulls.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import sparkclin
from sparkclin.engines import ENGINES, TENSORFLOW
from sparkclin.errors import exit_status
from sparkclin.evaluation.notes import read_notes
from sparkclin.schema import ENTITIES
from training.compare_feeds import N_TASKS, stock_stages

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkclin.models.bundle import Bundle


def entities(notes: DataFrame, bundle: Bundle) -> DataFrame:
    """(note_id, text) -> note_id, begin, end, label; offsets as Spark NLP counts them, ends exclusive."""
    from pyspark.ml import Pipeline
    from pyspark.sql import functions as F
    from sparknlp.annotator import NerConverter

    stages = [
        *stock_stages(bundle, output_col="ner"),
        NerConverter().setInputCols(["document", "token", "ner"]).setOutputCol("chunk"),
    ]
    tagged = Pipeline(stages=stages).fit(notes).transform(notes)
    found = tagged.select("note_id", F.explode_outer("chunk").alias("chunk"))
    begin, end = F.col("chunk.begin"), F.col("chunk.end") + 1
    label = F.col("chunk.metadata")["entity"]
    return found.select("note_id", begin.alias("begin"), end.alias("end"), label.alias("label"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m training.stock_entities", description=summary)
    parser.add_argument("notes", type=Path, help=".jsonl or .parquet with note_id and text")
    parser.add_argument("--models", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--engine", choices=ENGINES, default=TENSORFLOW.name, help="default: %(default)s")
    parser.add_argument("--output", type=Path, required=True, help="parquet")
    asked = parser.parse_args(arguments)
    return exit_status(lambda: write(asked))


def write(asked: argparse.Namespace) -> None:
    spark = sparkclin.spark_session(app_name="sparkclin stock_entities")
    bundle = sparkclin.use_models(spark, asked.models).find(asked.model, engine=asked.engine)
    bundle.manifest.check_task(ENTITIES)
    rows = [(note.note_id, note.text) for note in read_notes(asked.notes)]
    notes = spark.createDataFrame(rows, "note_id string, text string").repartition(N_TASKS)
    entities(notes, bundle).toPandas().to_parquet(asked.output)


if __name__ == "__main__":
    sys.exit(main())
