"""What the rows of all tasks have in common: a schema's columns, in its order and types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparkclin.schema import NOTE_ID

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def schema_of(columns: Sequence[T.StructField], note_id: T.DataType) -> T.StructType:
    """A task's columns behind `note_id`, which keeps its type."""
    return T.StructType([T.StructField(NOTE_ID, note_id), *columns])


def selected(frame: DataFrame, columns: Sequence[T.StructField], made: Mapping[str, Column]) -> DataFrame:
    """The rows of a task: each column as `made` says, or as it is in `frame`."""
    return in_schema(frame, schema_of(columns, frame.schema[NOTE_ID].dataType), made)


def in_schema(frame: DataFrame, schema: T.StructType, made: Mapping[str, Column]) -> DataFrame:
    """The columns of a schema, in its order and types."""
    found = (made.get(field.name, F.col(field.name)).cast(field.dataType).alias(field.name) for field in schema)
    return frame.select(*found)
