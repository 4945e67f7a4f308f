"""How far the vectors of two outputs of the same notes are apart, such as those of float16 and of float32.

    python -m sparkclin.evaluation.compare VECTORS OTHERS

Both are outputs of `embed_notes.py` in Parquet, at the same level and pooling.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from sparkclin.errors import InputError, exit_status
from sparkclin.schema import NOTE_ID, VECTOR
from sparkclin.stages.vector_rows import INDEX_COLUMNS
from sparkclin.text.vectors import as_floats


@dataclass(frozen=True, kw_only=True)
class Distance:
    """Of `vectors` pairs: the largest difference of two numbers, and the least cosine (of a pair without a zero
    vector); `kilobytes` is what the column `vector` takes in the files of each output."""

    vectors: int
    max_abs_difference: float
    least_cosine: float
    kilobytes: tuple[float, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m sparkclin.evaluation.compare", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("vectors", type=Path, help="an output in Parquet")
    parser.add_argument("others", type=Path, help="another of the same notes")
    asked = parser.parse_args(arguments)
    return exit_status(lambda: print(json.dumps(asdict(distance(asked.vectors, asked.others)), indent=2)))


def distance(vectors: Path, others: Path) -> Distance:
    """Raises InputError unless both have the same rows, with and without vectors, and vectors of the same length."""
    ours, theirs = _vectors(vectors), _vectors(others)
    if not ours.index.equals(theirs.index) or not (ours.isna() == theirs.isna()).all() or ours.isna().all():
        raise InputError(
            f"{len(ours)} rows and {len(theirs)} rows, which are not of the same notes and segments. Compare outputs "
            "of the same notes at the same level."
        )
    pairs = [np.stack(list(column.dropna())).astype(np.float64) for column in (ours, theirs)]
    if pairs[0].shape != pairs[1].shape:
        raise InputError(f"vectors of {pairs[0].shape[1]} and {pairs[1].shape[1]} numbers cannot be compared.")
    norms = np.linalg.norm(pairs, axis=2).prod(axis=0)
    cosines = (pairs[0] * pairs[1]).sum(axis=1)[norms > 0] / norms[norms > 0]
    return Distance(
        vectors=len(pairs[0]),
        max_abs_difference=float(np.abs(pairs[0] - pairs[1]).max()),
        least_cosine=float(cosines.min(initial=1.0)),
        kilobytes=(_kilobytes(vectors), _kilobytes(others)),
    )


def _vectors(folder: Path) -> pd.Series[Any]:
    """By note and segment, in order."""
    table = ds.dataset(folder, format="parquet", exclude_invalid_files=True)
    keys = [NOTE_ID, *(name for name in INDEX_COLUMNS.values() if name in table.schema.names)]
    if missing := sorted({NOTE_ID, VECTOR} - set(table.schema.names)):
        raise InputError(f"{folder} has no column {', '.join(missing)}: name an output of embed_notes.py in Parquet.")
    rows = table.to_table(columns=[*keys, VECTOR]).to_pandas().set_index(keys).sort_index()
    found: pd.Series[Any] = rows[VECTOR].map(as_floats, na_action="ignore")
    return found


def _kilobytes(folder: Path) -> float:
    fragments = ds.dataset(folder, format="parquet", exclude_invalid_files=True).get_fragments()
    groups = [group for fragment in fragments for group in _row_groups(fragment.metadata)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    sizes = (column.total_compressed_size for column in columns if column.path_in_schema.split(".")[0] == VECTOR)
    return round(float(sum(sizes)) / 1000, 1)


def _row_groups(file: pq.FileMetaData) -> list[pq.RowGroupMetaData]:
    return [file.row_group(index) for index in range(file.num_row_groups)]


if __name__ == "__main__":
    sys.exit(main())
