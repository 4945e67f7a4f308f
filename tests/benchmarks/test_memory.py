"""What is said of the memory of Python workers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil

from benchmarks.memory import ExecutorMemory, WorkerMemory, to_text, worker_memory
from sparkclin.inference.openvino import WEIGHTS


def test_weights_that_are_mapped_count_once(tmp_path: Path) -> None:
    file = tmp_path / WEIGHTS
    np.ones(2**22, np.uint8).tofile(file)
    before = worker_memory(psutil.Process())
    mapped = np.memmap(file, mode="r")
    assert mapped.sum() == 2**22  # all pages are read
    after = worker_memory(psutil.Process())
    assert before.weights == 0
    assert after.weights == 2**22
    assert after.own - before.own < 2**22


def test_the_sum_has_shared_weights_once() -> None:
    memory = ExecutorMemory(jvm=100, workers=(WorkerMemory(weights=7, own=10), WorkerMemory(weights=7, own=20)))
    assert memory.total == 100 + 10 + 20 + 7
    in_gb = ExecutorMemory(jvm=2**30, workers=(WorkerMemory(weights=2**29, own=2**31),))
    row = to_text([("bf16", 1, 2, in_gb)]).splitlines()[-1]
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["bf16", "1", "2", "2.00", "0.50", "1.00", "3.50"]
