"""Stock `LongformerEmbeddings.pretrained()` in a stock pipeline, loaded from a local repository without the internet.

    spark-submit examples/stock_pretrained.py [--models DIR] [--model NAME]

Prints the token vectors of one made-up sentence. The pipeline is the model card's. It feeds the model Spark NLP's own
tokens; `sparkclin embed` feeds it the ids that it was trained on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import sparkclin
from sparkclin.errors import exit_status

if TYPE_CHECKING:
    from pyspark.ml import Pipeline

DEMO_MODEL = "clinical_longformer_demo"
SENTENCE = "The patient has fever and denies cough."
SHOWN = 3
"""Numbers of a vector."""


def card_pipeline(model: str) -> Pipeline:
    """Return the pipeline of the model card, for any model's name: text to a vector per token."""
    from pyspark.ml import Pipeline
    from sparknlp.annotator import LongformerEmbeddings, SentenceDetector, Tokenizer
    from sparknlp.base import DocumentAssembler

    document_assembler = DocumentAssembler().setInputCol("text").setOutputCol("document")
    sentence_detector = SentenceDetector().setInputCols(["document"]).setOutputCol("sentence")
    tokenizer = Tokenizer().setInputCols(["sentence"]).setOutputCol("token")
    embeddings = (
        LongformerEmbeddings.pretrained(model, "en")
        .setInputCols(["sentence", "token"])
        .setOutputCol("embeddings")
        .setCaseSensitive(True)
        .setMaxSentenceLength(4096)
    )
    return Pipeline(stages=[document_assembler, sentence_detector, tokenizer, embeddings])


def show(models: str | None, model: str) -> None:
    """Print the first numbers of each token's vector."""
    spark = sparkclin.spark_session(app_name="stock pretrained()")
    repository = sparkclin.use_models(spark, models)
    print(f"Spark NLP reports a download below. It copies the model from {repository.root}.")
    notes = spark.createDataFrame([[SENTENCE]]).toDF("text")
    (row,) = card_pipeline(model).fit(notes).transform(notes).select("embeddings").collect()
    print(f'\nLongformerEmbeddings.pretrained("{model}", "en") gave these token vectors:')
    for token in row.embeddings:
        numbers = " ".join(f"{number:7.3f}" for number in token.embeddings[:SHOWN])
        print(f"  {token.result:10}{numbers} … ({len(token.embeddings)} numbers)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 1 for an error with a remedy, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="spark-submit examples/stock_pretrained.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--models", metavar="DIR", help="the model repository (default: the demo's)")
    parser.add_argument("--model", metavar="NAME", default=DEMO_MODEL, help="default: %(default)s")
    options = parser.parse_args(arguments)
    return exit_status(lambda: show(options.models, options.model))


if __name__ == "__main__":
    sys.exit(main())
