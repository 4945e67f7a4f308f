"""The engine by itself: the bundle's own ONNX file in ONNX Runtime. The difference is what Spark costs."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.dataset
from tokenizers import Tokenizer

from benchmarks import ours
from benchmarks.job import Job, Running
from benchmarks.ours import Variant
from benchmarks.shape import PAD_ID
from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import annotator_of
from sparkclin.wire.packed import padded, plan_batches

IDS = "ids"
"""The column of rows that are ids already."""

Ids = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]


def start(job: Job, variant: Variant) -> Running:
    """Rows as piece ids, batched as sparkclin batches them, a thread for each core.

    Tokenizing is part of loading: this is the rate of the engine.
    """
    bundle = ours.exported(job.store, variant)
    file = model_file(bundle, job.store.folder / f"onnx-{variant.precision}")
    run = raw_onnx(file)
    tokenizer = Tokenizer.from_str(bundle.tokenizer_json())
    ids = {folder: read_ids(folder, tokenizer) for folder in job.folders}
    threads = len(job.cpus)
    return Running(
        read=lambda folder, _workload: run_batches(run, ids[folder], threads=threads),
        settings={"runs at once": str(threads), "threads per run": "1"},
    )


def raw_onnx(file: Path) -> Callable[[Sequence[Sequence[int]]], Vectors]:
    """A session as Spark NLP's: one thread per run, any number of runs at once.

    Returns a function from a batch of rows of ids, special ones included, to what the graph gives first,
    (batch, pieces, width).
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    declared = {given.name for given in session.get_inputs()}

    def run(batch: Sequence[Sequence[int]]) -> Vectors:
        inputs = inputs_of(batch)
        vectors: Vectors = session.run(None, {name: inputs[name] for name in declared})[0]
        return vectors

    return run


def read_ids(folder: Path, tokenizer: Tokenizer) -> list[list[int]]:
    """The rows' ids, special ones included, in the column IDS or by the tokenizer."""
    rows = pyarrow.dataset.dataset(folder, format="parquet").to_table()
    if IDS in rows.column_names:
        ids: list[list[int]] = rows[IDS].to_pylist()
        return ids
    return [encoding.ids for encoding in tokenizer.encode_batch(rows["text"].to_pylist())]


def run_batches(
    run: Callable[[Sequence[Sequence[int]]], Vectors], rows: Sequence[Sequence[int]], *, threads: int
) -> int:
    """Run all rows, `threads` batches at once, and return how many came out with nothing but numbers."""
    batches = ([rows[index] for index in batch] for batch in plan_batches([len(row) for row in rows]))
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda batch: count_finite(run(batch)), batches))


def count_finite(vectors: Vectors) -> int:
    """Of (batch, pieces, width), how many of the batch."""
    return int(np.isfinite(vectors).all(axis=(1, 2)).sum())


def inputs_of(batch: Sequence[Sequence[int]]) -> dict[str, Ids]:
    """A BERT-like model's inputs by name, all (batch, pieces)."""
    rows = [np.asarray(row, np.int32) for row in batch]
    input_ids = padded(rows, padding=PAD_ID).astype(np.int64)
    mask = padded([np.ones_like(row) for row in rows], padding=0).astype(np.int64)
    return {"input_ids": input_ids, "attention_mask": mask, "token_type_ids": np.zeros_like(input_ids)}


def model_file(bundle: Bundle, folder: Path) -> Path:
    """The ONNX file of the bundle, taken out of the zip file that Spark NLP keeps it in, into `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(bundle.path / annotator_of(bundle).graph_file) as archive:
        (name,) = archive.namelist()
        return Path(archive.extract(name, folder))
