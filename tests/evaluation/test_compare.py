"""Two outputs of the same notes, apart by what is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparkclin.evaluation.compare import distance, main

HALF = np.array([1, 0], "<f2").tobytes()


def written(path: Path, **columns: list[object]) -> Path:
    pd.DataFrame(columns).to_parquet(path)
    return path


def test_floats_and_bytes_are_compared_by_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = written(tmp_path / "a.parquet", note_id=["a", "b", "c"], vector=[[1.0, 0.5], None, [3.0, 4.0]])
    theirs = written(
        tmp_path / "b.parquet", note_id=["c", "a", "b"], vector=[np.array([3, 4], "<f2").tobytes(), HALF, None]
    )
    assert main([str(ours), str(theirs)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["vectors"], found["max_abs_difference"]) == (2, 0.5)
    assert found["least_cosine"] == pytest.approx(1 / np.hypot(1, 0.5))
    ours_kb, theirs_kb = found["kilobytes"]
    assert 0 < ours_kb < ours.stat().st_size / 1000
    assert 0 < theirs_kb < theirs.stat().st_size / 1000


def test_segments_are_told_apart(tmp_path: Path) -> None:
    ours = written(tmp_path / "a.parquet", note_id=["a", "a"], token_index=[0, 1], vector=[[1.0], [2.0]])
    theirs = written(tmp_path / "b.parquet", note_id=["a", "a"], token_index=[1, 0], vector=[[2.0], [1.0]])
    assert distance(ours, theirs).max_abs_difference == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"note_id": ["a", "x"], "vector": [HALF, HALF]}, "2 rows and 2 rows, which are not of the same notes"),
        ({"note_id": ["a", "b"], "vector": [HALF, None]}, "which are not of the same notes"),
        ({"note_id": ["a", "b"], "vector": [[1.0], [1.0]]}, "vectors of 2 and 1 numbers"),
        ({"note_id": ["a", "b"]}, "has no column vector"),
    ],
)
def test_what_cannot_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], columns: dict[str, list[object]], message: str
) -> None:
    ours = written(tmp_path / "a.parquet", note_id=["a", "b"], vector=[HALF, HALF])
    assert main([str(ours), str(written(tmp_path / "b.parquet", **columns))]) == 1
    assert message in capsys.readouterr().err


def test_zero_vectors_have_a_difference_and_no_cosine(tmp_path: Path) -> None:
    ours = written(tmp_path / "a.parquet", note_id=["a", "b"], vector=[[0.0, 0.0], [1.0, 0.0]])
    theirs = written(tmp_path / "b.parquet", note_id=["a", "b"], vector=[[3.0, 0.0], [-1.0, 0.0]])
    found = distance(ours, theirs)
    assert (found.vectors, found.max_abs_difference, found.least_cosine) == (2, 3.0, -1.0)
    assert (
        distance(written(tmp_path / "c.parquet", note_id=["a", "b"], vector=[[0.0, 0.0]] * 2), ours).least_cosine == 1
    )


def test_the_least_cosine_and_the_largest_difference_are_those_of_all_pairs(tmp_path: Path) -> None:
    ours = written(tmp_path / "a.parquet", note_id=["a", "b", "c"], vector=[[4.0, 3.0], [1.0, 0.0], [9.0, 0.0]])
    theirs = written(tmp_path / "b.parquet", note_id=["a", "b", "c"], vector=[[3.0, 4.0], [1.0, 0.0], [7.0, 0.0]])
    found = distance(ours, theirs)
    assert found.least_cosine == pytest.approx(24 / 25)
    assert found.max_abs_difference == 2.0


def test_the_size_is_that_of_the_column_vector_in_all_files(tmp_path: Path) -> None:
    folder = tmp_path / "output"
    folder.mkdir()
    files = [
        written(folder / f"{part}.parquet", note_id=[part], vector=[np.random.default_rng(0).random(2000).tolist()])
        for part in "ab"
    ]
    found = distance(folder, folder)
    sizes = [file.stat().st_size for file in files]
    assert found.kilobytes[0] == found.kilobytes[1] == round(found.kilobytes[0], 1)
    assert 0.8 * sum(sizes) < 1000 * found.kilobytes[0] < sum(sizes)


@pytest.mark.parametrize("vector", [[None, None], [None, HALF]])
def test_rows_without_vectors_must_be_the_same_and_not_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], vector: list[object]
) -> None:
    ours = written(tmp_path / "a.parquet", note_id=["a", "b"], vector=[None, None])
    assert main([str(ours), str(written(tmp_path / "b.parquet", note_id=["a", "b"], vector=vector))]) == 1
    assert "which are not of the same notes" in capsys.readouterr().err
