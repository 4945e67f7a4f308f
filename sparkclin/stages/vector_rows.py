"""Rows of vectors, one per segment: what embed() and VectorPooler give, with the same columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import types as T

from sparkclin.schema import METADATA, N_PIECES, N_WINDOWS, STATUS, STATUS_NO_PIECES, STATUS_OK, TEXT, VECTOR
from sparkclin.stages.columns import MADE_BY, entry_type, made_by_columns, vector_type
from sparkclin.text.vectors import VectorFormat

if TYPE_CHECKING:
    from pyspark.sql import Column

INDEX_COLUMNS = {"window": "window", "sentence": "sentence", "token": "token_index"}
"""What numbers a note's rows at a level; a document has one."""

TOKEN = "token"

_VECTOR = T.StructField(VECTOR, vector_type())
_RANGE = [T.StructField("begin", T.IntegerType()), T.StructField("end", T.IntegerType())]
_REST = [T.StructField(STATUS, T.StringType()), *MADE_BY, T.StructField("pooling", T.StringType())]


def _index(name: str) -> T.StructField:
    return T.StructField(name, T.IntegerType())


OUTPUT: dict[str, tuple[T.StructField, ...]] = {
    "document": (_VECTOR, _index(N_PIECES), _index(N_WINDOWS), *_REST),
    "window": (_index("window"), *_RANGE, _VECTOR, *_REST),
    "sentence": (_index("sentence"), *_RANGE, _VECTOR, *_REST),
    "token": (_index("token_index"), T.StructField(TOKEN, T.StringType()), *_RANGE, _VECTOR, *_REST),
}
"""What each level's rows have after `note_id`, with vectors of float32. Offsets are code points, ends exclusive."""


def row_type(level: str, *, form: VectorFormat, width: int | None = None) -> T.StructType:
    """A level's columns. The metadata of `vector` says how to read it: `dtype`, `width` (how many numbers; None where
    that is not known) and `normalized`."""
    said = {"dtype": form.dtype, "width": width, "normalized": form.normalize}
    known = {name: value for name, value in said.items() if value is not None}
    vector = T.StructField(VECTOR, vector_type(form.dtype), metadata={METADATA: known})
    return T.StructType([vector if field.name == VECTOR else field for field in OUTPUT[level]])


def vector_rows(
    entries: Column,
    *,
    level: str,
    pooling: str,
    made_by: Mapping[str, str | None],
    form: VectorFormat,
    width: int | None,
) -> Column:
    """Return rows, array<row_type(level)>, for `inline`, from the entries of a note or of a slice of one.

    Entries are as in `sparkclin.stages.columns.entry_type`; at level token they have their text. A note without entries
    has one row too, so that `inline` loses none. The columns n_pieces, n_windows and status are the note's; status is
    null where a row goes on with a note, as only notes with vectors do.
    """
    from pyspark.sql import functions as F

    def row(entry: Column) -> Column:
        begin, end, vector = entry["begin"], entry["end"], entry["vector"]
        status = F.coalesce(F.col(STATUS), F.lit(STATUS_OK))
        without = (status == STATUS_OK) & vector.isNull()
        made = {
            INDEX_COLUMNS.get(level, "index"): entry["index"],
            "begin": begin,
            "end": end,
            VECTOR: vector,
            N_PIECES: F.col(N_PIECES),
            N_WINDOWS: F.col(N_WINDOWS),
            STATUS: F.when(without, STATUS_NO_PIECES).otherwise(status),
            **made_by_columns(made_by),
            "pooling": F.lit(pooling),
        }
        if level == "token":
            made[TOKEN] = entry[TEXT]
        return F.struct(*(made[field.name].alias(field.name) for field in OUTPUT[level]))

    none = F.array(F.lit(None).cast(entry_type(form.dtype, with_text=level == "token")))
    rows = F.transform(F.when(F.size(entries) > 0, entries).otherwise(none), row)
    return rows.cast(T.ArrayType(row_type(level, form=form, width=width)))
