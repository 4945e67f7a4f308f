"""What people use today: transformers' TFLongformer in Spark NLP's pipeline, as Spark NLP documents it.

`python -m benchmarks.stock ANNOTATOR SAVED_MODEL TARGET` has Spark NLP load the SavedModel and save it as an annotator.
"""

from __future__ import annotations

import json
import shutil
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import MissingError
from benchmarks.in_spark import open_session, running, with_question
from benchmarks.job import Job, Running, Store
from benchmarks.process import run_logged
from benchmarks.tasks import EMBED, Task
from sparkclin.export.assets import as_pair, ordinary_pieces
from sparkclin.schema import QUESTION
from sparkclin.spark.session import spark_session
from sparkclin.spark.storage import as_url
from testkit.material import CHECKOUT, SHARED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SCRIPT = SHARED / "peers" / "stock_longformer.py"
HEAD_SCRIPT = CHECKOUT / "benchmarks" / "stock_head.py"
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
        [str(environment / "bin" / "python"), *export_command(store, saved_model)], log=store.logs / "stock-export.log"
    )
    write_assets(store, saved_model / "assets")
    run_logged(
        [sys.executable, "-m", "benchmarks.stock", annotator_of(store.task), str(saved_model), str(staged)],
        log=store.logs / "stock-save.log",
    )
    staged.rename(store.stock_model)
    shutil.rmtree(saved_model)


def annotator_of(task: Task) -> str:
    """The name of Spark NLP's class."""
    return "LongformerEmbeddings" if task == EMBED else f"Longformer{task.architecture}"


def export_command(store: Store, saved_model: Path) -> Sequence[str]:
    """What python is to run to make `saved_model`: the peer's script, or for a head our own."""
    if store.task == EMBED:
        return str(SCRIPT), str(store.checkpoint), str(saved_model)
    name = f"TFLongformer{store.task.architecture}"
    return str(HEAD_SCRIPT), name, str(store.checkpoint), str(saved_model), str(SCRIPT)


def make_environment(folder: Path, *, log: Path) -> None:
    """A virtual environment of its own: this TensorFlow and ours exclude each other."""
    ready = folder / "ready"
    if ready.exists():
        return
    venv.create(folder, with_pip=True, clear=True)
    run_logged([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS], log=log)
    ready.touch()


def write_assets(store: Store, folder: Path) -> None:
    """vocab.txt and merges.txt as Spark NLP reads them: the model's ordinary vocabulary; for a head also labels.txt."""
    tokenizer = json.loads((store.checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = ordinary_pieces(tokenizer, vocab_size=store.shape.vocab_size)
    merges = ("#version: 0.2", *(" ".join(as_pair(merge)) for merge in tokenizer["model"]["merges"]))
    folder.mkdir(exist_ok=True)
    labels = {"labels.txt": store.task.labels} if store.task.labels else {}
    for name, lines in {"vocab.txt": pieces, "merges.txt": merges, **labels}.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def save(annotator: str, saved_model: Path, target: Path) -> None:
    from sparknlp import annotator as annotators

    spark = spark_session(master="local[2]", app_name="benchmark stock export")
    getattr(annotators, annotator).loadSavedModel(str(saved_model), spark).write().save(as_url(str(target)))


def start(job: Job) -> Running:
    """DocumentAssembler, Tokenizer and the annotator, or for a question and a note MultiDocumentAssembler and the
    annotator, as they come; but by default the last cuts at 1,024, or at 512.

    Its output is a vector or label per token, a label per note, or an answer.
    """
    from pyspark.ml import Pipeline
    from sparknlp import annotator as annotators
    from sparknlp.annotator import Tokenizer
    from sparknlp.base import DocumentAssembler, MultiDocumentAssembler

    spark = open_session(job)
    task, longest = job.store.task, min(MAX_SENTENCE_LENGTH, job.store.shape.max_row)
    before: list[Any]
    if task.question:
        inputs = ["document_question", "document_context"]
        before = [MultiDocumentAssembler().setInputCols([QUESTION, "text"]).setOutputCols(inputs)]
    else:
        inputs = ["document", "token"]
        document = DocumentAssembler().setInputCol("text").setOutputCol("document")
        before = [document, Tokenizer().setInputCols(["document"]).setOutputCol("token")]
    model: Any = getattr(annotators, annotator_of(task)).load(as_url(str(job.store.stock_model)))
    model.setInputCols(inputs).setOutputCol("result").setMaxSentenceLength(longest)
    empty = with_question(spark.createDataFrame([("",)], "text string"), task)
    pipeline = Pipeline(stages=[*before, model]).fit(empty)

    def annotated(rows: DataFrame, _workload: str) -> DataFrame:
        found: DataFrame = pipeline.transform(with_question(rows, task))
        return found

    settings = {"maxSentenceLength": str(longest), "batchSize": str(model.getBatchSize())}
    return running(spark, annotated, done="size(result) > 0", settings=settings)


def main(arguments: Sequence[str] | None = None) -> None:
    annotator, *paths = sys.argv[1:] if arguments is None else arguments
    save(annotator, *map(Path, paths))


if __name__ == "__main__":
    main()
