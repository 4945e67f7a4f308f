"""How rows are fed to the engine by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.raw_onnx import Vectors, inputs_of, run_batches

BROKEN = 9


def first_ids(batch: Sequence[Sequence[int]]) -> Vectors:
    """(batch, pieces, 1): the ids as vectors; BROKEN gives what is no number."""
    ids = inputs_of(batch)["input_ids"].astype(np.float32)
    return np.where(ids == BROKEN, np.float32("nan"), ids)[:, :, None]


def test_rows_are_padded_at_the_end_and_masked() -> None:
    inputs = inputs_of([[5, 6, 7], [8]])
    assert inputs["input_ids"].tolist() == [[5, 6, 7], [8, 1, 1]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert inputs["token_type_ids"].tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("threads", [1, 2])
def test_every_row_is_run_once(threads: int) -> None:
    assert run_batches(first_ids, [[5] * n for n in range(1, 301)], threads=threads) == 300


def test_rows_with_what_is_no_number_do_not_count() -> None:
    assert run_batches(first_ids, [[5] * 4000, [BROKEN] * 3000, [5] * 3000, [5], [5, BROKEN]], threads=2) == 3
