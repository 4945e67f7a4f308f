"""The columns that go in and come out, by name and type."""

from __future__ import annotations

from pyspark.sql import types as T

NOTE_ID, TEXT = "note_id", "text"
PIECES, N_PIECES, N_WINDOWS, STATUS = "pieces", "n_pieces", "n_windows", "status"
EMBEDDINGS, VECTORS = "embeddings", "vectors"
STATUS_OK, STATUS_EMPTY, STATUS_NULL = STATUSES = ("ok", "empty", "null")
"""Of a note: embedded; white space only; null."""

STATUS_NO_PIECES = "no_pieces"
"""Of a sentence of an embedded note that no piece begins in: where `..` is one piece, it may be two sentences."""

LEVELS = ("document", "window", "sentence", "token")

_VECTOR = T.StructField("vector", T.ArrayType(T.FloatType()))
_RANGE = [T.StructField("begin", T.IntegerType()), T.StructField("end", T.IntegerType())]
_MADE_BY = [T.StructField(name, T.StringType()) for name in (STATUS, "model", "pooling")]


def _index(name: str) -> T.StructField:
    return T.StructField(name, T.IntegerType())


OUTPUT: dict[str, tuple[T.StructField, ...]] = {
    "document": (_VECTOR, _index(N_PIECES), _index(N_WINDOWS), *_MADE_BY),
    "window": (_index("window"), *_RANGE, _VECTOR, *_MADE_BY),
    "sentence": (_index("sentence"), *_RANGE, _VECTOR, *_MADE_BY),
    "token": (_index("token_index"), T.StructField("token", T.StringType()), *_RANGE, _VECTOR, *_MADE_BY),
}
"""What each level's output has after `note_id`, which keeps its type. Offsets are code points, ends exclusive."""


def output_schema(level: str, note_id: T.DataType) -> T.StructType:
    """The schema of a level's output."""
    return T.StructType([T.StructField(NOTE_ID, note_id), *OUTPUT[level]])
