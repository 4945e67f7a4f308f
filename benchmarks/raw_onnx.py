"""The engine by itself: the bundle's own ONNX file in ONNX Runtime. The difference is what Spark costs."""

from __future__ import annotations

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
from sparkclin.bundle import Bundle

Ids = npt.NDArray[np.int64]

PIECES_A_PASS = 4096
"""Pieces in a forward pass, padding included."""


def start(job: Job, variant: Variant) -> Running:
    """Rows as pieces, batched by length, into one session with one thread a core.

    Tokenizing is part of loading: this is the rate of the engine.
    """
    bundle = ours.prepare(job.store, variant)
    run = raw_onnx(model_file(bundle))
    tokenizer = Tokenizer.from_str(bundle.tokenizer_json())
    ids = {folder: read_ids(folder, tokenizer) for folder in (job.warm_up, job.rows)}
    threads = len(job.cpus)
    return Running(
        embed=lambda folder: run_batches(run, ids[folder], threads=threads),
        settings={"threads": str(threads), "threads a run": "1", "pieces a pass": str(PIECES_A_PASS)},
    )


def raw_onnx(file: Path) -> Callable[[Ids, Ids], npt.NDArray[np.float32]]:
    """A session as Spark NLP's: one thread a run, any number of runs at once.

    Returns a function (input_ids, attention_mask), both (batch, pieces), -> the graph's first output.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(input_ids: Ids, attention_mask: Ids) -> npt.NDArray[np.float32]:
        vectors: npt.NDArray[np.float32] = session.run(
            None, {"input_ids": input_ids, "attention_mask": attention_mask}
        )[0]
        return vectors

    return run


def read_ids(folder: Path, tokenizer: Tokenizer) -> list[list[int]]:
    """The rows' ids, special ones included, longest first, so that none starts when the others are done."""
    texts = pyarrow.dataset.dataset(folder, format="parquet").to_table()["text"].to_pylist()
    return sorted((encoding.ids for encoding in tokenizer.encode_batch(texts)), key=len, reverse=True)


def run_batches(
    run: Callable[[Ids, Ids], npt.NDArray[np.float32]], ids: Sequence[Sequence[int]], *, threads: int
) -> int:
    """Run all rows, `threads` batches at once, and return how many vectors came out that are numbers."""
    with ThreadPoolExecutor(threads) as pool:
        made = pool.map(lambda batch: run(*padded(batch)), batches(ids))
        return sum(int(np.isfinite(vectors).all(axis=tuple(range(1, vectors.ndim))).sum()) for vectors in made)


def batches(ids: Sequence[Sequence[int]], *, budget: int = PIECES_A_PASS) -> list[list[Sequence[int]]]:
    """Neighbours together as long as a batch has at most `budget` pieces, padding included; one row at least."""
    made: list[list[Sequence[int]]] = []
    for row in ids:
        longest = max(len(row), len(made[-1][0])) if made else 0
        if made and longest * (len(made[-1]) + 1) <= budget:
            made[-1].append(row)
        else:
            made.append([row])
    return made


def padded(batch: Sequence[Sequence[int]], *, pad_id: int = 1) -> tuple[Ids, Ids]:
    """input_ids and attention_mask, both (batch, pieces)."""
    lengths = np.array([len(row) for row in batch])
    mask = np.arange(lengths.max()) < lengths[:, None]
    input_ids = np.full(mask.shape, pad_id, dtype=np.int64)
    input_ids[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in batch])
    return input_ids, mask.astype(np.int64)


def model_file(bundle: Bundle) -> Path:
    """The ONNX file that the bundle carries."""
    raise NotImplementedError("the ONNX engine is not there yet")
