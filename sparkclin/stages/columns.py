"""The Spark types of the columns that stages and tasks pass on; `sparkclin.wire` makes them in Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_type

from sparkclin import schema
from sparkclin.text.vectors import FLOAT16, FLOAT32
from sparkclin.wire import pieces_column

if TYPE_CHECKING:
    from pyspark.sql import Column

ANNOTATION = T.StructType(
    [
        T.StructField("annotatorType", T.StringType()),
        T.StructField("begin", T.IntegerType(), nullable=False),
        T.StructField("end", T.IntegerType(), nullable=False),
        T.StructField("result", T.StringType()),
        T.StructField("metadata", T.MapType(T.StringType(), T.StringType())),
        T.StructField("embeddings", T.ArrayType(T.FloatType(), containsNull=False)),
    ]
)
"""One annotation, as Spark NLP's own annotators write it."""

ANNOTATIONS = T.ArrayType(ANNOTATION)

PIECES_TYPE = from_arrow_type(pieces_column.PIECES_TYPE)
"""The column `pieces`."""

MADE_BY = tuple(T.StructField(name, T.StringType()) for name in schema.MADE_BY)
"""The columns of all tasks' rows that say which model made them."""


def made_by_columns(values: Mapping[str, str | None]) -> dict[str, Column]:
    """What is in those columns: the same in every row, null where it is not known."""
    from pyspark.sql import functions as F

    return {field.name: F.lit(values.get(field.name)).cast(field.dataType) for field in MADE_BY}


def vector_type(dtype: str = FLOAT32) -> T.DataType:
    """Of a vector. Spark has no type of half precision: such vectors are bytes (`sparkclin.wire.arrow.half_bytes`)."""
    return T.BinaryType() if dtype == FLOAT16 else T.ArrayType(T.FloatType())


def entry_type(dtype: str = FLOAT32, *, with_text: bool = False) -> T.StructType:
    """Return the type of what comes back from a worker for a document, window, sentence or token."""
    whole = [T.StructField(name, T.IntegerType()) for name in ("index", "begin", "end")]
    text = [T.StructField(schema.TEXT, T.StringType())] if with_text else []
    return T.StructType([*whole, T.StructField("vector", vector_type(dtype)), *text])
