"""A checkpoint becomes a registered model: read, build, save, verify, register."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from export import assets, checkpoint, parity
from export.checkpoint import Checkpoint
from export.errors import CheckpointError
from export.families import longformer
from export.graph.encoder import EncoderConfig
from export.graph.tensorflow import write_echo, write_encoder
from export.parity import ParityReport
from export.sparknlp import ANNOTATOR, save_annotator
from sparkclin.bundle import TOKENIZER_FILE, Bundle, Manifest, hash_files
from sparkclin.errors import OptionError
from sparkclin.repository import ModelRepository
from sparkclin.session import SPARK_NLP_VERSION, spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Spark NLP splits a folder's name at underscores, from the right.
NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
LIBRARIES = ("sparkclin", "tensorflow-cpu", "torch", "transformers", "tokenizers", "pyspark", "spark-nlp")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export and where to; raises OptionError for a name that `pretrained()` could not ask for."""

    checkpoint: str
    name: str
    models: Path
    language: str = "en"
    description: str = ""
    force: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise OptionError(f"--name {self.name!r}: expected lower-case letters and digits, joined by underscores.")


def convert(options: ExportOptions, *, spark: SparkSession | None = None) -> Bundle:
    """Exports a checkpoint into the repository at `options.models` and returns the registered bundle.

    Nothing is registered, and nothing there is touched, before ids and vectors were found equal to the reference's.

    Raises CheckpointError, ParityError, or ModelError where the name is taken and `force` was not given.
    """
    options.models.mkdir(parents=True, exist_ok=True)
    repository = ModelRepository(options.models)
    refuse_taken_name(repository, options)
    source = checkpoint.read(options.checkpoint)
    config = parse_config(source)
    tokenizer_json = source.tokenizer_json()
    session = spark or spark_session(app_name="sparkclin export")
    with scratch_folder(options.models) as scratch:
        staged = build(session, scratch, source=source, config=config, tokenizer_json=tokenizer_json, name=options.name)
        report = verify_folder(session, staged, scratch, source=source, config=config, tokenizer_json=tokenizer_json)
        manifest = describe(staged, options=options, source=source, config=config, report=report)
        # Registering renames, and that takes a folder right below the repository's root.
        ready = options.models / f".{scratch.name}.ready"
        staged.rename(ready)
        return repository.register(ready, manifest)


def verify(name: str, *, models: Path, source: str | None = None, spark: SparkSession | None = None) -> ParityReport:
    """Compares a registered model with its checkpoint again.

    `source` is the checkpoint's folder or hub id; by default what the manifest names, which only a hub id lets one
    find.

    Raises ParityError, or CheckpointError where `source` is not the checkpoint that was exported.
    """
    bundle = ModelRepository(models).find(name)
    original = checkpoint.read(source or bundle.manifest.source)
    if original.sha256 != bundle.manifest.source_sha256:
        raise CheckpointError(
            f"{original.source} is not the checkpoint that {name} was made from: its files' hashes differ from the "
            "manifest's. Name the right one with --checkpoint."
        )
    config = parse_config(original)
    session = spark or spark_session(app_name="sparkclin verify")
    with tempfile.TemporaryDirectory() as scratch:
        return verify_folder(
            session, bundle.path, Path(scratch), source=original, config=config, tokenizer_json=bundle.tokenizer_json()
        )


def parse_config(source: Checkpoint) -> EncoderConfig:
    """The encoder's shape; raises CheckpointError for a family that cannot be exported."""
    found = source.config.get("model_type")
    if found != longformer.MODEL_TYPE:
        raise CheckpointError(
            f"{source.source} is of model_type {found!r}; {longformer.MODEL_TYPE!r} can be exported. Check config.json."
        )
    return longformer.parse_config(source.config)


def refuse_taken_name(repository: ModelRepository, options: ExportOptions) -> None:
    """A new version of a name must be asked for; it never replaces the old one's files."""
    root = Path(repository.root)
    taken = (root / "metadata.json").is_file() and any(
        (record.name, record.language) == (options.name, options.language) for record in repository.records()
    )
    if taken and not options.force:
        raise OptionError(
            f"{options.models} already has a model {options.name!r}. Choose another --name, or make a new version with "
            "--force (the old one stays, the new one is what pretrained() finds)."
        )


def build(
    spark: SparkSession, scratch: Path, *, source: Checkpoint, config: EncoderConfig, tokenizer_json: str, name: str
) -> Path:
    """The bundle's folder without its manifest, below `scratch`."""
    saved_model, staged = scratch / "saved_model", scratch / "bundle"
    write_encoder(saved_model, config=config, weights=longformer.load(source, config))
    assets.write_assets(tokenizer_json, saved_model / "assets", vocab_size=config.vocab_size)
    save_annotator(spark, saved_model, staged, name=name, width=config.width, max_row=config.max_row)
    (staged / TOKENIZER_FILE).write_text(tokenizer_json, encoding="utf-8")
    return staged


def verify_folder(
    spark: SparkSession, folder: Path, scratch: Path, *, source: Checkpoint, config: EncoderConfig, tokenizer_json: str
) -> ParityReport:
    """Verifies a bundle's folder; the echo model that its ids need is made below `scratch`."""
    saved_echo, echo = scratch / "saved_echo", scratch / "echo"
    write_echo(saved_echo)
    assets.write_assets(tokenizer_json, saved_echo / "assets", vocab_size=config.vocab_size)
    save_annotator(spark, saved_echo, echo, name="echo", width=2, max_row=config.max_row)
    return parity.verify(
        spark,
        annotator_folder=folder,
        echo_folder=echo,
        checkpoint=source,
        config=config,
        tokenizer_json=tokenizer_json,
    )


def describe(
    staged: Path, *, options: ExportOptions, source: Checkpoint, config: EncoderConfig, report: ParityReport
) -> Manifest:
    """The manifest of a finished bundle folder."""
    return Manifest(
        name=options.name,
        language=options.language,
        description=options.description,
        family=longformer.MODEL_TYPE,
        engine="tensorflow",
        precision="fp32",
        annotator=ANNOTATOR,
        max_pieces=config.max_pieces,
        width=config.width,
        vocab_size=config.vocab_size,
        cls_id=config.cls_id,
        created=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        source=source.source,
        source_sha256=source.sha256,
        config=source.config,
        libraries={name: SPARK_NLP_VERSION if name == "spark-nlp" else version(name) for name in LIBRARIES},
        parity=report.to_dict(),
        files=hash_files(staged),
    )


@contextmanager
def scratch_folder(models: Path) -> Iterator[Path]:
    """A folder on the repository's own disk, gone afterwards, whatever happened."""
    folder = Path(tempfile.mkdtemp(prefix=".export-", dir=models))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(models / f".{folder.name}.ready", ignore_errors=True)
