"""Piece vectors -> vectors of documents, windows, sentences or tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml import Transformer
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparkclin.errors import IncompleteError, InputError, OptionError
from sparkclin.schema import EMBEDDINGS, LEVELS, PIECES, VECTORS
from sparkclin.spark.session import check_batch_setting
from sparkclin.text.pieces import Ints
from sparkclin.text.segments import POOLINGS, NotePieces, Part, check_pooling, plan_spans
from sparkclin.text.windows import Range
from sparkclin.wire.annotations import DOCUMENT, TOKEN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """What is made of the piece vectors; what the tasks get. `brings_cls`: each window has the cls vector in front."""

    level: str
    pooling: str
    brings_cls: bool

    def __post_init__(self) -> None:
        check_pooling(self.level, self.pooling)
        if self.pooling == "cls" and not self.brings_cls:
            raise OptionError("pooling cls needs the vectors of the first special piece: set cls on NoteTokenizer too.")


@dataclass(frozen=True, eq=False)
class Span:
    """One result: its range in code points, and its vector, None where there is nothing to make one of."""

    begin: int
    end: int
    vector: Floats | None


@dataclass(frozen=True, eq=False)
class Pooled:
    """The vectors of a part: how many there are, their mean and their maximum, (width,) each."""

    size: int
    mean: NDArray[np.floating[Any]]
    largest: Floats

    @classmethod
    def of(cls, vectors: Floats) -> Pooled:
        """(pieces, width), at least one piece; the mean is in float64."""
        return cls(len(vectors), vectors.mean(axis=0, dtype=np.float64), vectors.max(axis=0))


def merge(pooled: Sequence[Pooled], pooling: str) -> Floats:
    """The vector of a result from its parts, at least one: (width,), or (2 width,) for mean_max.

    For cls and first the parts are single places, which the plan has chosen (`plan_spans`).
    """
    sizes = np.array([part.size for part in pooled])
    mean: Floats = (sizes @ np.stack([part.mean for part in pooled]) / sizes.sum()).astype(np.float32)
    if pooling not in ("max", "mean_max"):
        return mean
    largest: Floats = np.max([part.largest for part in pooled], axis=0)
    return largest if pooling == "max" else np.concatenate([mean, largest])


def merge_results(results: Sequence[Range], parts: Sequence[tuple[int, Pooled]], pooling: str) -> list[Span]:
    """All results of a note, in order, from its parts, each given with the index of its result."""
    of_result: list[list[Pooled]] = [[] for _ in results]
    for result, pooled in parts:
        of_result[result].append(pooled)
    return [
        Span(begin, end, merge(pooled, pooling) if pooled else None)
        for (begin, end), pooled in zip(results, of_result, strict=True)
    ]


def pool_note(rows: Floats, note: NotePieces, how: Pooling) -> list[Span]:
    """All results of a note at a level, in order, from the vectors that the model gave; none without pieces.

    Raises IncompleteError, with the counts, where there is not a row for every piece.
    """
    starts = window_starts(rows, note.windows, brings_cls=how.brings_cls)
    plan = plan_spans(note, level=how.level, pooling=how.pooling)
    parts = [(part.result, Pooled.of(rows[_rows_of(part, starts)])) for part in plan.parts]
    return merge_results(plan.results, parts, how.pooling)


def window_starts(rows: Floats, windows: Sequence[Range], *, brings_cls: bool) -> Ints:
    """The row of each window's place 0, which is no row at all where the first special piece was not asked for."""
    sizes = np.array([end - begin for begin, end in windows], dtype=np.int32) + int(brings_cls)
    if len(rows) != sizes.sum():
        raise IncompleteError(
            f"{sizes.sum()} pieces went into the model, {len(rows)} vectors came out. Give the embeddings "
            "stage a maxSentenceLength of at least NoteTokenizer's maxPieces + 2, and VectorPooler the same cls as "
            "NoteTokenizer."
        )
    starts: Ints = (np.cumsum(sizes) - sizes - int(not brings_cls)).astype(np.int32)
    return starts


def _rows_of(part: Part, starts: Ints) -> slice:
    start = int(starts[part.window])
    return slice(start + part.begin, start + part.end)


VECTORS_TYPE = T.ArrayType(
    T.StructType(
        [
            T.StructField("index", T.IntegerType()),
            T.StructField("begin", T.IntegerType()),
            T.StructField("end", T.IntegerType()),
            T.StructField("vector", T.ArrayType(T.FloatType())),
        ]
    )
)
"""The output column: an entry a document, window, sentence or token, in order."""


