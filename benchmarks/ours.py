"""sparkclin: bundles of every engine and precision, exported from the checkpoint, run by its task's function."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import RunError
from benchmarks.in_spark import open_session, running, with_question
from benchmarks.job import Job, Running, Store
from benchmarks.process import run_logged
from benchmarks.tasks import ANSWER, CLASSIFY, EMBED, ENTITIES
from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import engine_of
from sparkclin.models.repository import METADATA_FILE, ModelRepository
from sparkclin.schema import STATUS, STATUS_NO_ENTITIES, STATUS_OK
from sparkclin.tasks import answers, entities, labels
from sparkclin.tasks.embed import EmbedOptions, embed
from testkit.material import CHECKOUT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A version of the model as `sparkclin export --engine … --precision …` makes it."""

    engine: str
    precision: str


TENSORFLOW_FP32 = Variant(engine="tensorflow", precision="fp32")


@dataclass(frozen=True, kw_only=True)
class TaskFunction:
    """A function of sparkclin's and its options, all as they come. `done` is as in `in_spark.running`."""

    run: Callable[..., DataFrame]
    options: Any
    done: str


FUNCTIONS: Mapping[str, TaskFunction] = {
    EMBED.name: TaskFunction(run=embed, options=EmbedOptions(), done="size(vector) > 0"),
    ENTITIES.name: TaskFunction(
        run=entities.find_entities,
        options=entities.NerOptions(aggregation="simple"),  # as benchmarks/transformers_tasks.py
        done=f"{STATUS} = '{STATUS_NO_ENTITIES}' OR {STATUS} = '{STATUS_OK}' AND {entities.INDEX} = 0",
    ),
    CLASSIFY.name: TaskFunction(
        run=labels.classify, options=labels.ClassifyOptions(), done=f"{labels.INDEX} = 0 AND score IS NOT NULL"
    ),
    ANSWER.name: TaskFunction(
        run=answers.answer, options=answers.QuestionOptions(), done=f"{answers.INDEX} = 0 AND score IS NOT NULL"
    ),
}
"""By task."""

EXPORTER = ("export", "sparkclin/engines.py", "sparkclin/models/bundle.py", "sparkclin/wire", "sparkclin/inference")
"""Folders and files of the checkout that decide what a bundle holds."""


def find_bundle(store: Store, variant: Variant) -> Bundle | None:
    """The newest export of the variant, if there is one."""
    if not (store.models / METADATA_FILE).is_file():
        return None
    newest = {(b.manifest.engine, b.manifest.precision): b for b in ModelRepository(store.models).newest()}
    return newest.get((variant.engine, variant.precision))


def prepare(store: Store, variant: Variant) -> Bundle:
    """Export the variant if that was not done before. Raises RunError where the export fails."""
    if found := find_bundle(store, variant):
        return found
    export(store, [variant])
    return exported(store, variant)


def prepare_together(store: Store, variants: Sequence[Variant]) -> None:
    """Export in one process what was not exported before: it reads the checkpoint once, and starts Spark once. What
    comes of this not, prepare() tries by itself, and says why it fails."""
    missing = [variant for variant in variants if find_bundle(store, variant) is None]
    if len(missing) > 1:
        with suppress(RunError):
            export(store, missing)


def export(store: Store, variants: Sequence[Variant]) -> None:
    names = [f"{variant.engine}:{variant.precision}" for variant in variants]
    run_logged(
        [sys.executable, "-m", "benchmarks.models", str(store.checkpoint), str(store.models), *names],
        log=store.logs / f"export-{'-'.join(names).replace(':', '-')}.log",
    )


def exported(store: Store, variant: Variant) -> Bundle:
    """What prepare() made. Raises RunError where it did not."""
    found = find_bundle(store, variant)
    if found is None:
        raise RunError(f"{store.models} has no model of {variant.engine} {variant.precision}")
    return found


def models_folder(work: Path) -> Path:
    """The repository below `work` for bundles of the exporter as it is now; those of an earlier one are removed.

    The exporter is known by the hash of its code.
    """
    folder = work / f"models-{hash_sources(CHECKOUT, EXPORTER)[:12]}"
    for earlier in set(work.glob("models-*")) - {folder}:
        shutil.rmtree(earlier)
    return folder


def hash_sources(root: Path, names: Sequence[str]) -> str:
    """SHA-256 over the Python files of these folders and files below `root`: their paths and what is in them.

    Raises RunError for a name without any: it has moved, and bundles of an earlier exporter would be measured.
    """
    digest = hashlib.sha256()
    for name in names:
        sources = sorted([*(root / name).rglob("*.py"), *root.glob(name)])
        sources = [source for source in sources if source.is_file()]
        if not sources:
            raise RunError(f"{name} has no Python files: say in benchmarks/ours.py where the exporter's code is.")
        for source in sources:
            digest.update(str(source.relative_to(root)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def start(job: Job, variant: Variant) -> Running:
    """Document vectors by embed(), or what the task's function finds, with the default options."""
    bundle, task = exported(job.store, variant), job.store.task
    function = FUNCTIONS[task.name]

    def process(rows: DataFrame, _workload: str) -> DataFrame:
        return function.run(with_question(rows, task), bundle=bundle, options=function.options)

    return running(
        open_session(job, spark_nlp=engine_of(bundle).spark_nlp is not None),
        process,
        done=function.done,
        settings={"options": str(function.options), "bundle": bundle.manifest.created},
    )
