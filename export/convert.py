"""A checkpoint becomes a registered model: read, build, save, verify, register."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from sparkclin.engines import INT8, PRECISIONS, TENSORFLOW
from sparkclin.errors import OptionError
from sparkclin.evaluation.notes import Note, packaged_notes, read_notes
from sparkclin.export import checkpoint, stock
from sparkclin.export.candidate import Candidate
from sparkclin.export.checkpoint import Checkpoint, HubName
from sparkclin.export.engines import EXPORTERS, Exporter, SparkNlpExporter, WorkerExporter
from sparkclin.export.errors import CheckpointError
from sparkclin.export.graph.model_input import GLOBAL_ATTENTIONS
from sparkclin.export.heads.labels import StatedLabels
from sparkclin.export.routes.route import Route
from sparkclin.export.routes.spark_nlp import SparkNlpRoute
from sparkclin.export.routes.workers import WorkerRoute
from sparkclin.export.scheme import DYNAMIC
from sparkclin.export.steps import SILENT, Steps
from sparkclin.export.stock import Told
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify import parity
from sparkclin.export.verify.expected import Expected
from sparkclin.export.verify.parity import EXACT_PRECISION, ParityReport
from sparkclin.export.verify.schemes import Tried, choose_scheme
from sparkclin.models.bundle import TOKENIZER_FILE, Bundle, Manifest, hash_files
from sparkclin.models.label_warnings import label_warnings
from sparkclin.models.pretrained import engine_of
from sparkclin.models.repository import METADATA_FILE, PLAIN, PLAIN_EXPECTED, ModelRepository, spark_nlp_problems
from sparkclin.spark.session import running_session, spark_session
from sparkclin.spark.settings import SPARK_NLP_VERSION
from sparkclin.wire.outputs import Outputs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Spark NLP splits a folder's name at underscores, from the right.
NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
LIBRARIES = ("sparkclin", "torch", "transformers", "tokenizers", "pyspark", "spark-nlp")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export and where to.

    `revision` is a hub id's branch, tag or commit, by default its default branch. `tokenizer` is the folder or hub id
    of the tokenizer, by default the checkpoint's own. `notes` is a file of notes to compare the vectors of bf16 or int8
    on, by default the packaged sample notes. `global_attention` is one of GLOBAL_ATTENTIONS, by default what the head
    has in transformers. `labels` are the names of the labels by id, and `problem_type` is one of PROBLEM_TYPES; both
    replace what config.json has.

    Raises OptionError for a name that `pretrained()` could not ask for, for a language that a repository cannot hold,
    for an unknown engine or precision, for a revision of a folder, for labels that are blank or repeated, and for a
    folder that Spark NLP cannot load from with an engine of Spark NLP.
    """

    checkpoint: str
    name: str
    models: Path
    revision: str | None = None
    tokenizer: str | None = None
    engine: str = TENSORFLOW.name
    precision: str = PRECISIONS[0]
    notes: Path | None = None
    language: str = "en"
    description: str = ""
    force: bool = False
    global_attention: str | None = None
    labels: tuple[str, ...] = ()
    problem_type: str | None = None

    @property
    def stated_labels(self) -> StatedLabels:
        return StatedLabels(names=self.labels, problem_type=self.problem_type)

    def __post_init__(self) -> None:
        problems = [*checkpoint.revision_problems(self.checkpoint, self.revision), *self._record_problems()]
        if self.engine not in EXPORTERS:
            problems.append(f"no exporter for --engine {self.engine!r}: expected one of {', '.join(EXPORTERS)}")
        elif self.precision not in EXPORTERS[self.engine].engine.precisions:
            engines = (exporter.engine for exporter in EXPORTERS.values())
            kinds = [
                f"{precision} with --engine {engine.name}" for engine in engines for precision in engine.precisions
            ]
            problems.append(f"--precision {self.precision!r} with --engine {self.engine}: there is {', '.join(kinds)}")
        elif EXPORTERS[self.engine].engine.spark_nlp:
            problems += [f"--models: {problem}" for problem in spark_nlp_problems(str(self.models))]
        if self.global_attention not in (None, *GLOBAL_ATTENTIONS):
            found = f"--global-attention {self.global_attention!r}"
            problems.append(f"{found}: expected one of {', '.join(GLOBAL_ATTENTIONS)}")
        if self.notes and self.precision == EXACT_PRECISION:
            problems.append("--notes: fp32 is not compared on notes; it is held to the reference on any input")
        problems += self.stated_labels.problems()
        if problems:
            raise OptionError("; ".join(problems) + ".")

    def _record_problems(self) -> list[str]:
        """Return what a repository cannot hold."""
        named = {"name": self.name, "language": self.language}
        odd = {option: value for option, value in named.items() if not PLAIN.fullmatch(value)}
        problems = [f"--{option} {value!r}: expected {PLAIN_EXPECTED}" for option, value in odd.items()]
        if "name" not in odd and not NAME.fullmatch(self.name):
            problems.append(f"--name {self.name!r}: expected lower-case letters and digits, joined by underscores")
        if not self.description.isprintable():
            problems.append(f"--description {self.description!r}: expected a line of text")
        return problems


