"""A run: a task, notes from a source, rows to a sink, and a report of it."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sparkclin.errors import ModelError, OptionError, masked
from sparkclin.inference.model import check_library
from sparkclin.models.advice import advice
from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.models.card import worst_figures
from sparkclin.models.hosts import load_ahead
from sparkclin.models.pretrained import active_repository, engine_of, spark_nlp_of
from sparkclin.models.repository import ModelRepository
from sparkclin.models.trust import check_trusted
from sparkclin.runs.console import Console
from sparkclin.runs.corpus import NoteSource, count_corpus, default_partitions, look_at_disk, read_corpus
from sparkclin.runs.derived import DerivedTable, write_derived
from sparkclin.runs.place import check_location, check_place, check_space, whole_or_nothing
from sparkclin.runs.progress import Work, shown
from sparkclin.runs.report import NoteCounts, NotRead, RunReport, Stopwatch, check_read, count_columns
from sparkclin.runs.sink import Sink, check_written, write_rows
from sparkclin.schema import METADATA, NOTE_ID, plain_value
from sparkclin.spark import storage
from sparkclin.spark.beforehand import Beforehand, look_ahead
from sparkclin.spark.failures import step
from sparkclin.spark.interrupts import interruptible
from sparkclin.spark.logs import silence, stay_silent
from sparkclin.spark.options import SessionOptions
from sparkclin.spark.session import running_session, spark_session
from sparkclin.spark.tally import tally

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    Observe = Callable[[DataFrame], DataFrame]

MOST_PARTITIONS = 1_000_000
"""Spark's driver holds all of them."""

OWN_PROGRESS = {"spark.ui.showConsoleProgress": "false"}
"""For a session that we start: Spark shows none beside ours."""

MOST_IN_A_LINE = 6
"""Values of a setting."""

VERSIONS = ("sparkclin", "pyspark", "spark-nlp", "tokenizers")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run does to notes.

    `name` is one word for it. `rows` makes the rows to write of the notes (note_id, text): every note gets rows, which
    have its note_id. It calls `observe` on a DataFrame of one row per note with n_pieces, n_windows and status, and
    goes on with what that returns, without a shuffle: in the last stage of a job Spark counts each row once, before
    that as often as a stage is repeated. `index` is the column that numbers a note's rows from 0; None where a note has
    one row. `settings` gives the task's settings with what the model decides filled in, and raises OptionError for
    those that the model does not allow. `derived` is what is made of the rows once they are written, if anything; it
    raises ModelError for a model with which that cannot be. `model_task` is what the manifests of models for it say,
    such as `entities`; None where any model will do. `needs_spark_nlp`: even where the model's engine does without it.
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
    """The choice of a model. None means active_repository(), its only model for the task, any language, and the
    preferred engine and precision. `trust` lists the SHA-256 of the manifests that may run, or files of them; if it is
    empty, all may."""

    repository: str | None = None
    name: str | None = None
    language: str | None = None
    engine: str | None = None
    precision: str | None = None
    trust: tuple[str, ...] = ()

    def find(self, *, task: str | None = None) -> Bundle:
        """The model; `task` is that of a manifest, which counts where no name is given and there are several.

        Raises ModelError, listing what there is, where the choice leaves none or several, and for a model that is not
        trusted or whose manifest is not the one that was registered.
        """
        repository = self.where()
        name = self.name or _only_name(repository, task=task, language=self.language)
        bundle = repository.find(name, self.language, engine=self.engine, precision=self.precision)
        check_trusted(bundle.manifest_sha256, location=bundle.location, trust=self.trust)
        return bundle

    def where(self) -> ModelRepository:
        return ModelRepository(self.repository) if self.repository else active_repository()


