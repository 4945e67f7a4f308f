"""The Spark types of the columns that stages and tasks pass on; `sparkclin.wire` makes them in Arrow."""

from __future__ import annotations

from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_type

from sparkclin.wire import pieces_column

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
"""The column `vectors`: an entry per document, window, sentence or token, in order."""
