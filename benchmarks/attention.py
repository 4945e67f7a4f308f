"""What attention costs: BigBird's, and Longformer's with global attention, beside Longformer's; rows of three lengths.

The engine by itself reads rows of random ids, all of one length. No Spark and no text is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from benchmarks.raw_onnx import IDS
from benchmarks.shape import Shape
from benchmarks.tasks import ANSWER, CLASSIFY, EMBED, Task
from benchmarks.workloads import SEED
from sparkclin.models.bundle import Manifest

ATTENTION = "attention"
"""The name of the series."""

QUESTION_PIECES = 64


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """An attention. `task` is that of a model which has it; `question` is how many pieces of a row's are a question."""

    name: str
    task: Task
    is_bigbird: bool = False
    n_global: int = 0
    question: int = 0

    def case(self, length: int) -> str:
        return f"{self.name} {length:,}"


LONGFORMER = Pattern(name="longformer", task=EMBED)
BIGBIRD = Pattern(name="bigbird", task=EMBED, is_bigbird=True)

PATTERNS = (
    LONGFORMER,
    Pattern(name="longformer global first", task=CLASSIFY, n_global=1),
    Pattern(name="longformer global question", task=ANSWER, n_global=1 + QUESTION_PIECES, question=QUESTION_PIECES),
    BIGBIRD,
)
"""In the order of the table. The second is the attention of a classifier, the third that of question answering."""


def row_lengths(shape: Shape) -> tuple[int, ...]:
    """A quarter of the longest row, half of it and all, special pieces included: 1,024, 2,048 and 4,096 in BASE."""
    return shape.max_row // 4, shape.max_row // 2, shape.max_row


def random_rows(manifest: Manifest, pattern: Pattern, *, length: int, count: int) -> list[list[int]]:
    """`count` rows of `length` random ids, without a special one but the first, the last, and what ends a question."""
    special = {manifest.cls_id, manifest.sep_id, manifest.pad_id}
    ordinary = np.array([number for number in range(manifest.vocab_size) if number not in special])
    rows = np.random.default_rng(SEED).choice(ordinary, (count, length))
    rows[:, 0], rows[:, -1] = manifest.cls_id, manifest.sep_id
    if pattern.question:
        behind = 1 + pattern.question
        rows[:, behind : behind + len(manifest.separators)] = manifest.separators
    found: list[list[int]] = rows.tolist()
    return found


def write_rows(rows: Sequence[Sequence[int]], folder: Path) -> None:
    """One Parquet file of ids."""
    folder.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pa.table({IDS: rows}), folder / "rows.parquet")