def _only_name(repository: ModelRepository, *, task: str | None, language: str | None) -> str:
    """Return the name of the only model in the language, or of the only one for the task."""
    records = repository.records()
    names = sorted({record.name for record in records})
    fitting = sorted({record.name for record in records if language in (None, record.language)})
    whose = "" if language is None else f" in the language {language!r}"
    if task is not None and len(fitting) > 1:
        manifests = [bundle.manifest for bundle in repository.newest()]
        fitting = sorted({of.name for of in manifests if of.task == task and language in (None, of.language)})
        whose = f"{whose} for the task {task!r}"
        names = sorted({f"{of.name} ({of.task})" for of in manifests})
    if len(fitting) != 1:
        there = ", ".join(names) or "none"
        raise ModelError(
            f"{repository.root} has {len(fitting)} models{whose}. It holds the models {there}: choose with --model."
        )
    return fitting[0]


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What is asked of a run. `partitions` None goes by the number of notes; OptionError for less than one. `session`
    is for a session that the run starts."""

    source: NoteSource
    sink: Sink
    model: ModelChoice = field(default_factory=ModelChoice)
    partitions: int | None = None
    session: SessionOptions = field(default_factory=SessionOptions)

    def __post_init__(self) -> None:
        if self.partitions is not None and not 1 <= self.partitions <= MOST_PARTITIONS:
            raise OptionError(
                f"{self.partitions} partitions were asked for: there is at least one, and at most {MOST_PARTITIONS:,}."
            )


@step("in the run")
def run(task: Task, request: RunRequest) -> RunReport:
    """Reads the notes, does the task, writes the rows and the report beside them, and checks what was written: then the
    output is there. What it does is said on stderr.

    What is wrong with the model, the settings, the output's place or the notes' ids is found before the work begins,
    and what is on this machine's disk before Spark starts. Raises SparkclinError, for all that Spark and Java raise
    too; nothing is left of the output then.
    """
    console = Console.of_command()
    watch = Stopwatch(since_s=console.began_s)
    watch.lap("start")
    ahead = look_ahead(request.session)
    source = check_places(request, ahead)
    spark, chosen = start(task, replace(request, source=source), ahead, console, watch)
    with silence(spark):
        return carry_out(task, request, spark, chosen, console=console, watch=watch)


def carry_out(
    task: Task, request: RunRequest, spark: SparkSession, chosen: Chosen, *, console: Console, watch: Stopwatch
) -> RunReport:
    """Do everything that a run does once its session and its model are there."""
    from pyspark.sql import Observation

    bundle, table = chosen.bundle, chosen.table
    check_place(spark, request.sink, source=request.source.path)
    tables = (table.rows_name, table.name) if table else ()
    load_ahead(spark, bundle)  # while the input is looked through, which leaves cores and Spark NLP idle
    in_workers = engine_of(bundle).in_workers is not None
    console.say("the input is looked through" + ("" if in_workers else ", and the model is loaded"))
    context = spark.sparkContext
    with interruptible(context), whole_or_nothing(spark, request.sink, tables=tables) as place:
        corpus = read_corpus(spark, request.source)
        notes, n_notes = corpus.notes, count_corpus(corpus, say=console.say)
        check_space(spark, request.sink, least_bytes=n_notes * task.least_bytes(bundle.manifest))
        n_tasks = request.partitions or default_partitions(n_notes, parallelism=spark.sparkContext.defaultParallelism)

        watch.lap("input")
        console.say(f"{task.name}: {n_notes:,} notes with {bundle.manifest.name} in {n_tasks:,} tasks")
        started, tasks_before = _now(), Counter(tally(spark).value)
        counts = Observation("notes")
        rows = task.rows(notes.repartition(n_tasks), bundle, lambda frame: frame.observe(counts, *count_columns()))
        watch.lap("loading")
        console.say("each Python worker loads the model, and reads its notes" if in_workers else "the notes are read")
        work = Work(name=task.name, group=f"{task.name} {masked(request.sink.path)}", n_notes=n_notes, n_tasks=n_tasks)
        sink = place.within(table.rows_name) if table else place
        with shown(spark.sparkContext, work) as pace:
            write_rows(with_model(rows, bundle), sink)
        elapsed_s = watch.lap("work")
        console.say("what was written is counted")
        written = check_written(spark, sink, n_notes=n_notes, index=task.index)
        read = NoteCounts.from_metrics(counts.get)
        check_read(read, n_notes=n_notes)
        watch.lap("check")
        derived = {}
        if table:
            console.say(f"{table.name} is made")
            derived[table.name] = write_derived(spark, table, place, notes=notes, started=started)
            watch.lap(table.name)
        added = corpus.check_unchanged()  # last: the second table reads the notes again

        report = RunReport(
            task=task.name,
            started=started,
            finished=_now(),
            elapsed_s=elapsed_s,
            wall_s=watch.wall_s,
            seconds=watch.seconds,
            in_input=corpus.records,
            counts=read,
            not_read=NotRead.of(corpus.not_read),
            added=NotRead.of(added),
            written=written.notes,
            rows=written.rows,
            ran=dict(tally(spark).value - tasks_before),
            derived=derived,
            advice=advice(engine=bundle.manifest.engine, precision=bundle.manifest.precision),
            parity=worst_figures(bundle.manifest.parity),
            pace=pace.finished(elapsed_s, n_notes),
            settings={
                **_settings(request, corpus.source, bundle),
                "master": masked(str(spark.sparkContext.master)),
                "partitions": n_tasks,
                **chosen.settings,
            },
            model=_model(bundle),
            versions=_versions(spark),
        )
        report.write(place.path)
    return report


def check_places(request: RunRequest, ahead: Beforehand) -> NoteSource:
    """What can be said before Spark starts of an input and an output on this machine's disk: the source with the format
    that is found, or as it is. Raises InputError."""
    source, sink = request.source, request.sink
    here = ahead.is_local(source.path)
    if ahead.is_local(sink.path):
        check_location(sink, storage.as_url, source=source.path if here else "")
    return look_at_disk(source) if here else source


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The model of a run, as it was exported, and what follows from it: the task's settings, and the table that is made
    of the rows, if any."""

    bundle: Bundle
    settings: Mapping[str, Any]
    table: DerivedTable | None


