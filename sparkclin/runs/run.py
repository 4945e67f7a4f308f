"""A run: a task, notes from a source, rows to a sink, and a report of it."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sparkclin.errors import ModelError, OptionError, masked
from sparkclin.models.advice import advice
from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.models.hosts import load_ahead
from sparkclin.models.pretrained import active_repository, engine_of
from sparkclin.models.repository import ModelRepository
from sparkclin.models.trust import check_trusted
from sparkclin.runs.corpus import NoteSource, count_corpus, default_partitions, read_corpus
from sparkclin.runs.derived import DerivedTable, write_derived
from sparkclin.runs.place import check_place, check_space, whole_or_nothing
from sparkclin.runs.progress import Work, shown
from sparkclin.runs.report import NoteCounts, NotRead, RunReport, Stopwatch, count_columns
from sparkclin.runs.sink import Sink, check_written, write_rows
from sparkclin.schema import METADATA, NOTE_ID
from sparkclin.spark import storage
from sparkclin.spark.failures import quiet, step
from sparkclin.spark.session import spark_session
from sparkclin.spark.tally import tally

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    Observe = Callable[[DataFrame], DataFrame]

VERSIONS = ("sparkclin", "pyspark", "spark-nlp", "tokenizers")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run does to notes.

    `name` is one word for it. `rows` makes the rows to write of the notes (note_id, text): every note gets rows, which
    have its note_id. It calls `observe` on a DataFrame of one row per note with n_pieces, n_windows and status, and
    goes on with what that returns. `index` is the column that numbers a note's rows from 0; None where a note has one
    row. `settings` gives the task's settings with what the model decides filled in, and raises OptionError for those
    that the model does not allow. `derived` is what is made of the rows once they are written, if anything; it raises
    ModelError for a model with which that cannot be. `model_task` is what the manifests of models for it say, such as
    `entities`; None where any model will do. `needs_spark_nlp`: even where the model's engine does without it.
    `least_bytes` is how much a note's rows take on the disk at the least.
    """

    name: str
    rows: Callable[[DataFrame, Bundle, Observe], DataFrame]
    settings: Callable[[Manifest], Mapping[str, Any]]
    index: str | None = None
    derived: Callable[[Bundle], DerivedTable] | None = None
    model_task: str | None = None
    needs_spark_nlp: bool = False
    least_bytes: Callable[[Manifest], int] = lambda manifest: 0  # noqa: ARG005


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which model. None stands for active_repository(), its only model for the task, and the preferred engine and
    precision. `trust` are the SHA-256 of the manifests that may run, or files of such; without any, all may."""

    repository: str | None = None
    name: str | None = None
    engine: str | None = None
    precision: str | None = None
    trust: tuple[str, ...] = ()

    def find(self, *, task: str | None = None) -> Bundle:
        """The model; `task` is that of a manifest, which counts where no name is given and there are several.

        Raises ModelError, listing what there is, where the choice leaves none or several, and for a model that is not
        trusted or whose manifest is not the one that was registered.
        """
        repository = self.where()
        name = self.name or _only_name(repository, task)
        bundle = repository.find(name, engine=self.engine, precision=self.precision)
        check_trusted(bundle.manifest_sha256, location=bundle.location, trust=self.trust)
        return bundle

    def where(self) -> ModelRepository:
        return ModelRepository(self.repository) if self.repository else active_repository()


def _only_name(repository: ModelRepository, task: str | None) -> str:
    """The name of the only model, or of the only one for the task."""
    names = sorted({record.name for record in repository.records()})
    if task is None or len(names) <= 1:
        fitting, whose = names, ""
    else:
        tasks = {bundle.manifest.name: bundle.manifest.task for bundle in repository.newest()}
        fitting, whose = [name for name in names if tasks[name] == task], f" for the task {task!r}"
        names = [f"{name} ({tasks[name]})" for name in names]
    if len(fitting) != 1:
        there = ", ".join(names) or "none"
        raise ModelError(
            f"{repository.root} has {len(fitting)} models{whose}. It holds the models {there}: choose with --model."
        )
    return fitting[0]


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What is asked of a run. `partitions` None goes by the number of notes; OptionError for less than one."""

    source: NoteSource
    sink: Sink
    model: ModelChoice = field(default_factory=ModelChoice)
    partitions: int | None = None

    def __post_init__(self) -> None:
        if self.partitions is not None and self.partitions < 1:
            raise OptionError(f"{self.partitions} partitions were asked for: there is at least one.")


