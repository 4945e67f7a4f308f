"""sparkclin: bundles of every engine and precision, exported from the checkpoint and run by embed()."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.job import MODEL_NAME, Job, Running, Store
from benchmarks.process import run_logged
from benchmarks.spark import open_session, running
from sparkclin.bundle import Bundle
from sparkclin.embedding import EmbedOptions, embed
from sparkclin.repository import METADATA_FILE, ModelRepository

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A version of the model as `python -m export --engine … --precision …` makes it."""

    engine: str
    precision: str


TENSORFLOW_FP32 = Variant(engine="tensorflow", precision="fp32")
"""What the exporter makes where nothing else is asked."""


def find_bundle(store: Store, variant: Variant) -> Bundle | None:
    """The newest export of the variant, if there is one."""
    if not (store.models / METADATA_FILE).is_file():
        return None
    made = [
        bundle
        for bundle in ModelRepository(store.models).bundles()
        if (bundle.manifest.engine, bundle.manifest.precision) == (variant.engine, variant.precision)
    ]
    return max(made, key=lambda bundle: bundle.manifest.created_ms, default=None)


def prepare(store: Store, variant: Variant) -> Bundle:
    """Export the variant if that was not done before. Raises RunError where the export fails."""
    if found := find_bundle(store, variant):
        return found
    options = () if variant == TENSORFLOW_FP32 else ("--engine", variant.engine, "--precision", variant.precision)
    target = ("--name", MODEL_NAME, "--models", str(store.models), "--force")
    run_logged(
        [sys.executable, "-m", "export", str(store.checkpoint), *target, *options],
        log=store.logs / f"export-{variant.engine}-{variant.precision}.log",
    )
    made = find_bundle(store, variant)
    assert made is not None  # the exporter says that it has registered it
    return made


def start(job: Job, variant: Variant) -> Running:
    """Document vectors by embed(), with the options that everybody gets."""
    bundle = prepare(job.store, variant)
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
