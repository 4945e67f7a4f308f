"""VectorPooler: a column of piece vectors -> a column of vectors of documents, windows, sentences or tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.ml import Transformer
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparkclin.errors import InputError, OptionError
from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import bundle_of
from sparkclin.schema import (
    EMBEDDINGS,
    ENGINE,
    LEVELS,
    MODEL,
    MODEL_DIGEST,
    N_PIECES,
    N_WINDOWS,
    PIECES,
    PRECISION,
    STATUS,
    TEXT,
    VECTORS,
    column_problems,
)
from sparkclin.spark.failures import in_task
from sparkclin.spark.session import check_batch_setting
from sparkclin.stages.columns import entry_type
from sparkclin.stages.vector_rows import vector_rows
from sparkclin.text.pooling import OUTPUTS_OF_POOLING, pool_note
from sparkclin.text.segments import POOLINGS, check_pooling
from sparkclin.text.vectors import AS_MADE
from sparkclin.wire.annotations import DOCUMENT, TOKEN
from sparkclin.wire.arrow import only_row
from sparkclin.wire.batches import texts_of
from sparkclin.wire.chunks import Held, vectors_column
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

    `inline` makes rows of the column, those of embed() with the same options: the same columns, and a row that says why
    for a note without vectors. Which model made them is known to a pooler that is made by `of()`, or told by
    `setModel()`; else those columns are null. Needs the columns that NoteTokenizer adds, and at level token the text.

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
    textCol: Param[str] = Param(Params._dummy(), "textCol", "input: NoteTokenizer's inputCol", TypeConverters.toString)
    model: Param[str] = Param(Params._dummy(), "model", "name of the model, or empty", TypeConverters.toString)
    engine: Param[str] = Param(Params._dummy(), "engine", "the model's, or empty", TypeConverters.toString)
    precision: Param[str] = Param(Params._dummy(), "precision", "the model's, or empty", TypeConverters.toString)
    modelDigest: Param[str] = Param(
        Params._dummy(),
        "modelDigest",
        "of the model's manifest, or empty",
        TypeConverters.toString,
    )

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
        textCol: str = TEXT,
        model: str = "",
        engine: str = "",
        precision: str = "",
        modelDigest: str = "",
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
            textCol=textCol,
            model=model,
            engine=engine,
            precision=precision,
            modelDigest=modelDigest,
        )

    @classmethod
    def of(cls, embeddings: Any, *, level: str = "document", pooling: str = "mean") -> VectorPooler:
        """For the vectors of an embeddings stage, a model of active_repository(): rows say which version of it.

        Raises ModelError for a stage that is none; setModel() is for a bundle that lies elsewhere.
        """
        pooler = cls(embeddingsCol=embeddings.getOutputCol(), level=level, pooling=pooling)
        return pooler.setModel(bundle_of(embeddings))

    def setModel(self, bundle: Bundle) -> VectorPooler:
        """Whose vectors they are."""
        made_by = bundle.made_by
        return self._set(
            model=made_by[MODEL],
            engine=made_by[ENGINE],
            precision=made_by[PRECISION],
            modelDigest=made_by[MODEL_DIGEST],
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

    def setTextCol(self, value: str) -> VectorPooler:
        return self._set(textCol=value)

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
        text = get(self.textCol) if options.level == "token" else None
        entries = T.ArrayType(entry_type(with_text=text is not None))
        schema = T.StructType([*slim.schema.fields[:-1], T.StructField(output, entries)])
        pool = partial(pool_batches, options=options, pieces_column=get(self.piecesCol), text_column=text)
        pooled = slim.mapInArrow(in_task(pool), schema)
        rows = vector_rows(
            F.col(f"`{output}`"),
            level=options.level,
            pooling=options.pooling,
            made_by=self._made_by(),
            form=AS_MADE,
            width=_width(dataset.schema[embeddings], options.pooling),
        )
        return pooled.withColumn(output, rows)

    def _made_by(self) -> dict[str, str | None]:
        get = self.getOrDefault
        params = {MODEL: self.model, ENGINE: self.engine, PRECISION: self.precision, MODEL_DIGEST: self.modelDigest}
        return {column: get(param) or None for column, param in params.items()}

    def _check_columns(self, dataset: DataFrame) -> None:
        get = self.getOrDefault
        output = get(self.outputCol)
        needed = [get(self.embeddingsCol), get(self.piecesCol), N_PIECES, N_WINDOWS, STATUS]
        needed += [get(self.textCol)] if get(self.level) == "token" else []
        problems = column_problems(dataset.columns, needed=needed, added=[output])
        if problems:
            raise InputError(
                f"VectorPooler: {'; '.join(problems)}. It comes after NoteTokenizer and an embeddings stage; set "
                "embeddingsCol, piecesCol, textCol or outputCol where their columns have other names."
            )


def _width(embeddings: T.StructField, pooling: str) -> int | None:
    """Of a pooled vector, where Spark NLP says how many numbers a piece's has."""
    dimension = embeddings.metadata.get("dimension")
    return None if dimension is None else int(dimension) * len(OUTPUTS_OF_POOLING[pooling])


def pool_batches(
    batches: Iterator[pa.RecordBatch], *, options: PoolerOptions, pieces_column: str, text_column: str | None
) -> Iterator[pa.RecordBatch]:
    """Replace the last column of Arrow batches, the piece vectors, by the pooled ones; one note at a time. With a
    column of texts each has the text of its range."""
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
            columns = [*row.columns[:-1], vectors_column([segments], [_held(row, text_column)])]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _held(row: pa.RecordBatch, text_column: str | None) -> Held:
    """Return the whole note; without text if no column is named. A note that is not UTF-8 has no segments."""
    if text_column is None:
        return Held((), 0)
    [text] = texts_of(row.column(text_column))
    known = text if isinstance(text, str) else ""
    return Held([(0, len(known))], 0, known)
