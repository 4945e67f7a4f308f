"""Embed a corpus of clinical notes: `spark-submit pipelines/embed_notes.py --input PATH --output PATH`.

Writes a row a note, window, sentence or token with its vector, and a run report beside them. See the README.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from sparkclin.errors import IncompleteError, ModelError, SparkclinError
from sparkclin.models.bundle import ENGINES, PRECISIONS, Bundle
from sparkclin.models.pretrained import active_repository, use_models
from sparkclin.models.repository import ModelRepository
from sparkclin.runs.corpus import (
    INPUT_FORMATS,
    OUTPUT_FORMATS,
    NoteSource,
    count_notes,
    default_partitions,
    read_notes,
    refuse_existing,
    write_vectors,
)
from sparkclin.runs.progress import Work, shown
from sparkclin.runs.report import NoteCounts, RunReport, count_columns
from sparkclin.schema import LEVELS
from sparkclin.spark.session import spark_session
from sparkclin.stages.note_tokenizer import CONTEXTS
from sparkclin.tasks.embed import EmbedOptions, embed
from sparkclin.text.segments import POOLINGS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

VERSIONS = ("sparkclin", "pyspark", "spark-nlp", "tokenizers")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    options = parser().parse_args(arguments)
    try:
        report = run(options)
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (PySparkException, Py4JJavaError) as error:
        raised = raised_in_a_task(error)
        if raised is None:
            raise
        print(f"error: {raised}", file=sys.stderr)
        return 1
    print(f"\n{options.output}\n{report.summary()}")
    return 0


def raised_in_a_task(error: Exception) -> str | None:
    """The message of one of our errors that a task's traceback ends with; None where the error is another."""
    found = re.search(r"^sparkclin\.errors\.\w+: (.+)$", str(error), flags=re.MULTILINE)
    return found[1] if found else None


def run(options: argparse.Namespace) -> RunReport:
    """Reads, embeds, writes, counts again, reports."""
    from pyspark.sql import Observation

    spark = spark_session(app_name="sparkclin embed_notes")
    spark.sparkContext.setLogLevel("ERROR")
    repository = use_models(spark, options.models or active_repository().root)
    bundle = choose_model(repository, options)
    embedding = embed_options(options, bundle)
    refuse_existing(spark, options.output)
    notes = read_notes(spark, note_source(options))
    n_notes = count_notes(notes)
    n_tasks = options.partitions or default_partitions(n_notes, parallelism=spark.sparkContext.defaultParallelism)
    print(f"embedding {n_notes:,} notes with {bundle.manifest.name} in {n_tasks:,} tasks", file=sys.stderr)

    counts = Observation("notes")
    started, started_s = now(), time.monotonic()
    vectors = embed(
        notes.repartition(n_tasks),
        bundle=bundle,
        options=embedding,
        observe=lambda pooled: pooled.observe(counts, *count_columns()),
    )
    with shown(spark.sparkContext, Work(group=f"embed {options.output}", n_notes=n_notes, n_tasks=n_tasks)):
        write_vectors(vectors, options.output, format=options.output_format)
    elapsed_s = time.monotonic() - started_s

    report = RunReport(
        started=started,
        finished=now(),
        elapsed_s=round(elapsed_s, 3),
        counts=NoteCounts.from_metrics(counts.get),
        rows=check_output(spark, options, expected_notes=n_notes),
        settings=settings(options, embedding.max_pieces, n_tasks),
        model=describe(bundle),
        versions={
            **{name: version(name) for name in VERSIONS},
            "spark": spark.version,
            "python": platform.python_version(),
        },
    )
    report.write(spark, options.output)
    return report


def check_output(spark: SparkSession, options: argparse.Namespace, *, expected_notes: int) -> int:
    """How many rows were written; raises IncompleteError where the notes in them are not the notes that went in."""
    from pyspark.sql import functions as F

    written = spark.read.format(options.output_format).load(options.output)
    row = written.agg(F.count(F.lit(1)).alias("rows"), F.countDistinct("note_id").alias("notes")).first()
    assert row is not None
    if row.notes != expected_notes:
        raise IncompleteError(
            f"{expected_notes} notes went in, {row.notes} are in {options.output}. Do not use it: run again, and "
            "report this."
        )
    return int(row.rows)


def choose_model(repository: ModelRepository, options: argparse.Namespace) -> Bundle:
    """The model asked for; without a name, the only one there is."""
    name = options.model
    if name is None:
        names = sorted({record.name for record in repository.records()})
        if len(names) != 1:
            raise ModelError(f"{repository.root} holds the models {', '.join(names) or 'none'}: choose with --model.")
        [name] = names
    return repository.find(name, engine=options.engine, precision=options.precision)


def embed_options(options: argparse.Namespace, bundle: Bundle) -> EmbedOptions:
    return EmbedOptions(
        level=options.level,
        pooling=options.pooling,
        context=options.context,
        max_pieces=options.max_pieces or bundle.manifest.max_pieces,
        stride=options.stride,
    )


def note_source(options: argparse.Namespace) -> NoteSource:
    names = ("note_id", "text") if options.input_format == "text" else (options.id_column, options.text_column)
    return NoteSource(path=options.input, format=options.input_format, id_column=names[0], text_column=names[1])


def settings(options: argparse.Namespace, max_pieces: int, n_tasks: int) -> dict[str, Any]:
    return {**vars(options), "max_pieces": max_pieces, "partitions": n_tasks}


def describe(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "created": manifest.created,
        "family": manifest.family,
        "engine": manifest.engine,
        "precision": manifest.precision,
        "width": manifest.width,
        "source": manifest.source,
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def parser() -> argparse.ArgumentParser:
    build = argparse.ArgumentParser(prog="embed_notes.py", description=__doc__.splitlines()[0] if __doc__ else None)
    add = build.add_argument
    add(
        "--input", required=True, metavar="PATH", help="the notes: a file or folder on any file system that Spark reads"
    )
    add("--output", required=True, metavar="PATH", help="where the vectors go; must not exist")
    add("--level", choices=LEVELS, default="document", help="one vector a …; default: document")
    add("--model", metavar="NAME", help="default: the only model of the repository")
    add("--models", metavar="DIR", help="the model repository; default: $SPARKCLIN_MODELS, else the demo model")
    add("--engine", choices=ENGINES, help="default: onnx where the model has it, which is faster")
    add("--precision", choices=PRECISIONS, help="int8: faster, and not exact; default: fp32 where the model has it")
    add("--input-format", choices=INPUT_FORMATS, default="parquet", help="text: a file is a note; default: parquet")
    add("--output-format", choices=OUTPUT_FORMATS, default="parquet", help="default: parquet")
    add("--id-column", default="note_id", metavar="NAME", help="default: note_id")
    add("--text-column", default="text", metavar="NAME", help="default: text")
    add("--pooling", choices=POOLINGS, default="mean", help="`first` is for tokens, cls, max, mean_max for the others")
    add(
        "--context", choices=CONTEXTS, default="note", help="what a sentence's vectors know of: default: its whole note"
    )
    add("--max-pieces", type=int, metavar="N", help="pieces in a window; default: the most the model reads (4094)")
    add("--stride", type=int, default=512, metavar="N", help="pieces that two windows share; default: 512")
    add("--partitions", type=int, metavar="N", help="tasks, and files written; default: by the number of notes")
    return build


if __name__ == "__main__":
    sys.exit(main())
