"""What was written is compared with what went in: every note is there, once and whole."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import IncompleteError, OptionError
from sparkclin.runs.sink import Sink, Written, check_written

Rows = list[tuple[str, int | None]]
WHOLE: Rows = [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("b", 0), ("c", None)]


def written(folder: Path, rows: Rows) -> Sink:
    ids, numbers = zip(*rows, strict=True)
    table = pa.table({"note_id": pa.array(ids), "window": pa.array(numbers, pa.int32())})
    pq.write_table(table, folder / "part-0.parquet")
    return Sink(path=str(folder))


def test_the_rows_of_whole_notes_are_counted(spark: SparkSession, tmp_path: Path) -> None:
    assert check_written(spark, written(tmp_path, WHOLE), n_notes=3, index="window") == Written(notes=3, rows=6)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([*WHOLE, *WHOLE[:4]], "3 came out, and of 1 of them"),
        ([*WHOLE, ("c", None)], "3 came out, and of 1 of them"),
        ([*WHOLE, ("a", 2)], "3 came out, and of 1 of them"),
        ([*WHOLE[:2], *WHOLE[3:]], "3 came out, and of 1 of them"),
        (WHOLE[1:], "3 came out, and of 1 of them"),
        ([("a", 0), ("a", 1), ("a", 1), ("a", 3), *WHOLE[4:]], "3 came out, and of 1 of them"),
        (WHOLE[:5], "2 came out, and of 0 of them"),
        ([*WHOLE[:5], ("b", 0)], "2 came out, and of 1 of them"),
        ([*WHOLE, ("d", 0)], "4 came out, and of 0 of them"),
    ],
    ids=[
        "note doubled", "empty note doubled", "row doubled", "row lost", "first row lost", "row in another's place",
        "note lost", "one lost and one doubled", "note too many",
    ],
)  # fmt: skip
def test_lost_and_doubled_rows_are_found(spark: SparkSession, tmp_path: Path, rows: Rows, found: str) -> None:
    with pytest.raises(IncompleteError, match=f"3 notes went in; {found}"):
        check_written(spark, written(tmp_path, rows), n_notes=3, index="window")


def test_without_a_number_a_note_has_one_row(spark: SparkSession, tmp_path: Path) -> None:
    sink = written(tmp_path, [("a", None), ("b", None), ("c", None)])
    assert check_written(spark, sink, n_notes=3, index=None) == Written(notes=3, rows=3)
    sink = written(tmp_path, [("a", None), ("b", None), ("b", None)])
    with pytest.raises(IncompleteError, match=r"3 notes went in; 2 came out, and of 1 of them"):
        check_written(spark, sink, n_notes=3, index=None)
    with pytest.raises(IncompleteError, match=r"2 notes went in; 2 came out, and of 1 of them"):
        check_written(spark, sink, n_notes=2, index=None)


def test_a_place_within_another_is_of_its_format() -> None:
    for path in ("s3a://a/out", "s3a://a/out/"):
        assert Sink(path=path, format="delta").within("spans") == Sink(path="s3a://a/out/spans", format="delta")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(OptionError, match="there is no output format 'csv': expected one of parquet, delta"):
        Sink(path="out", format="csv")
