"""The command that measures outputs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from docsite.sizes import sizes_table
from sparkclin.evaluation.notes import packaged_notes, write_jsonl
from sparkclin.schema import LEVELS


@pytest.mark.release
@pytest.mark.usefixtures("spark")
def test_every_level_is_measured(tmp_path: Path) -> None:
    notes = tmp_path / "notes.jsonl"
    write_jsonl(map(asdict, packaged_notes()[::6]), notes)
    header, _, *rows = sizes_table(tmp_path, notes=notes).splitlines()
    assert "rows of 10 notes" in header
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == list(LEVELS)
    numbers = [[int(cell.replace(",", "")) for cell in row[1:]] for row in cells]
    assert numbers[0][0] == 10
    for _, single, half, real_single, real_half in numbers:
        assert 192 * 2 < half < single < 192 * 4 + 600
        assert real_single - single == pytest.approx((768 - 192) * 4, abs=1)
        assert real_half - half == pytest.approx((768 - 192) * 2, abs=1)
