"""An engine of the Python workers by itself: the bundle's own graphs, without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
from tokenizers import Tokenizer

from benchmarks import ours
from benchmarks.job import Job, Running
from benchmarks.ours import Variant
from benchmarks.raw_onnx import count_finite, inputs_of, read_ids
from sparkclin.inference.model import RowModel, open_model
from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import engine_of
from sparkclin.wire.packed import plan_batches


def start(job: Job, variant: Variant) -> Running:
    """Rows as piece ids, batched as sparkclin batches them, a model of one thread for each core.

    Tokenizing is part of loading: this is the rate of the engine.
    """
    bundle = ours.exported(job.store, variant)
    models = [open_bundle(bundle) for _ in job.cpus]
    tokenizer = Tokenizer.from_str(bundle.tokenizer_json())
    ids = {folder: read_ids(folder, tokenizer) for folder in job.folders}
    return Running(
        read=lambda folder, _workload: run_batches(models, ids[folder], limits=bundle.manifest.row_limits),
        settings={"runs at once": str(len(models)), "threads per run": "1"},
    )


def open_bundle(bundle: Bundle, *, threads: int = 1) -> RowModel:
    """As a worker opens it."""
    engine = engine_of(bundle).in_workers
    assert engine is not None
    return open_model(engine, bundle.model_files(threads=threads))


def run_batches(models: Sequence[RowModel], rows: Sequence[Sequence[int]], *, limits: Sequence[int]) -> int:
    """Run all rows, a batch per model at once, and return how many came out with nothing but numbers."""
    free: SimpleQueue[RowModel] = SimpleQueue()
    for model in models:
        free.put(model)

    def run(indices: Sequence[int]) -> int:
        model = free.get()
        try:
            ids = inputs_of([rows[index] for index in indices])["input_ids"]
            return count_finite(model.states(ids.astype(np.int32)))
        finally:
            free.put(model)

    with ThreadPoolExecutor(len(models)) as pool:
        return sum(pool.map(run, plan_batches([len(row) for row in rows], limits=limits)))
