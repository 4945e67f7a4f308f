"""How large the output of `embed` is, per level: `python -m docsite.sizes`.

Embeds the 60 sample notes with the demo model at each level, in float32 and in float16, and measures the Parquet files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.dataset as ds

from docsite.markdown import table
from sparkclin.commands import embed
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from sparkclin.schema import LEVELS
from sparkclin.text.vectors import VECTOR_DTYPES

MODEL = "clinical_longformer_demo"
NOTES = DEMO_MODELS.parent / "notes.jsonl"
BYTES = {dtype: np.dtype(dtype).itemsize for dtype in VECTOR_DTYPES}
REAL_WIDTH = 768
"""Numbers per vector of Clinical-Longformer."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of an output: its rows, and the bytes of its files."""

    rows: int
    size_bytes: int

    @property
    def per_row(self) -> float:
        return self.size_bytes / self.rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docsite.sizes", description=(__doc__ or "").splitlines()[0])
    parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        print(sizes_table(Path(folder)))
    return 0


def sizes_table(folder: Path, *, notes: Path = NOTES) -> str:
    """Return Markdown with a row per level. A row's other columns do not depend on the model's width."""
    width = ModelRepository(DEMO_MODELS).find(MODEL).manifest.width
    rows = []
    for level in LEVELS:
        sizes = {dtype: measured(folder / f"{level}_{dtype}", notes=notes, level=level, dtype=dtype) for dtype in BYTES}
        real = [sizes[dtype].per_row + (REAL_WIDTH - width) * BYTES[dtype] for dtype in BYTES]
        found = [*(sizes[dtype].per_row for dtype in BYTES), *real]
        rows.append((level, f"{sizes[VECTOR_DTYPES[0]].rows:,}", *(f"{size:,.0f}" for size in found)))
    count = f"{rows[0][1]} notes"
    head = [f"{dtype}, {numbers:,} numbers" for numbers in (width, REAL_WIDTH) for dtype in BYTES]
    return table(("level", f"rows of {count}", *head), rows)


def measured(output: Path, *, notes: Path, level: str, dtype: str) -> Size:
    options = ["--input", notes, "--output", output, "--level", level, "--vector-dtype", dtype, "--partitions", 1]
    if embed.main([str(option) for option in options]):
        raise SystemExit(1)
    files = list(output.glob("*.parquet"))
    return Size(rows=ds.dataset(files).count_rows(), size_bytes=sum(file.stat().st_size for file in files))


if __name__ == "__main__":
    sys.exit(main())
