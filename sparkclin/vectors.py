"""Vectors of notes as a matrix for NumPy, whether they lie in pandas, in Spark or in the Parquet files of a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import numpy.typing as npt
import pandas as pd

from sparkclin.errors import InputError, OptionError
from sparkclin.schema import NOTE_ID, VECTOR, named, printable_names
from sparkclin.spark import storage
from sparkclin.spark.failures import step
from sparkclin.text.vectors import as_floats

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    Matrix = npt.NDArray[np.float32]

RAISE, NAN, DROP = MISSING = ("raise", "nan", "drop")
"""What becomes of a row without a vector: an error, a row of NaN, or no row."""

_FINITE = "Expected finite numbers: look at what has changed them since the run, or at the model (model_digest)."

_PARQUET = re.compile(r"[^_.].*\.parquet", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class NoteVectors:
    """The notes that have a vector: row i of `matrix`, float32 of (notes, width), is that of `ids[i]`. `without` counts
    the notes that have none."""

    ids: tuple[Any, ...]
    matrix: Matrix
    without: int = 0


def to_matrix(vectors: Any, *, missing: str = RAISE, column: str = VECTOR) -> Matrix:
    """Vectors -> a float32 matrix of (rows, width), in their order.

    `vectors` are a list or a pandas Series of vectors; or a DataFrame of pandas or Spark that has them in `column`. A
    Spark DataFrame is computed now, and its rows have no order of their own: where the matrix has to stand beside ids,
    call `toPandas()` first. A vector is an array, a list, or bytes: the float16 of `--vector-dtype float16`, which
    become float32.

    A null vector is that of an empty or unreadable note. With `missing` "raise" (the default) it is an error, with
    "nan" a row of NaN, and with "drop" its row is left out.

    Raises InputError for null vectors, for those of different widths or with numbers too large for float32, and for
    what is no vector; and OptionError for another `missing`.
    """
    if missing not in MISSING:
        raise OptionError(
            f"there is no way {missing!r} to treat missing vectors: expected one of {', '.join(MISSING)}."
        )
    values = list(_values(vectors, column))
    there = [vector for vector in values if not is_null(vector)]
    n_null = len(values) - len(there)
    if n_null and missing == RAISE:
        raise InputError(
            f"{n_null} of {len(values)} vectors are null: those of notes that are empty or could not be read, as the "
            'column status says. Choose missing="drop" to leave them out, or missing="nan" to get rows of NaN.'
        )
    matrix = _stacked(there)
    if not n_null or missing == DROP:
        return matrix
    if not there:
        raise InputError(f"all {n_null} vectors are null, so there is no width for rows of NaN.")
    whole = np.full((len(values), matrix.shape[1]), np.nan, np.float32)
    whole[[not is_null(vector) for vector in values]] = matrix
    return whole


def read_vectors(path: str | Path) -> NoteVectors:
    """The vectors that a run at level document wrote to a local folder as Parquet, or those of one Parquet file.

    Raises InputError where there is no such thing, where more lies in the folder than these files, where a column is
    missing, where a note has several rows, and where a vector has no numbers, or some that are not finite.
    """
    import pyarrow.parquet as pq

    ids: list[Any] = []
    chunks: list[Matrix] = []
    without = 0
    for file in _files(path):
        try:
            table = pq.ParquetFile(file).read(columns=_needed(pq.read_schema(file).names, str(path)))
        except (OSError, ValueError) as error:  # pyarrow's own errors are of these two classes
            raise InputError(f"{file} cannot be read as Parquet ({type(error).__name__}).") from None
        there = table.filter(table[VECTOR].is_valid())
        without += table.num_rows - there.num_rows
        ids += there[NOTE_ID].to_pylist()
        chunks += [_matrix_of_arrow(chunk) for chunk in there[VECTOR].chunks if len(chunk)]
    return _checked(ids, chunks, without=without)


def note_vectors(vectors: Any) -> NoteVectors:
    """The notes of a DataFrame of pandas or Spark with the columns note_id and vector, or of read_vectors(); raises
    InputError as that does."""
    if isinstance(vectors, NoteVectors):
        return vectors
    if isinstance(vectors, str | Path):
        return read_vectors(vectors)
    if not isinstance(vectors, pd.DataFrame) and not is_spark(vectors):
        raise InputError(
            f"{type(vectors).__name__} is neither a DataFrame of pandas or Spark with the columns {NOTE_ID} and "
            f"{VECTOR}, nor the path of a run's output."
        )
    needed = _needed(list(map(str, vectors.columns)), "the table")
    table = vectors[needed] if isinstance(vectors, pd.DataFrame) else _collected(vectors, needed)
    null = np.array([is_null(vector) for vector in table[VECTOR]], bool)
    there = table[~null]
    return _checked(there[NOTE_ID].tolist(), [_stacked(there[VECTOR].tolist())], without=int(null.sum()))


def _checked(ids: Sequence[Any], chunks: Sequence[Matrix], *, without: int) -> NoteVectors:
    try:
        n_different = len(set(ids))
    except TypeError:
        raise InputError(
            f"the column {NOTE_ID} has ids that are lists, maps or structs: expected strings or numbers. Make them "
            "such."
        ) from None
    if n_different != len(ids):
        raise InputError(
            f"{len(ids)} rows have {n_different} different ids: expected one vector per note, as level document has."
        )
    chunks = [chunk for chunk in chunks if len(chunk)]
    widths = sorted({chunk.shape[1] for chunk in chunks})
    if len(widths) > 1:
        raise InputError(_of_widths(widths))
    if widths == [0]:
        raise InputError(f"the vectors of {len(ids)} notes have no numbers. {_FINITE}")
    if n_odd := sum(int((~np.isfinite(chunk).all(axis=1)).sum()) for chunk in chunks):
        raise InputError(f"the vectors of {n_odd} of {len(ids)} notes have numbers that are NaN or infinite. {_FINITE}")
    matrix = np.concatenate(chunks) if chunks else np.zeros((0, 0), np.float32)
    return NoteVectors(ids=tuple(ids), matrix=matrix, without=without)


def _files(path: str | Path) -> list[Path]:
    """The Parquet files at a local path; what begins with _ or a dot is none of the rows. Raises InputError where more
    lies there, such as folders of partitions: it may hold vectors."""
    if storage.is_remote(str(path)):
        raise InputError(f"{path} is not on the local disk: read it by Spark, and give the DataFrame.")
    place = storage.local_path(str(path))
    try:
        if (place / "_delta_log").exists():
            raise InputError(f"{path} is a Delta table: read it by Spark, and give the DataFrame.")
        there = [place] if place.is_file() else sorted(place.iterdir())
        files = [file for file in there if file == place or (_PARQUET.fullmatch(file.name) and file.is_file())]
    except FileNotFoundError:
        there, files = [], []
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be looked into ({type(error).__name__}). Check its name and rights.") from None
    if others := [other.name for other in there if other not in files and not other.name.startswith(("_", "."))]:
        raise InputError(
            f"vectors may lie in {len(others)} files or folders of {path} that are not read here: {named(others)}. "
            "Expected Parquet files whose names end in .parquet, and none of them in a folder below. Move what holds "
            "no vectors elsewhere, or read the rows by Spark, and give the DataFrame to sparkclin.nearest()."
        )
    if not files:
        raise InputError(f"{path} has no Parquet files: expected the output of a run at level document.")
    return files


def _needed(present: Sequence[str], where: str) -> list[str]:
    if missing := [name for name in (NOTE_ID, VECTOR) if name not in present]:
        raise InputError(
            f"{where} is no run's vectors: it has no column {' and no '.join(missing)}, but {printable_names(present)}."
        )
    return [NOTE_ID, VECTOR]


def _matrix_of_arrow(column: pa.Array) -> Matrix:
    """(rows) of lists of numbers, or of bytes, none of them null -> (rows, width)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        return _stacked(column.to_pylist())
    widths = sorted(pc.unique(pc.list_value_length(column)).to_pylist())
    if len(widths) > 1:
        raise InputError(_of_widths(widths))
    numbers = column.flatten()
    if numbers.null_count or not pa.types.is_floating(numbers.type):
        raise InputError(f"{VECTOR} holds lists of {numbers.type}, {numbers.null_count} of them null: no vectors.")
    return _singles(numbers.to_numpy(zero_copy_only=False)).reshape(len(column), widths[0])