def convert(options: ExportOptions, *, spark: SparkSession | None = None, steps: Steps = SILENT) -> Bundle:
    """Exports a checkpoint into the repository at `options.models` and returns the registered bundle.

    Nothing is registered, and nothing there is touched, before ids and vectors were compared with the reference's.

    Raises CheckpointError, ParityError, InputError for notes that cannot be read, or OptionError where the name is
    taken and `force` was not given.
    """
    EXPORTERS[options.engine].check_installed()
    refuse_taken_name(options)
    options.models.mkdir(parents=True, exist_ok=True)  # what cannot be written to is said before minutes of work
    return make(options, expected_of(options, steps=steps), spark=spark, steps=steps)


def expected_of(options: ExportOptions, *, steps: Steps) -> Expected:
    """Reads the notes and the checkpoint."""
    notes = notes_to_compare(options.precision, options.notes)
    with steps.step("checkpoint read"):
        trained = TrainedModel.read(
            options.checkpoint,
            revision=options.revision,
            tokenizer=options.tokenizer,
            global_attention=options.global_attention,
            labels=options.stated_labels,
        )
    warn_of_labels(trained, steps=steps)
    return Expected(trained=trained, notes=notes)


def warn_of_labels(trained: TrainedModel, *, steps: Steps) -> None:
    """Print what config.json leaves open about the labels."""
    head, problem_type = trained.head, trained.source.config.get("problem_type")
    for warning in label_warnings(task=head.task, labels=head.labels, problem_type=problem_type):
        steps.say(f"warning: {warning}")


def make(options: ExportOptions, expected: Expected, *, spark: SparkSession | None, steps: Steps) -> Bundle:
    """One version, into a folder of models that is there: build, save, verify, register."""
    exporter, trained = EXPORTERS[options.engine], expected.trained
    with scratch_folder(options.models) as scratch:
        candidate = Candidate(
            folder=scratch / "bundle",
            precision=options.precision,
            trained=trained,
            tokenizer_json=trained.tokenizer_json,
            outputs=Outputs(all=trained.head.outputs),
        )
        route = route_of(candidate, exporter, name=options.name, scratch=scratch, spark=spark, steps=steps)
        tried: list[Tried] = []
        if options.precision == INT8:
            with steps.step("scheme of int8 found"):
                tried = choose_scheme(candidate, route, expected, scratch=scratch, steps=steps)
            candidate = replace(candidate, scheme=tried[-1].scheme)
            route = route_of(candidate, exporter, name=options.name, scratch=scratch, spark=spark, steps=steps)
        route.build()
        (candidate.folder / TOKENIZER_FILE).write_text(candidate.tokenizer_json, encoding="utf-8")
        report = parity.verify(candidate, route, expected, steps=steps)
        with steps.step("registered"):
            manifest = describe(candidate, exporter, options=options, report=report, tried=tried)
            # Registering renames, and that takes a folder right below the repository's root.
            ready = options.models / f".{scratch.name}.ready"
            candidate.folder.rename(ready)
            return ModelRepository(options.models).register(ready, manifest)


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """A registered model to verify. Without `engine` or `precision` it is the preferred version of `name`, and without
    `language` the name may be in any.

    `checkpoint` is the folder or hub id of what it was made from; by default what the manifest names, which only a hub
    id lets one find: of that the very commit. `revision` is another one, of either. `tokenizer` is by default the one
    that the manifest names. `notes` are as in ExportOptions.
    """

    name: str
    models: Path
    engine: str | None = None
    precision: str | None = None
    language: str | None = None
    checkpoint: str | None = None
    revision: str | None = None
    tokenizer: str | None = None
    notes: Path | None = None