def choose(task: Task, model: ModelChoice, ahead: Beforehand) -> Chosen:
    """Raises ModelError and OptionError for a model that is not there, not as it was exported or not for the task, and
    for settings that it does not allow, and SetupError where its engine is certainly missing. Hashing its files, which
    may take seconds, comes last."""
    bundle = model.find(task=task.model_task)
    if task.model_task is not None:
        bundle.manifest.check_task(task.model_task)
    engine = engine_of(bundle)
    if engine.in_workers is None:
        _ = spark_nlp_of(bundle)
    elif ahead.runs_here:
        check_library(engine.in_workers)
    chosen = Chosen(
        bundle=bundle,
        settings=task.settings(bundle.manifest),
        table=task.derived(bundle) if task.derived else None,
    )
    bundle.check()
    return chosen


@step("while starting")
def start(
    task: Task, request: RunRequest, ahead: Beforehand, console: Console, watch: Stopwatch
) -> tuple[SparkSession, Chosen]:
    """A session, and the model; the session without Spark NLP's jars where neither needs them, and the model is on the
    local disk, where it can be looked at first."""

    def session(*, spark_nlp: bool = True) -> SparkSession:
        asked, quieter = request.session, {}
        if running_session() is None:
            console.say("Spark starts")
            quieter = OWN_PROGRESS
        started = spark_session(
            app_name=f"sparkclin {task.name}",
            master=asked.master,
            driver_memory=asked.driver_memory,
            settings=quieter | dict(asked.settings),
            spark_nlp=spark_nlp,
        )
        if quieter:
            stay_silent(started)
        watch.lap("Spark")
        return started

    def chosen() -> Chosen:
        found = choose(task, request.model, ahead)
        watch.lap("model")
        console.say(*_plan(task, request, found))
        return found

    if storage.is_remote(request.model.where().root):
        return session(), chosen()
    found = chosen()
    return session(spark_nlp=engine_of(found.bundle).spark_nlp is not None or task.needs_spark_nlp), found


def _plan(task: Task, request: RunRequest, chosen: Chosen) -> list[str]:
    """What the run will do, as far as it is known before the input is read."""
    manifest, repository = chosen.bundle.manifest, chosen.bundle.location.rpartition("/")[0]
    source, sink = request.source, request.sink
    settings = [f"{name.replace('_', ' ')} {_in_a_line(value)}" for name, value in chosen.settings.items()]
    return [
        f"{task.name}: {masked(source.path)} ({source.format or 'its format is found by the names of the files'})",
        f"output: {masked(sink.path)} ({sink.format})",
        f"model: {manifest.name}, {manifest.engine} {manifest.precision}, of {masked(repository)}",
        *([f"settings: {', '.join(settings)}"] if settings else []),
    ]


def _in_a_line(value: object) -> str:
    """A setting's value; of many, such as a model's labels, their number."""
    many = isinstance(value, list) and len(value) > MOST_IN_A_LINE
    return plain_value(len(value) if many else value)  # type: ignore[arg-type]


def _settings(request: RunRequest, source: NoteSource, bundle: Bundle) -> dict[str, Any]:
    """The settings of all runs by the names of their options, defaults filled in."""
    manifest = bundle.manifest
    return {
        "input": masked(source.path),
        "input_format": source.format,
        **({} if source.version is None else {"input_version": source.version}),
        "id_column": source.id_column,
        "text_column": source.text_column,
        **_reading(source),
        **_pair(request),
        "output": masked(request.sink.path),
        "output_format": request.sink.format,
        "models": masked(bundle.location.rpartition("/")[0]),
        "model": manifest.name,
        "language": manifest.language,
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
        "description": manifest.description,
        "task": manifest.task,
        "created": manifest.created,
        "family": manifest.family,
        "engine": manifest.engine,
        "precision": manifest.precision,
        "width": manifest.width,
        "max_pieces": manifest.max_pieces,
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
