"""to_matrix() and read_vectors(): vectors, wherever they lie, as the same matrix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import sparkclin
from sparkclin.errors import InputError, OptionError
from sparkclin.vectors import NoteVectors, note_vectors, read_vectors, to_matrix

VECTORS = [[1.0, 0.5, -2.0], [0.0, 0.25, 8.0]]
HALVES = [np.array(vector, "<f2").tobytes() for vector in VECTORS]
WITH_NULL = [VECTORS[0], None, VECTORS[1]]


@pytest.mark.parametrize(
    "vectors",
    [
        VECTORS,
        [np.array(vector, np.float32) for vector in VECTORS],
        np.array(VECTORS),
        pd.Series([np.array(vector, np.float32) for vector in VECTORS], index=["b", "a"]),
        pd.DataFrame({"note_id": [1, 2], "vector": VECTORS}),
        HALVES,
        pd.Series([bytearray(half) for half in HALVES]),
    ],
)
def test_vectors_of_every_kind_are_one_matrix(vectors: Any) -> None:
    matrix = to_matrix(vectors)
    assert matrix.dtype == np.float32
    assert matrix.tolist() == VECTORS


def test_a_half_is_read_with_its_lowest_byte_first() -> None:
    assert to_matrix([b"\x00\x3c\x00\xc0"]).tolist() == [[1.0, -2.0]]


@pytest.mark.parametrize("kind", ["array<float>", "binary"])
def test_so_is_a_column_of_spark(spark: SparkSession, kind: str) -> None:
    frame = spark.createDataFrame([(VECTORS[0] if kind != "binary" else HALVES[0],)], f"found {kind}")
    assert to_matrix(frame, column="found").tolist() == VECTORS[:1]


def test_null_vectors_are_an_error_that_says_how_to_choose() -> None:
    with pytest.raises(InputError, match=r'1 of 3 vectors are null.*missing="drop".*missing="nan"'):
        to_matrix(WITH_NULL)


def test_they_can_be_left_out_or_be_rows_of_nan() -> None:
    assert to_matrix(WITH_NULL, missing="drop").tolist() == VECTORS
    whole = to_matrix(pd.Series([*WITH_NULL, float("nan"), pd.NA]), missing="nan")
    assert np.isnan(whole).all(axis=1).tolist() == [False, True, False, True, True]
    assert whole[[0, 2]].tolist() == VECTORS


def test_where_all_are_null_there_is_no_width() -> None:
    assert to_matrix([None], missing="drop").shape == (0, 0)
    assert to_matrix([]).shape == (0, 0)
    with pytest.raises(InputError, match="all 2 vectors are null"):
        to_matrix([None, None], missing="nan")


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([[1.0], [1.0, 2.0]], "different widths, 1, 2"),
        (["pain"], "class str is no vector"),
        ([[1.0, None]], "class list is no vector"),
        ([[[1.0]]], "class list is no vector"),
        ([b"abc"], "class bytes is no vector"),
        (7, "int is neither a list"),
        (pd.DataFrame({"a": [1]}), "no column of vectors is named vector; there are a"),
    ],
)
def test_what_is_no_vector_is_refused_without_its_value(vectors: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        to_matrix(vectors)
    assert "pain" not in str(refused.value)


def test_another_word_for_missing_is_refused() -> None:
    with pytest.raises(
        OptionError, match="there is no way 'zero' to treat missing vectors: expected one of raise, nan, drop"
    ):
        to_matrix(VECTORS, missing="zero")


def written(folder: Path, columns: dict[str, Any], *, name: str = "part-0.parquet") -> Path:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)
    return folder


def test_the_output_of_a_run_is_read(tmp_path: Path) -> None:
    vectors = pa.array(WITH_NULL, pa.list_(pa.float32()))
    written(tmp_path / "out", {"note_id": ["a", "b", "c"], "vector": vectors, "status": ["ok", "empty", "ok"]})
    written(tmp_path / "out", {"note_id": ["d"], "vector": vectors[:1]}, name="part-1.parquet")
    written(tmp_path / "out", {"other": [1]}, name="_hidden.parquet")
    (tmp_path / "out" / "_report.json").write_text("{}")
    found = read_vectors(str(tmp_path / "out"))
    assert found.ids == ("a", "c", "d")
    assert found.without == 1
    assert found.matrix.dtype == np.float32
    assert found.matrix.tolist() == [*VECTORS, VECTORS[0]]


BESIDE = ["year=1/part-1.parquet", "part-1.PARQUET", "part-1.parquet.gz", "more.parquet/part-1.parquet", "empty/x.txt"]


@pytest.mark.parametrize("name", BESIDE)
def test_nothing_that_may_hold_vectors_is_left_out_in_silence(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path / "out", {"note_id": ["a"], "vector": VECTORS[:1]})
    other = folder / name
    written(other.parent, {"note_id": ["b"], "vector": VECTORS[1:]}, name=other.name)
    with pytest.raises(InputError, match=r"vectors may lie in 1 files or folders of .* not read here: ") as said:
        read_vectors(folder)
    assert f"not read here: {name.partition('/')[0]}. Expected Parquet files" in str(said.value)


def test_names_of_what_is_not_read_are_shown_as_far_as_there_are_not_too_many(tmp_path: Path) -> None:
    for year in range(5):
        written(tmp_path / f"year={year}", {"note_id": ["b"], "vector": VECTORS[1:]})
    with pytest.raises(InputError, match=r"in 5 files or folders of .* read here: year=0, year=1, year=2, …\. Exp"):
        read_vectors(tmp_path)


def test_what_cannot_be_looked_into_is_an_error_of_ours() -> None:
    with pytest.raises(InputError, match=r"cannot be looked into \(OSError\)"):
        read_vectors("x" * 300)


def test_so_are_halves_and_a_file_alone(tmp_path: Path) -> None:
    folder = written(tmp_path / "out", {"note_id": [7, 8, 9], "vector": pa.array([HALVES[0], None, HALVES[1]])})
    found = read_vectors(folder / "part-0.parquet")
    assert found.ids == (7, 9)
    assert found.matrix.tolist() == VECTORS


def test_an_output_without_a_vector_has_no_rows(tmp_path: Path) -> None:
    none = pa.array([None], pa.list_(pa.float32()))
    found = read_vectors(written(tmp_path / "out", {"note_id": ["a"], "vector": none}))
    assert (found.ids, found.matrix.shape, found.without) == ((), (0, 0), 1)


def delta(folder: Path) -> Path:
    (folder / "_delta_log").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "nothing", "has no Parquet files"),
        (lambda _: "s3a://bucket/out", "not on the local disk"),
        (lambda folder: delta(folder / "out"), "is a Delta table"),
        (lambda folder: written(folder / "out", {"note_id": [1]}), "has no column vector, but note_id"),
        (lambda folder: written(folder / "out", {"note_id": [1, 1], "vector": VECTORS}), "2 rows have 1 different ids"),
        (lambda folder: written(folder / "out", {"note_id": [1, 2], "vector": [[1.0], [1.0, 2.0]]}), "widths, 1, 2"),
        (lambda folder: written(folder / "out", {"note_id": [1], "vector": [[1.0, None]]}), "1 of them null"),
    ],
)
def test_what_is_no_output_of_documents_is_refused(tmp_path: Path, make: Callable[[Path], Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_vectors(make(tmp_path))


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "part-0.parquet").write_text("not this")
    with pytest.raises(InputError, match=r"part-0\.parquet cannot be read as Parquet"):
        read_vectors(tmp_path)


FINITE = "Expected finite numbers: look at what has changed them since the run"
NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize("kind", ["file", "pandas"])
@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([[NAN, 1.0], [1.0, 2.0], [1.0, -INFINITE]], f"of 2 of 3 notes have numbers that are NaN or inf.*{FINITE}"),
        ([np.array([1.0, INFINITE], "<f2").tobytes()], "of 1 of 1 notes have numbers that are NaN or infinite"),
        ([[1e300, 1.0]], f"numbers of a vector are too large for float32. {FINITE}"),
        ([[], []], f"the vectors of 2 notes have no numbers. {FINITE}"),
        ([b""], "the vectors of 1 notes have no numbers"),
    ],
)
def test_vectors_that_no_run_writes_are_refused_with_how_many(
    tmp_path: Path, kind: str, vectors: list[Any], said: str
) -> None:
    ids = list(range(len(vectors)))
    columns = {"note_id": ids, "vector": pa.array(vectors, None if any(vectors) else pa.list_(pa.float64()))}
    if isinstance(vectors[0], bytes):
        columns["vector"] = pa.array(vectors, pa.binary())
    with pytest.raises(InputError, match=said):
        note_vectors(
            written(tmp_path / "out", columns) if kind == "file" else pd.DataFrame({"note_id": ids, "vector": vectors})
        )


def test_a_number_beyond_float32_does_not_become_infinite_in_a_matrix() -> None:
    with pytest.raises(InputError, match="too large for float32"):
        to_matrix([[1e39]])
    assert np.isinf(to_matrix([[INFINITE]])).all()


@pytest.mark.parametrize("ids", [[["pain"], ["ache"]], [{"a": "pain"}, {"a": "ache"}]])
def test_ids_that_are_lists_or_structs_are_refused(tmp_path: Path, ids: list[Any]) -> None:
    for table in (
        pd.DataFrame({"note_id": ids, "vector": VECTORS}),
        written(tmp_path / "out", {"note_id": ids, "vector": VECTORS}),
    ):
        with pytest.raises(InputError, match="ids that are lists, maps or structs: expected strings or nu") as refused:
            note_vectors(table)
        assert "pain" not in str(refused.value)


def test_a_table_gives_the_notes_that_have_a_vector(spark: SparkSession) -> None:
    table = pd.DataFrame({"note_id": ["a", "b", "c"], "vector": WITH_NULL})
    frame = spark.createDataFrame(list(zip("abc", WITH_NULL, strict=True)), "note_id string, vector array<float>")
    for found in (note_vectors(table), note_vectors(frame)):
        assert isinstance(found, NoteVectors)
        assert (found.ids, found.without) == (("a", "c"), 1)
        assert found.matrix.tolist() == VECTORS
        assert note_vectors(found) is found


def test_a_list_is_no_table() -> None:
    with pytest.raises(InputError, match="list is neither a DataFrame"):
        note_vectors(VECTORS)


def test_they_are_public() -> None:
    assert sparkclin.to_matrix is to_matrix
    assert sparkclin.read_vectors is read_vectors
