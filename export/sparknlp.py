"""An exported graph -> a saved Spark NLP annotator, and piece ids through it and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkclin.spark.storage import as_url
from sparkclin.wire import codes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# What loadSavedModel adds to the session's files.
ONNX_FILE = "model.onnx"
# Windows that share a forward pass. Spark NLP pads them to the longest, so few: eight notes of 4,096 pieces fill the
# memory that their scores take, not the processor.
BATCH_SIZE = 4


def save_annotator(
    spark: SparkSession,
    saved_model: Path,
    target: Path,
    *,
    annotator: str,
    max_row: int,
    configure: Callable[[Any], Any],
) -> None:
    """Has Spark NLP's class `annotator` load an exported graph (with its assets) and save it in `target`.

    `configure` sets what the class has beside what all have. `max_row` is the longest row in ids: a model that is
    loaded by name then cuts nothing that it could read. The session must be a local one: on a cluster a file's name can
    be given once, and loadSavedModel always gives the same.
    """
    from pyspark import SparkFiles

    loaded = annotator_class(annotator).loadSavedModel(str(saved_model), spark)
    model = configure(loaded.setCaseSensitive(True).setBatchSize(BATCH_SIZE))
    model._set(maxSentenceLength=max_row)  # the setters refuse more than 512
    model.write().overwrite().save(as_url(str(target)))
    # Or the next graph that is loaded would be refused, because it differs from the file of this name.
    Path(SparkFiles.get(ONNX_FILE)).unlink(missing_ok=True)


def load_annotator(folder: Path, *, annotator: str) -> Any:
    return annotator_class(annotator).load(as_url(str(folder)))


def annotator_class(name: str) -> Any:
    return getattr(import_module("sparknlp.annotator"), name)


def run_windows(spark: SparkSession, annotator: Any, windows: Sequence[Sequence[int]]) -> list[npt.NDArray[np.float32]]:
    """Sends windows of piece ids through an annotator of vectors.

    Returns one (pieces, width) array per window.
    """
    from pyspark.sql import functions as F

    sent = send(spark, annotator, windows)
    vectors = sent.select(F.flatten(F.col(annotator.getOutputCol())["embeddings"]).alias("vectors"))
    # As bytes: millions of numbers one by one would take longer than computing them.
    [row] = vectors.mapInArrow(_as_bytes, "vectors binary").collect()
    flat = np.frombuffer(row.vectors, np.float32)
    sizes = [len(window) for window in windows]
    return np.split(flat.reshape(-1, annotator.getDimension()), np.cumsum(sizes)[:-1])


def send(spark: SparkSession, annotator: Any, windows: Sequence[Sequence[int]]) -> DataFrame:
    """What an annotator of documents and tokens makes of windows of piece ids, sent as transport codes: all in one row
    of a DataFrame, so in one batch."""
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
    frame = annotated(spark, {"document": "document", "token": "token"}, [(documents, tokens)])
    # Not on a copy: Spark NLP's copies lose the vocabulary.
    made: DataFrame = annotator.setBatchSize(len(windows)).setInputCols(["document", "token"]).transform(frame)
    return made


def annotated(spark: SparkSession, columns: Mapping[str, str], rows: Sequence[tuple[list[Any], ...]]) -> DataFrame:
    """A DataFrame of columns of annotations; `columns` says the type of each, by name."""
    from pyspark.sql.types import StructField, StructType
    from sparknlp.annotation import Annotation

    frame = spark.createDataFrame(rows, StructType([StructField(name, Annotation.arrayType()) for name in columns]))
    for name, kind in columns.items():
        frame = frame.withMetadata(name, {"annotatorType": kind})
    return frame


def _as_bytes(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """array<float> -> the same numbers as bytes."""
    for batch in batches:
        rows = [row.values.to_numpy().astype(np.float32).tobytes() for row in batch.column(0)]
        yield pa.RecordBatch.from_arrays([pa.array(rows, pa.binary())], names=["vectors"])
