"""What people use today: transformers' TFLongformerModel in Spark NLP's pipeline, as Spark NLP documents it.

`python -m benchmarks.stock SAVED_MODEL TARGET` has Spark NLP load the SavedModel and save it as an annotator.
"""

from __future__ import annotations

import json
import shutil
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import MissingError
from benchmarks.in_spark import open_session, running
from benchmarks.job import Job, Running, Store
from benchmarks.process import run_logged
from export.assets import as_pair, ordinary_pieces
from sparkclin.spark.session import spark_session
from sparkclin.spark.storage import as_url
from testkit.material import SHARED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SCRIPT = SHARED / "peers" / "stock_longformer.py"
REQUIREMENTS = ("transformers==4.44.2", "tensorflow-cpu==2.15.1", "numpy<2")
"""What the script says it needs: the last transformers and TensorFlow whose SavedModel can be made to load."""

MAX_SENTENCE_LENGTH = 4096


def prepare(store: Store) -> None:
    """Make the annotator if that was not done before: some minutes for the environment, some for the export.

    Raises MissingError where the script is not here, and RunError where a step fails.
    """
    if store.stock_model.is_dir():
        return
    if not SCRIPT.is_file():
        raise MissingError("needs shared/peers/stock_longformer.py beside the checkout")
    environment = store.folder.parent / "stock-environment"
    make_environment(environment, log=store.logs / "stock-environment.log")
    saved_model, staged = store.folder / ".stock-saved-model", store.folder / ".stock-staged"
    for leftover in (saved_model, staged):
        shutil.rmtree(leftover, ignore_errors=True)
    run_logged(
        [str(environment / "bin" / "python"), str(SCRIPT), str(store.checkpoint), str(saved_model)],
        log=store.logs / "stock-export.log",
    )
    write_assets(store, saved_model / "assets")
    run_logged(
        [sys.executable, "-m", "benchmarks.stock", str(saved_model), str(staged)], log=store.logs / "stock-save.log"
    )
    staged.rename(store.stock_model)
    shutil.rmtree(saved_model)


def make_environment(folder: Path, *, log: Path) -> None:
    """A virtual environment of its own: this TensorFlow and ours exclude each other."""
    ready = folder / "ready"
    if ready.exists():
        return
    venv.create(folder, with_pip=True, clear=True)
    run_logged([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS], log=log)
    ready.touch()


def write_assets(store: Store, folder: Path) -> None:
    """vocab.txt and merges.txt as Spark NLP reads them: the model's ordinary vocabulary."""
    tokenizer = json.loads((store.checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = ordinary_pieces(tokenizer, vocab_size=store.shape.vocab_size)
    merges = ("#version: 0.2", *(" ".join(as_pair(merge)) for merge in tokenizer["model"]["merges"]))
    folder.mkdir(exist_ok=True)
    for name, lines in {"vocab.txt": pieces, "merges.txt": merges}.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def save(saved_model: Path, target: Path) -> None:
    from sparknlp.annotator import LongformerEmbeddings

    spark = spark_session(master="local[2]", app_name="benchmark stock export")
    LongformerEmbeddings.loadSavedModel(str(saved_model), spark).write().save(as_url(str(target)))


def start(job: Job) -> Running:
    """DocumentAssembler, Tokenizer, LongformerEmbeddings, as they come; but by default the last cuts at 1,024.

    Its output is a vector per token; pooling them is left out.
    """
    from pyspark.ml import Pipeline
    from pyspark.sql import functions as F
    from sparknlp.annotator import LongformerEmbeddings, Tokenizer
    from sparknlp.base import DocumentAssembler

    spark = open_session(job)
    longest = min(MAX_SENTENCE_LENGTH, job.store.shape.max_pieces + 2)
    stages = [
        DocumentAssembler().setInputCol("text").setOutputCol("document"),
        Tokenizer().setInputCols(["document"]).setOutputCol("token"),
        LongformerEmbeddings.load(as_url(str(job.store.stock_model)))
        .setInputCols(["document", "token"])
        .setOutputCol("embeddings")
        .setMaxSentenceLength(longest),
    ]
    pipeline = Pipeline(stages=stages).fit(spark.createDataFrame([("",)], "text string"))

    def vectors(rows: DataFrame) -> DataFrame:
        embedded: DataFrame = pipeline.transform(rows)
        return embedded

    settings = {"maxSentenceLength": str(longest), "batchSize": str(stages[-1].getBatchSize())}
    return running(spark, vectors, vector=F.col("embeddings"), settings=settings)


if __name__ == "__main__":
    save(*map(Path, sys.argv[1:]))
