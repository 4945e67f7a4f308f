"""sparkclin: bundles of every engine and precision, exported from the checkpoint and run by embed()."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import RunError
from benchmarks.job import MODEL_NAME, Job, Running, Store
from benchmarks.material import CHECKOUT
from benchmarks.process import run_logged
from benchmarks.spark import open_session, running
from sparkclin.models.bundle import Bundle
from sparkclin.models.repository import METADATA_FILE, ModelRepository
from sparkclin.tasks.embed import EmbedOptions, embed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A version of the model as `python -m export --engine … --precision …` makes it."""

    engine: str
    precision: str


TENSORFLOW_FP32 = Variant(engine="tensorflow", precision="fp32")

SHARED_CODE = ("codes.py", "packs.py")
"""Of sparkclin/, what decides on a graph beside export/."""


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
    options = ("--engine", variant.engine, "--precision", variant.precision)
    target = ("--name", MODEL_NAME, "--models", str(store.models), "--force")
    run_logged(
        [sys.executable, "-m", "export", str(store.checkpoint), *target, *options],
        log=store.logs / f"export-{variant.engine}-{variant.precision}.log",
    )
    return exported(store, variant)


def exported(store: Store, variant: Variant) -> Bundle:
    """What prepare() made. Raises RunError where it did not."""
    found = find_bundle(store, variant)
    if found is None:
        raise RunError(f"{store.models} has no model of {variant.engine} {variant.precision}")
    return found


def models_folder(work: Path) -> Path:
    """The repository below `work` for bundles of the exporter as it is now; those of an earlier one are removed.

    The exporter is known by the hash of the code that decides on a graph.
    """
    digest = hashlib.sha256()
    shared = (CHECKOUT / "sparkclin" / name for name in SHARED_CODE)
    for source in sorted([*(CHECKOUT / "export").rglob("*.py"), *shared]):
        digest.update(source.read_bytes())
    folder = work / f"models-{digest.hexdigest()[:12]}"
    for earlier in set(work.glob("models-*")) - {folder}:
        shutil.rmtree(earlier)
    return folder


def start(job: Job, variant: Variant) -> Running:
    """Document vectors by embed(), with the options that everybody gets."""
    bundle = exported(job.store, variant)
    options = EmbedOptions(level="document", max_pieces=job.store.shape.max_pieces, stride=job.store.shape.stride)
    spark = open_session(job)

    def vectors(rows: DataFrame) -> DataFrame:
        return embed(rows, bundle=bundle, options=options)

    from pyspark.sql import functions as F

    return running(
        spark,
        vectors,
        vector=F.col("vector"),
        settings={"options": str(options), "bundle": bundle.manifest.created},
    )