def _singles(numbers: npt.NDArray[Any]) -> Matrix:
    """As float32. Raises InputError where a number is too large for that."""
    with np.errstate(over="ignore"):
        made = numbers.astype(np.float32, copy=False)
    if made is not numbers and bool((np.isinf(made) & np.isfinite(numbers)).any()):
        raise InputError(f"numbers of a vector are too large for float32. {_FINITE}")
    return made


def _values(vectors: Any, column: str) -> Iterable[Any]:
    if isinstance(vectors, pd.Series | np.ndarray | list | tuple):
        return vectors
    if not isinstance(vectors, pd.DataFrame) and not is_spark(vectors):
        raise InputError(
            f"{type(vectors).__name__} is neither a list or a pandas Series of vectors, nor a DataFrame of pandas or "
            "Spark with a column of them."
        )
    if column not in vectors.columns:
        raise InputError(
            f"no column of vectors is named {column}; there are {printable_names(list(map(str, vectors.columns)))}."
        )
    values: pd.Series[Any] = (vectors if isinstance(vectors, pd.DataFrame) else _collected(vectors, [column]))[column]
    return values


@step("while vectors are computed")
def _collected(frame: DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    return frame.select(*columns).toPandas()


def is_spark(value: object) -> TypeGuard[DataFrame]:
    from pyspark.sql import DataFrame

    return isinstance(value, DataFrame)


def is_null(value: Any) -> bool:
    """None, or what pandas puts in its place."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value))


def _stacked(vectors: Sequence[Any]) -> Matrix:
    """Vectors, none of them null -> (vectors, width), of width 0 where there are none."""
    arrays = [_array(vector) for vector in vectors]
    if not arrays:
        return np.zeros((0, 0), np.float32)
    widths = sorted({len(array) for array in arrays})
    if len(widths) > 1:
        raise InputError(_of_widths(widths))
    return np.stack(arrays)


def _array(vector: Any) -> npt.NDArray[np.float32]:
    """Raises InputError, without a value, for what is no vector."""
    try:
        if isinstance(vector, bytes | bytearray | memoryview):
            return as_floats(vector)
        array = np.asarray(vector)
        if array.ndim == 1 and np.issubdtype(array.dtype, np.number):
            return _singles(array)
    except (TypeError, ValueError):
        pass
    raise InputError(
        f"a value of class {type(vector).__name__} is no vector: expected a list or an array of numbers, or bytes of "
        "float16."
    )


def _of_widths(widths: Sequence[int]) -> str:
    return f"vectors have different widths, {', '.join(map(str, widths))}: they are not of one model and one pooling."
