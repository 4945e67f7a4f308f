"""VectorPooler: a column of piece vectors -> a column of vectors of documents, windows, sentences or tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.ml import Transformer
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparkclin.errors import InputError, OptionError
from sparkclin.schema import EMBEDDINGS, LEVELS, PIECES, VECTORS, column_problems
from sparkclin.spark.failures import in_task
from sparkclin.spark.session import check_batch_setting
from sparkclin.stages.columns import VECTORS_TYPE
from sparkclin.text.pooling import pool_note
from sparkclin.text.segments import POOLINGS, check_pooling
from sparkclin.wire.annotations import DOCUMENT, TOKEN
from sparkclin.wire.arrow import only_row
from sparkclin.wire.chunks import vectors_column
from sparkclin.wire.pieces_column import note_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, kw_only=True)
class PoolerOptions:
    """What is made of the piece vectors. `brings_cls`: each window has the cls vector in front."""

    level: str
    pooling: str
    brings_cls: bool

    def __post_init__(self) -> None:
        check_pooling(self.level, self.pooling)
        if self.pooling == "cls" and not self.brings_cls:
            raise OptionError("pooling cls needs the vectors of the first special piece: set cls on NoteTokenizer too.")


class VectorPooler(Transformer, DefaultParamsReadable["VectorPooler"], DefaultParamsWritable):
    """Piece embeddings of a Spark NLP model behind NoteTokenizer -> a column of vectors at a level.

    Every piece counts once, with its vector from the window where it is farthest from an edge; at level `window` a
    window has all its own. Poolings: mean, max, mean_max (side by side) over the note's pieces, special ones excluded;
    cls, the vector of the first special piece, averaged over the windows (needs cls on both stages); at level `token`
    mean or first of a word's pieces.

    Drops documentCol, tokenCol and embeddingsCol: they hold a vector per piece and are not needed any more.
    """

    embeddingsCol: Param[str] = Param(
        Params._dummy(), "embeddingsCol", "input: an embeddings annotation per piece", TypeConverters.toString
    )
    piecesCol: Param[str] = Param(Params._dummy(), "piecesCol", "input: NoteTokenizer's", TypeConverters.toString)
    documentCol: Param[str] = Param(Params._dummy(), "documentCol", "dropped", TypeConverters.toString)
    tokenCol: Param[str] = Param(Params._dummy(), "tokenCol", "dropped", TypeConverters.toString)
    outputCol: Param[str] = Param(Params._dummy(), "outputCol", "output: the vectors", TypeConverters.toString)
    level: Param[str] = Param(Params._dummy(), "level", " | ".join(LEVELS), TypeConverters.toString)
    pooling: Param[str] = Param(Params._dummy(), "pooling", " | ".join(POOLINGS), TypeConverters.toString)
    cls: Param[bool] = Param(Params._dummy(), "cls", "as on NoteTokenizer", TypeConverters.toBoolean)

    def __init__(
        self,
        *,
        embeddingsCol: str = EMBEDDINGS,
        piecesCol: str = PIECES,
        documentCol: str = DOCUMENT,
        tokenCol: str = TOKEN,
        outputCol: str = VECTORS,
        level: str = "document",
        pooling: str = "mean",
        cls: bool = False,
    ) -> None:
        super().__init__()
        self._set(
            embeddingsCol=embeddingsCol,
            piecesCol=piecesCol,
            documentCol=documentCol,
            tokenCol=tokenCol,
            outputCol=outputCol,
            level=level,
            pooling=pooling,
            cls=cls,
        )

    def setEmbeddingsCol(self, value: str) -> VectorPooler:
        return self._set(embeddingsCol=value)

    def setPiecesCol(self, value: str) -> VectorPooler:
        return self._set(piecesCol=value)

    def setDocumentCol(self, value: str) -> VectorPooler:
        return self._set(documentCol=value)

    def setTokenCol(self, value: str) -> VectorPooler:
        return self._set(tokenCol=value)

    def setOutputCol(self, value: str) -> VectorPooler:
        return self._set(outputCol=value)

    def setLevel(self, value: str) -> VectorPooler:
        return self._set(level=value)

    def setPooling(self, value: str) -> VectorPooler:
        return self._set(pooling=value)

    def setCls(self, value: bool) -> VectorPooler:  # noqa: FBT001
        return self._set(cls=value)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Raises InputError for missing or clashing columns, OptionError for settings that do not go together,
        SetupError for a session whose Arrow batches are too large."""
        get = self.getOrDefault
        options = PoolerOptions(level=get(self.level), pooling=get(self.pooling), brings_cls=get(self.cls))
        embeddings, output = get(self.embeddingsCol), get(self.outputCol)
        self._check_columns(dataset)
        check_batch_setting(dataset.sparkSession)
        # Only floats cross to Python: an annotation's strings and maps would cost more than its vector.
        slim = dataset.withColumn(output, F.col(f"`{embeddings}`.embeddings"))
        slim = slim.drop(embeddings, get(self.documentCol), get(self.tokenCol))
        schema = T.StructType([*slim.schema.fields[:-1], T.StructField(output, VECTORS_TYPE)])
        pool = partial(pool_batches, options=options, pieces_column=get(self.piecesCol))
        return slim.mapInArrow(in_task(pool), schema)

    def _check_columns(self, dataset: DataFrame) -> None:
        output = self.getOrDefault(self.outputCol)
        needed = [self.getOrDefault(self.embeddingsCol), self.getOrDefault(self.piecesCol)]
        problems = column_problems(dataset.columns, needed=needed, added=[output])
        if problems:
            raise InputError(
                f"VectorPooler: {'; '.join(problems)}. It comes after NoteTokenizer and an embeddings stage; set "
                "embeddingsCol, piecesCol or outputCol where their columns have other names."
            )


def pool_batches(
    batches: Iterator[pa.RecordBatch], *, options: PoolerOptions, pieces_column: str
) -> Iterator[pa.RecordBatch]:
    """Replaces the last column of Arrow batches, the piece vectors, by the pooled ones; one note at a time."""
    for batch in batches:
        for index in range(batch.num_rows):
            row = batch.slice(index, 1)
            segments = pool_note(
                only_row(row.column(batch.num_columns - 1)),
                note_of(row.column(pieces_column)),
                level=options.level,
                pooling=options.pooling,
                brings_cls=options.brings_cls,
            )
            columns = [*row.columns[:-1], vectors_column([segments])]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
