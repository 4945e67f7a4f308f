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

from sparkclin.annotations import DOCUMENT, TOKEN
from sparkclin.errors import IncompleteError, InputError, OptionError, SetupError
from sparkclin.pieces import NO_WORD, Ints
from sparkclin.schema import EMBEDDINGS, LEVELS, PIECES, VECTORS
from sparkclin.windows import Range, Window, own

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Floats = NDArray[np.float32]

SPAN_POOLINGS = ("mean", "cls", "max", "mean_max")
TOKEN_POOLINGS = ("mean", "first")
POOLINGS = ("mean", "cls", "max", "mean_max", "first")

BATCH_SETTING = "spark.sql.execution.arrow.maxRecordsPerBatch"
MAX_NOTES_AT_ONCE = 64
"""Rows of an Arrow batch: each may hold 4,096 vectors of 768 floats (12.6 MB) and more, and all must fit a worker."""


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


def check_pooling(level: str, pooling: str) -> None:
    """Raises OptionError for a level or pooling that is not known, or not at that level."""
    allowed = TOKEN_POOLINGS if level == "token" else SPAN_POOLINGS
    if level not in LEVELS or pooling not in allowed:
        raise OptionError(
            f"level {level!r} with pooling {pooling!r}: expected one of {', '.join(LEVELS)}, and at level "
            f"{level} one of {', '.join(allowed)}."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class NotePieces:
    """A note as the column `pieces` describes it: begins, ends, words (pieces,), ranges of windows and sentences."""

    begins: Ints
    ends: Ints
    words: Ints
    windows: Sequence[Range]
    sentences: Sequence[Range]

    def __len__(self) -> int:
        return len(self.begins)


@dataclass(frozen=True, eq=False)
class Span:
    """One result: its range in code points, and its vector, None where there is nothing to make one of."""

    begin: int
    end: int
    vector: Floats | None


@dataclass(frozen=True, eq=False)
class NoteVectors:
    """A note's vectors as the model gave them, (rows, width), and which row is what.

    `of_pieces` is the row of each piece, taken from the window that owns it; `of_cls` the row of each window's first
    special piece, none where they were not asked for; `of_windows` the rows of each window's pieces.
    """

    rows: Floats
    of_pieces: Ints
    of_cls: Ints
    of_windows: tuple[Ints, ...]

    @classmethod
    def arrange(cls, rows: Floats, windows: Sequence[Window], *, brings_cls: bool) -> NoteVectors:
        """Raises IncompleteError, with the counts, where there is not a row for every piece."""
        sizes = np.array([window.end - window.begin for window in windows], dtype=np.int32) + int(brings_cls)
        if len(rows) != sizes.sum():
            raise IncompleteError(
                f"{sizes.sum()} pieces went into the model, {len(rows)} vectors came out. Give the embeddings "
                "stage a maxSentenceLength of at least NoteTokenizer's maxPieces + 2, and VectorPooler the same cls as "
                "NoteTokenizer."
            )
        starts = np.cumsum(sizes) - sizes
        firsts = starts + int(brings_cls)
        owned = [
            np.arange(first + w.own_begin - w.begin, first + w.own_end - w.begin)
            for first, w in zip(firsts, windows, strict=True)
        ]
        return cls(
            rows=rows,
            of_pieces=np.concatenate([np.empty(0, np.int32), *owned]).astype(np.int32),
            of_cls=starts.astype(np.int32) if brings_cls else np.empty(0, np.int32),
            of_windows=tuple(np.arange(f, s + n) for f, s, n in zip(firsts, starts, sizes, strict=True)),
        )


def pool_note(rows: Floats, note: NotePieces, how: Pooling) -> list[Span]:
    """All results of a note at a level, in order; none for a note without pieces."""
    if not len(note):
        return []
    vectors = NoteVectors.arrange(rows, own(note.windows), brings_cls=how.brings_cls)
    match how.level:
        case "document":
            return [_span(note, vectors, range(len(note)), vectors.of_pieces, vectors.of_cls, how)]
        case "window":
            return [
                _span(note, vectors, range(*window), vectors.of_windows[index], vectors.of_cls[index : index + 1], how)
                for index, window in enumerate(note.windows)
            ]
        case "sentence":
            return _sentences(note, vectors, how)
        case _:
            return _tokens(note, vectors, how)


def _span(note: NotePieces, vectors: NoteVectors, pieces: range, of_pieces: Ints, of_cls: Ints, how: Pooling) -> Span:
    vector = pool(vectors.rows[of_cls], "mean") if how.pooling == "cls" else pool(vectors.rows[of_pieces], how.pooling)
    return Span(int(note.begins[pieces[0]]), int(note.ends[pieces[-1]]), vector)


def _sentences(note: NotePieces, vectors: NoteVectors, how: Pooling) -> list[Span]:
    """From the pieces that begin in a sentence; for cls, from the windows that begin in it.

    Raises OptionError for cls where a window goes on in the next sentence.
    """
    edges = np.searchsorted(note.begins, np.array(note.sentences).reshape(-1, 2)).tolist()
    if how.pooling != "cls":
        rows = [vectors.of_pieces[first:after] for first, after in edges]
        return [_sentence(s, vectors.rows[own], how.pooling) for s, own in zip(note.sentences, rows, strict=True)]
    windows = [[i for i, (b, e) in enumerate(note.windows) if first <= b and e <= after] for first, after in edges]
    if sum(map(len, windows)) != len(note.windows):
        raise OptionError(
            "pooling cls at level sentence: the windows, and so their cls vectors, are not of one sentence each. "
            "Set context sentence on NoteTokenizer, or choose another pooling."
        )
    return [
        _sentence(s, vectors.rows[vectors.of_cls[own]], "mean") for s, own in zip(note.sentences, windows, strict=True)
    ]


def _sentence(sentence: Range, rows: Floats, pooling: str) -> Span:
    return Span(*sentence, pool(rows, pooling) if len(rows) else None)


def _tokens(note: NotePieces, vectors: NoteVectors, how: Pooling) -> list[Span]:
    """One result a word, which is a run of pieces; pieces of white space are in none."""
    pieces = np.flatnonzero(note.words != NO_WORD)
    if not len(pieces):
        return []
    words = note.words[pieces]
    firsts = np.flatnonzero(np.diff(words, prepend=NO_WORD))
    lasts = np.append(firsts[1:], len(words)) - 1
    rows = vectors.rows[vectors.of_pieces[pieces]]
    if how.pooling == "first":
        pooled = rows[firsts]
    else:
        sums = np.add.reduceat(rows, firsts, axis=0, dtype=np.float64)
        pooled = (sums / (lasts - firsts + 1)[:, None]).astype(np.float32)
    begins, ends = note.begins[pieces[firsts]].tolist(), note.ends[pieces[lasts]].tolist()
    return [Span(begin, end, vector) for begin, end, vector in zip(begins, ends, pooled, strict=True)]


def pool(vectors: Floats, pooling: str) -> Floats:
    """(pieces, width) -> (width,), or (2 width,) for mean_max. Means are summed in float64."""
    mean: Floats = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    if pooling == "mean":
        return mean
    largest: Floats = vectors.max(axis=0)
    return largest if pooling == "max" else np.concatenate([mean, largest])


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
        check_batch_setting(dataset)
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


def check_batch_setting(dataset: DataFrame) -> None:
    found = int(dataset.sparkSession.conf.get(BATCH_SETTING, "10000") or 0)
    if not 0 < found <= MAX_NOTES_AT_ONCE:
        raise SetupError(
            f"{BATCH_SETTING} is {found}: that many notes, of up to {4096 * 768 * 4 / 1e6:.1f} MB a window, would be "
            f"held at once. Set it to {MAX_NOTES_AT_ONCE} or less: spark.conf.set({BATCH_SETTING!r}, 8)"
        )


def pool_batches(batches: Iterator[pa.RecordBatch], *, how: Pooling, pieces_column: str) -> Iterator[pa.RecordBatch]:
    """Replaces the last column of Arrow batches, the piece vectors, by the pooled ones; one note at a time."""
    for batch in batches:
        for index in range(batch.num_rows):
            row = batch.slice(index, 1)
            spans = pool_note(_rows(row.column(batch.num_columns - 1)), _note(row.column(pieces_column)), how)
            columns = [*row.columns[:-1], _vectors_column(spans)]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _rows(column: pa.ListArray) -> Floats:
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


def _vectors_column(spans: list[Span]) -> pa.ListArray:
    """One row of VECTORS_TYPE."""
    sizes = [0 if span.vector is None else len(span.vector) for span in spans]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    values = np.concatenate([np.empty(0, np.float32), *(s.vector for s in spans if s.vector is not None)])
    missing = pa.array([span.vector is None for span in spans], pa.bool_())
    columns: dict[str, Any] = {
        "index": pa.array(range(len(spans)), pa.int32()),
        "begin": pa.array([span.begin for span in spans], pa.int32()),
        "end": pa.array([span.end for span in spans], pa.int32()),
        "vector": pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, pa.float32()), mask=missing),
    }
    entries = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    return pa.ListArray.from_arrays(pa.array([0, len(spans)], pa.int32()), entries)
