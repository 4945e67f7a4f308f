"""How rows are fed to the engine by itself."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.raw_onnx import batches, padded, run_batches


def ids(*lengths: int) -> list[list[int]]:
    return [[7] * n for n in lengths]


def test_a_batch_is_filled_up_to_the_budget_with_its_padding() -> None:
    made = batches(ids(6, 5, 4, 3, 2, 2), budget=12)
    assert [[len(row) for row in batch] for batch in made] == [[6, 5], [4, 3, 2], [2]]


def test_a_row_longer_than_the_budget_is_a_batch() -> None:
    assert [len(batch) for batch in batches(ids(20, 3, 3), budget=6)] == [1, 2]


def test_every_row_is_in_one_batch() -> None:
    rows = ids(*range(300, 0, -1))
    assert [row for batch in batches(rows, budget=1000) for row in batch] == rows


def test_rows_are_padded_at_the_end_and_masked() -> None:
    input_ids, mask = padded([[5, 6, 7], [8]], pad_id=1)
    assert input_ids.tolist() == [[5, 6, 7], [8, 1, 1]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("threads", [1, 2])
def test_vectors_that_are_no_numbers_do_not_count(threads: int) -> None:
    def run(input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        first = input_ids[:, :1].astype(np.float32)
        return np.where(first == 9, np.nan, first * attention_mask.sum())

    assert run_batches(run, [[5] * 4000, [9] * 3000, [5] * 3000, [5], [9]], threads=threads) == 3