def verify(options: VerifyOptions, *, spark: SparkSession | None = None, steps: Steps = SILENT) -> ParityReport:
    """Compares a registered model with its checkpoint again.

    Raises ParityError, CheckpointError where the checkpoint is not the one that was exported, ModelError where there is
    no such model or it is not as it was exported, or OptionError for a revision of a folder.
    """
    repository = ModelRepository(options.models)
    bundle = repository.find(options.name, options.language, engine=options.engine, precision=options.precision)
    exporter = EXPORTERS[engine_of(bundle).name]
    exporter.check_installed()
    bundle.check()
    with steps.step("checkpoint read"):
        original = original_of(options, bundle.manifest)
    if original.sha256 != bundle.manifest.source_sha256:
        raise CheckpointError(
            f"{original.source} is not the checkpoint that {options.name} was made from: its files' hashes differ from "
            "the manifest's. Name the right one with --checkpoint."
        )
    notes = notes_to_compare(bundle.manifest.precision, options.notes)
    trained = TrainedModel.of(
        original,
        global_attention=bundle.manifest.global_attention,
        labels=StatedLabels(names=bundle.manifest.labels, problem_type=bundle.manifest.problem_type),
    )
    candidate = Candidate(
        folder=bundle.path,
        precision=bundle.manifest.precision,
        trained=trained,
        tokenizer_json=bundle.tokenizer_json(),
        outputs=bundle.manifest.segment_outputs,
        scheme=replace(DYNAMIC, group_size=bundle.manifest.group_size),
    )
    with tempfile.TemporaryDirectory() as scratch:
        route = route_of(candidate, exporter, name=options.name, scratch=Path(scratch), spark=spark, steps=steps)
        return parity.verify(candidate, route, Expected(trained=trained, notes=notes), steps=steps)


def route_of(
    candidate: Candidate, exporter: Exporter, *, name: str, scratch: Path, spark: SparkSession | None, steps: Steps
) -> Route:
    """The route of a model for an engine. `scratch` is a folder for what is made on the way; a session is started where
    the route needs one and `spark` is None."""
    if isinstance(exporter, WorkerExporter):
        return WorkerRoute(candidate=candidate, exporter=exporter, steps=steps)
    assert isinstance(exporter, SparkNlpExporter)
    trained = candidate.trained
    stock.stock_of(trained.head.task).check_labels(trained.head.labels)
    return SparkNlpRoute(
        candidate=candidate,
        exporter=exporter,
        spark=spark or session(steps=steps),
        told=Told(name=name, width=trained.config.width, problem_type=trained.problem_type),
        scratch=scratch,
        steps=steps,
    )


def session(*, steps: Steps) -> SparkSession:
    """The running one, or a new one."""
    if running_session():
        return spark_session()
    with steps.step("Spark started"):
        return spark_session(app_name="sparkclin export")