class VectorPooler(Transformer, DefaultParamsReadable["VectorPooler"], DefaultParamsWritable):
    """Piece embeddings of a Spark NLP model, fed by NoteTokenizer -> a column of vectors at a level.

    Every piece counts once, with its vector from the window where it is farthest from an edge; at level `window` a
    window has all its own. Poolings: mean, max, mean_max (side by side) over the note's pieces, special ones excluded;
    cls, the vector of the first special piece, averaged over the windows (needs cls on both stages); at level `token`
    mean or first of a word's pieces.

    Drops documentCol, tokenCol and embeddingsCol: they hold a vector a piece and are not needed any more.
    """

    embeddingsCol: Param[str] = Param(
        Params._dummy(), "embeddingsCol", "input: an embeddings annotation a piece", TypeConverters.toString
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
        how = Pooling(level=get(self.level), pooling=get(self.pooling), brings_cls=get(self.cls))
        embeddings, output = get(self.embeddingsCol), get(self.outputCol)
        self._check_columns(dataset)
        check_batch_setting(dataset.sparkSession)
        # Only floats cross to Python: an annotation's strings and maps would cost more than its vector.
        slim = dataset.withColumn(output, F.col(f"`{embeddings}`.embeddings"))
        slim = slim.drop(embeddings, get(self.documentCol), get(self.tokenCol))
        schema = T.StructType([*slim.schema.fields[:-1], T.StructField(output, VECTORS_TYPE)])
        return slim.mapInArrow(partial(pool_batches, how=how, pieces_column=get(self.piecesCol)), schema)

    def _check_columns(self, dataset: DataFrame) -> None:
        output = self.getOrDefault(self.outputCol)
        needed = [self.getOrDefault(self.embeddingsCol), self.getOrDefault(self.piecesCol)]
        problems = []
        if missing := [name for name in needed if name not in dataset.columns]:
            problems.append(f"VectorPooler needs {', '.join(missing)}; the columns are {', '.join(dataset.columns)}")
        if output.lower() in (name.lower() for name in dataset.columns):
            problems.append(f"VectorPooler adds a column that is there already: {output}")
        if problems:
            raise InputError(
                f"{'; '.join(problems)}. It comes after NoteTokenizer and an embeddings stage; set embeddingsCol, "
                "piecesCol or outputCol where their columns have other names."
            )


def pool_batches(batches: Iterator[pa.RecordBatch], *, how: Pooling, pieces_column: str) -> Iterator[pa.RecordBatch]:
    """Replaces the last column of Arrow batches, the piece vectors, by the pooled ones; one note at a time."""
    for batch in batches:
        for index in range(batch.num_rows):
            row = batch.slice(index, 1)
            spans = pool_note(only_row(row.column(batch.num_columns - 1)), _note(row.column(pieces_column)), how)
            columns = [*row.columns[:-1], vectors_column([spans])]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def only_row(column: pa.ListArray) -> Floats:
    """The only row of array<array<float>> -> (rows, width), without a copy."""
    vectors = column.flatten()
    flat: Floats = vectors.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(vectors), -1) if len(vectors) else np.empty((0, 0), np.float32)


def _note(column: pa.StructArray) -> NotePieces:
    def ints(name: str) -> Ints:
        values: Ints = column.field(name).flatten().to_numpy(zero_copy_only=False)
        return values

    def ranges(name: str) -> list[Range]:
        begins, ends = column.field(name).flatten().flatten()
        return list(zip(begins.to_pylist(), ends.to_pylist(), strict=True))

    return NotePieces(
        begins=ints("begin"),
        ends=ints("end"),
        words=ints("word"),
        windows=ranges("windows"),
        sentences=ranges("sentences"),
    )


def vectors_column(notes: Sequence[Sequence[Span]]) -> pa.ListArray:
    """VECTORS_TYPE, a row a note."""
    spans = [span for note in notes for span in note]
    sizes = [0 if span.vector is None else len(span.vector) for span in spans]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    values = np.concatenate([np.empty(0, np.float32), *(s.vector for s in spans if s.vector is not None)])
    missing = pa.array([span.vector is None for span in spans], pa.bool_())
    columns: dict[str, Any] = {
        "index": pa.array([index for note in notes for index in range(len(note))], pa.int32()),
        "begin": pa.array([span.begin for span in spans], pa.int32()),
        "end": pa.array([span.end for span in spans], pa.int32()),
        "vector": pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, pa.float32()), mask=missing),
    }
    entries = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    return pa.ListArray.from_arrays(pa.array(np.cumsum([0, *map(len, notes)]), pa.int32()), entries)
