from __future__ import annotations

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
from sparkclin.search import nearest

IDS = ["a", "b", "c", "d", "e"]
VECTORS = [[1.0, 0.0], [3.0, 4.0], None, [-2.0, 0.0], [0.0, 0.0]]
TABLE = pd.DataFrame({"note_id": IDS, "vector": VECTORS})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vectors = pa.array(VECTORS, pa.list_(pa.float32()))
    pq.write_table(pa.table({"note_id": IDS, "vector": vectors}), tmp_path / "part-0.parquet")
    return tmp_path


@pytest.mark.parametrize("kind", ["pandas", "spark", "path"])
def test_the_nearest_come_first_and_the_note_itself_does_not(kind: str, spark: SparkSession, folder: Path) -> None:
    rows = list(zip(IDS, VECTORS, strict=True))
    tables: dict[str, Any] = {
        "pandas": TABLE,
        "spark": spark.createDataFrame(rows, "note_id string, vector array<float>"),
        "path": str(folder),
    }
    found = nearest(tables[kind], "a")
    assert list(found.columns) == ["note_id", "cosine"]
    assert found.note_id.tolist() == ["b", "e", "d"]
    assert found.cosine.tolist() == pytest.approx([0.6, 0.0, -1.0])


def test_they_are_those_of_an_exact_search() -> None:
    vectors = np.random.default_rng(7).normal(size=(500, 16))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit[123]
    expected = [row for row in np.argsort(-cosines) if row != 123][:10]
    found = nearest(pd.DataFrame({"note_id": range(500), "vector": list(vectors)}), 123)
    assert found.note_id.tolist() == expected
    np.testing.assert_allclose(found.cosine, cosines[expected], atol=1e-6)


def test_k_says_how_many() -> None:
    assert nearest(TABLE, "a", k=1).note_id.tolist() == ["b"]
    with pytest.raises(OptionError, match="k is 0"):
        nearest(TABLE, "a", k=0)


def test_equal_notes_have_the_cosine_1_and_the_order_of_the_table() -> None:
    same = pd.DataFrame({"note_id": range(4), "vector": [[0.1, 0.3, 0.7]] * 4})
    found = nearest(same, 2)
    assert found.note_id.tolist() == [0, 1, 3]
    assert (found.cosine <= 1).all()
    assert found.cosine.tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(("asked", "others"), [(7, [70]), ("7", [70]), ("70", [7])])
def test_an_id_given_as_text_stands_for_a_number(asked: object, others: list[int]) -> None:
    table = pd.DataFrame({"note_id": [7, 70], "vector": [[1.0], [2.0]]})
    assert nearest(table, asked).note_id.tolist() == others


@pytest.mark.parametrize("asked", ["c", "Smith has fever", 7, ["Smith"], (["Smith"],)])
def test_a_note_without_a_vector_is_an_error_that_does_not_show_what_was_asked(asked: object) -> None:
    with pytest.raises(InputError, match="4 notes have a vector, and 1 notes have none") as refused:
        nearest(TABLE, asked)
    assert "Smith" not in str(refused.value)


@pytest.mark.parametrize("size", [3e38, 1e25, 1e19, 1e17, 1e-10, 1e-13, 1e-20, 1e-40])
def test_the_largest_and_the_smallest_numbers_have_a_cosine(size: float) -> None:
    vectors = np.array([[1, 1], [1, -1], [1, 0], [1, 1]]) * size
    found = nearest(pd.DataFrame({"note_id": range(4), "vector": list(vectors)}), 0)
    assert found.note_id.tolist() == [3, 2, 1]
    assert found.cosine.tolist() == pytest.approx([1, 0.5**0.5, 0], abs=1e-6)


def test_it_is_public() -> None:
    assert sparkclin.nearest is nearest