def original_of(options: VerifyOptions, manifest: Manifest) -> Checkpoint:
    """Return the checkpoint to compare with: the one that was asked for, or the one that the manifest names.

    Raises OptionError if the manifest names a tokenizer's folder, whose path it does not know.
    """
    source, tokenizer = options.checkpoint or manifest.source, options.tokenizer or manifest.tokenizer_source or None
    if options.revision is not None and not options.checkpoint:
        source = HubName.parse(source).hub_id
    if tokenizer and not options.tokenizer and HubName.parse(tokenizer).revision is None:
        raise OptionError(
            f"the tokenizer of {manifest.name} was read from a local folder {tokenizer!r}. Give its path with "
            "--tokenizer."
        )
    return checkpoint.read(source, revision=options.revision, tokenizer=tokenizer)


def refuse_taken_name(options: ExportOptions) -> None:
    """A new version of a name must be asked for; it never replaces the old one's files."""
    if is_taken(options) and not options.force:
        raise OptionError(
            f"{options.models} already has a model {options.name!r} for {options.engine} {options.precision}. Choose "
            "another --name, or make a new version with --force (the old one stays, the new one is found before it)."
        )


def is_taken(options: ExportOptions) -> bool:
    wanted = (options.name, options.language, options.engine, options.precision)
    return (options.models / METADATA_FILE).is_file() and any(
        (record.name, record.language, record.engine, record.precision) == wanted
        for record in ModelRepository(options.models).records()
    )


def notes_to_compare(precision: str, file: Path | None) -> list[Note]:
    """Return the notes in `file`, or the packaged ones; an empty list for fp32, which is compared on any input. Raises
    OptionError for a file with fp32."""
    if precision == EXACT_PRECISION:
        if file:
            raise OptionError("--notes has no effect on a model in fp32, which is compared on any input. Leave it out.")
        return []
    return read_notes(file) if file else packaged_notes()


def describe(
    candidate: Candidate,
    exporter: Exporter,
    *,
    options: ExportOptions,
    report: ParityReport,
    tried: Sequence[Tried],
) -> Manifest:
    trained, in_workers = candidate.trained, exporter.engine.in_workers is not None
    config, source = trained.config, trained.source
    return Manifest(
        name=options.name,
        language=options.language,
        description=options.description,
        family=trained.family.model_type,
        engine=exporter.engine.name,
        precision=candidate.precision,
        annotator=exporter.engine.annotator_name(trained.head.task),
        task=trained.head.task,
        labels=trained.head.labels,
        outputs=candidate.outputs.all,
        selects_outputs=candidate.outputs.selectable,
        problem_type=trained.problem_type,
        global_attention=config.global_attention,
        separators=trained.ends.separators,
        row_limits=config.row_limits if in_workers else (),
        group_size=(candidate.scheme.group_size or config.width) if in_workers else 0,
        max_pieces=config.max_pieces,
        width=config.width,
        vocab_size=config.vocab_size,
        cls_id=config.cls_id,
        sep_id=config.sep_id,
        pad_id=config.pad_id,
        created=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        source=source.source,
        tokenizer_source=source.tokenizer.source if options.tokenizer else "",
        source_sha256=source.sha256,
        config=source.config,
        libraries=library_versions(exporter),
        parity={**report.to_dict(), **({"schemes": [found.to_dict() for found in tried]} if tried else {})},
        files=hash_files(candidate.folder),
    )


def library_versions(exporter: Exporter) -> dict[str, str]:
    """Of Spark NLP the jar's version, which is the one that loads the model."""
    installed = {name: version(name) for name in (*LIBRARIES, *exporter.libraries.values())}
    return {**installed, "spark-nlp": SPARK_NLP_VERSION}


@contextmanager
def scratch_folder(models: Path) -> Iterator[Path]:
    """A folder on the repository's own disk, gone afterwards, whatever happened."""
    folder = Path(tempfile.mkdtemp(prefix=".export-", dir=models))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(models / f".{folder.name}.ready", ignore_errors=True)