def run(task: Task, request: RunRequest) -> RunReport:
    """Reads the notes, does the task, writes the rows and the report beside them, and checks what was written: then the
    output is there.

    What is wrong with the model, the settings, the output's place or the notes' ids is found before the work begins.
    Raises SparkclinError, for all that Spark and Java raise too; nothing is left of the output then.
    """
    from pyspark.sql import Observation

    watch = Stopwatch()
    spark, bundle = start(task, request.model, watch)
    quiet(spark)
    settings = task.settings(bundle.manifest)
    table = task.derived(bundle) if task.derived else None
    check_place(spark, request.sink, source=request.source.path)
    tables = (table.rows_name, table.name) if table else ()
    load_ahead(spark, bundle)  # while the input is looked through, which leaves cores and Spark NLP idle
    with step("in the run"), whole_or_nothing(spark, request.sink, tables=tables) as place:
        corpus = read_corpus(spark, request.source)
        notes, n_notes = corpus.notes, count_corpus(corpus)
        check_space(spark, request.sink, least_bytes=n_notes * task.least_bytes(bundle.manifest))
        n_tasks = request.partitions or default_partitions(n_notes, parallelism=spark.sparkContext.defaultParallelism)
        print(f"{task.name}: {n_notes:,} notes with {bundle.manifest.name} in {n_tasks:,} tasks", file=sys.stderr)

        watch.lap("input")
        started, tasks_before = _now(), Counter(tally(spark).value)
        counts = Observation("notes")
        rows = task.rows(notes.repartition(n_tasks), bundle, lambda frame: frame.observe(counts, *count_columns()))
        work = Work(name=task.name, group=f"{task.name} {masked(request.sink.path)}", n_notes=n_notes, n_tasks=n_tasks)
        sink = place.within(table.rows_name) if table else place
        with shown(spark.sparkContext, work):
            write_rows(with_model(rows, bundle), sink)
        elapsed_s = watch.lap("work")
        written = check_written(spark, sink, n_notes=n_notes, index=task.index)
        watch.lap("check")
        derived = {}
        if table:
            derived[table.name] = write_derived(spark, table, place, notes=notes, started=started)
            watch.lap(table.name)

        report = RunReport(
            started=started,
            finished=_now(),
            elapsed_s=elapsed_s,
            seconds=watch.seconds,
            in_input=corpus.records,
            counts=NoteCounts.from_metrics(counts.get),
            not_read=NotRead.of(corpus.not_read),
            written=written.notes,
            rows=written.rows,
            ran=dict(tally(spark).value - tasks_before),
            derived=derived,
            advice=advice(engine=bundle.manifest.engine, precision=bundle.manifest.precision),
            settings={**_settings(request, corpus.source, bundle), "partitions": n_tasks, **settings},
            model=_model(bundle),
            versions=_versions(spark),
        )
        report.write(place.path)
    return report


@step("while starting")
def start(task: Task, model: ModelChoice, watch: Stopwatch) -> tuple[SparkSession, Bundle]:
    """A session, and the model, as it was exported; the session without Spark NLP's jars where neither needs them, and
    the model is on the local disk, where it can be looked at first."""
    name = f"sparkclin {task.name}"

    def session(*, spark_nlp: bool = True) -> SparkSession:
        started = spark_session(app_name=name, spark_nlp=spark_nlp)
        watch.lap("Spark")
        return started

    def exported() -> Bundle:
        bundle = model.find(task=task.model_task)
        bundle.check()
        watch.lap("model")
        return bundle

    if storage.is_remote(model.where().root):
        return session(), exported()
    bundle = exported()
    return session(spark_nlp=engine_of(bundle).spark_nlp is not None or task.needs_spark_nlp), bundle


def _settings(request: RunRequest, source: NoteSource, bundle: Bundle) -> dict[str, Any]:
    """The settings of all runs by the names of their options, defaults filled in."""
    manifest = bundle.manifest
    return {
        "input": masked(source.path),
        "input_format": source.format,
        "id_column": source.id_column,
        "text_column": source.text_column,
        **_reading(source),
        **_pair(request),
        "output": masked(request.sink.path),
        "output_format": request.sink.format,
        "models": masked(bundle.location.rpartition("/")[0]),
        "model": manifest.name,
        "engine": manifest.engine,
        "precision": manifest.precision,
        **({"trust": ", ".join(request.model.trust)} if request.model.trust else {}),
    }


def _reading(source: NoteSource) -> dict[str, Any]:
    """How the input is read, where that is asked for."""
    usual = NoteSource(path=source.path)
    names = ("recursive", "hidden_files", "encoding", "delimiter")
    return {name: getattr(source, name) for name in names if getattr(source, name) != getattr(usual, name)}


def _pair(request: RunRequest) -> dict[str, Any]:
    """What notes are read with, where that is asked for."""
    given = {"pair_column": request.source.pair_column, "pair_text": request.source.pair_text}
    return {name: value for name, value in given.items() if value is not None}


def _model(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "created": manifest.created,
        "family": manifest.family,
        "engine": manifest.engine,
        "precision": manifest.precision,
        "width": manifest.width,
        "source": manifest.source,
        "manifest_sha256": bundle.manifest_sha256,
    }


def with_model(rows: DataFrame, bundle: Bundle) -> DataFrame:
    """Rows whose note_id says, as metadata of the column, which model made them. Spark keeps that in the footer of
    Parquet files, where `pyarrow` and others read it too."""
    names = ("name", "engine", "precision", "manifest_sha256")
    made_by = {name: value for name, value in _model(bundle).items() if name in names}
    kept = rows.schema[NOTE_ID].metadata
    return rows.withMetadata(NOTE_ID, {**kept, METADATA: {**made_by, "sparkclin": version("sparkclin")}})


def _versions(spark: SparkSession) -> dict[str, str]:
    packages = {name: version(name) for name in VERSIONS}
    return {**packages, "spark": spark.version, "python": platform.python_version()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
