"""transformers in Spark: LongformerModel behind predict_batch_udf, which is how Spark documents it, and for the tasks
what benchmarks/transformers_tasks.py has."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmarks import transformers_tasks
from benchmarks.in_spark import open_session, running
from benchmarks.job import Job, Running
from benchmarks.tasks import EMBED
from benchmarks.transformers_tasks import THREADS_PER_TASK
from benchmarks.workloads import SENTENCES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BATCH = {SENTENCES: 8}
"""Rows in a forward pass, 1 where it is not said: the model pads every row to a multiple of its window, 512, so that a
sentence costs as much as 512 pieces and one longer row fills the processor by itself."""


def start(job: Job, dtype: str) -> Running:
    """`dtype` is one of torch's, such as bfloat16; a task with a head is measured in float32, as it comes."""
    if job.store.task == EMBED:
        return start_embedding(job, dtype)
    task, shape = job.store.task.name, job.store.shape
    find = partial(transformers_tasks.process, checkpoint=job.store.checkpoint, task=task, shape=shape)

    def process(rows: DataFrame, _workload: str) -> DataFrame:
        return find(rows)

    settings = {"batch": "1", "torch threads": str(THREADS_PER_TASK), "stride": str(shape.stride)}
    return running(open_session(job), process, done="result IS NOT NULL", settings=settings)


def start_embedding(job: Job, dtype: str) -> Running:
    """Means of the last hidden state over a text's pieces."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import ArrayType, FloatType

    checkpoint = job.store.checkpoint
    mean_vectors = {
        batch: predict_batch_udf(lambda: load(checkpoint, dtype), return_type=ArrayType(FloatType()), batch_size=batch)
        for batch in (1, *BATCH.values())
    }

    def vectors(rows: DataFrame, workload: str) -> DataFrame:
        return rows.withColumn("vector", mean_vectors[BATCH.get(workload, 1)]("text"))

    batches = ", ".join(f"{batch} of {workload}" for workload, batch in BATCH.items())
    settings = {"batch": f"{batches}, else 1", "torch threads": str(THREADS_PER_TASK), "dtype": dtype}
    return running(open_session(job), vectors, done="size(vector) > 0", settings=settings)


@cache
def load(checkpoint: Path, dtype: str) -> Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]:
    """The function that a Python worker calls: texts (batch,) -> vectors (batch, width). A worker has it once, for all
    sizes of batches."""
    import torch
    from transformers import AutoTokenizer, LongformerModel

    torch.set_num_threads(THREADS_PER_TASK)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = LongformerModel.from_pretrained(checkpoint, add_pooling_layer=False, dtype=getattr(torch, dtype)).eval()
    longest = model.config.max_position_embeddings - 2

    def predict(texts: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        encoded = tokenizer(
            [str(text) for text in texts], padding=True, truncation=True, max_length=longest, return_tensors="pt"
        )
        with torch.inference_mode():
            states = model(**encoded).last_hidden_state.float()
        mask = encoded["attention_mask"].unsqueeze(-1)
        means: npt.NDArray[np.float32] = ((states * mask).sum(dim=1) / mask.sum(dim=1)).numpy()
        return means

    return predict
