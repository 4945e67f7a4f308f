"""An exported graph -> a saved Spark NLP annotator, and piece ids through it and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkclin.spark.storage import as_url
from sparkclin.wire import codes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What loadSavedModel adds to the session's files.
ONNX_FILE = "model.onnx"
# Windows that share a forward pass. Spark NLP pads them to the longest, so few: eight notes of 4,096 pieces fill the
# memory that their scores take, not the processor.
BATCH_SIZE = 4


def save_annotator(
    spark: SparkSession, saved_model: Path, target: Path, *, annotator: str, name: str, width: int, max_row: int
) -> None:
    """Has Spark NLP's class `annotator` load an exported graph (with its assets) and save it in `target`.

    `max_row` is the longest row in ids: a model that is loaded by name then cuts nothing that it could read. The
    session must be a local one: on a cluster a file's name can be given once, and loadSavedModel always gives the same.
    """
    from pyspark import SparkFiles

    model = (
        annotator_class(annotator)
        .loadSavedModel(str(saved_model), spark)
        .setDimension(width)
        .setCaseSensitive(True)
        .setBatchSize(BATCH_SIZE)
        .setStorageRef(name)
        .setInputCols(["document", "token"])
        .setOutputCol("embeddings")
        ._set(maxSentenceLength=max_row)  # RoBertaEmbeddings' setter refuses more than 512
    )
    model.write().overwrite().save(as_url(str(target)))
    # Or the next graph that is loaded would be refused, because it differs from the file of this name.
    Path(SparkFiles.get(ONNX_FILE)).unlink(missing_ok=True)


def load_annotator(folder: Path, *, annotator: str) -> Any:
    return annotator_class(annotator).load(as_url(str(folder)))


def annotator_class(name: str) -> Any:
    return getattr(import_module("sparknlp.annotator"), name)


def run_windows(spark: SparkSession, annotator: Any, windows: Sequence[Sequence[int]]) -> list[npt.NDArray[np.float32]]:
    """Sends windows of piece ids through an annotator as transport codes, all in one row of a DataFrame, so in one
    batch.

    Returns one (pieces, width) array per window.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import StructField, StructType
    from sparknlp.annotation import Annotation

    schema = StructType([StructField(column, Annotation.arrayType()) for column in ("document", "token")])
    documents: list[Any] = []
    tokens: list[Any] = []
    position = 1
    for index, window in enumerate(windows):
        last = position + len(window) - 1
        metadata = {"sentence": str(index)}
        documents.append(("document", position, last, "", metadata, []))
        for piece_id in window:
            tokens.append(("token", position, position, codes.encode(piece_id), metadata, []))
            position += 1
    frame = spark.createDataFrame([(documents, tokens)], schema)
    for column in frame.columns:
        frame = frame.withMetadata(column, {"annotatorType": column})
    # Not on a copy: Spark NLP's copies lose the vocabulary.
    annotator.setBatchSize(len(windows)).setInputCols(["document", "token"]).setOutputCol("embeddings")
    vectors = annotator.transform(frame).select(F.flatten("embeddings.embeddings").alias("vectors"))
    # As bytes: millions of numbers one by one would take longer than computing them.
    [row] = vectors.mapInArrow(_as_bytes, "vectors binary").collect()
    sent = [len(window) for window in windows]
    flat = np.frombuffer(row.vectors, np.float32)
    return np.split(flat.reshape(-1, annotator.getDimension()), np.cumsum(sent)[:-1])


def _as_bytes(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """array<float> -> the same numbers as bytes."""
    for batch in batches:
        rows = [row.values.to_numpy().astype(np.float32).tobytes() for row in batch.column(0)]
        yield pa.RecordBatch.from_arrays([pa.array(rows, pa.binary())], names=["vectors"])
