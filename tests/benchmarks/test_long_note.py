"""The benchmark of one very long note among short ones."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.long_note import LEVELS, LongNote, long_text, main, pieces_of_text, to_text
from sparkclin.evaluation.notes import packaged_notes


def test_a_long_note_is_cut_without_a_loss() -> None:
    text = long_text(packaged_notes(), length=50_000)
    assert len(text) == 50_000
    parts = list(pieces_of_text(text, length=700))
    assert "".join(parts) == text
    assert max(map(len, parts)) <= 700
    assert all(before.endswith(" ") for before, _ in pairwise(parts))
    assert list(pieces_of_text("x" * 25, length=10)) == ["x" * 10, "x" * 10, "x" * 5]


def test_a_level_that_failed_is_shown_as_such() -> None:
    found = [LongNote(level="token", whole_s=None, cut_s=2.0), LongNote(level="document", whole_s=3.0, cut_s=2.0)]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in to_text(found).splitlines()[-2:]]
    assert lines == [["token", "failed", "2.00", "failed", "2.00"], ["document", "3.00", "2.00", "1.50", "2.00"]]


@pytest.mark.release
@pytest.mark.export
def test_every_level_is_measured(capfd: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """The exit status is not looked at: it tells a time."""
    main(["--smoke", "--work", str(tmp_path_factory.mktemp("work"))])
    rows = [line.split("|")[1:4] for line in capfd.readouterr().out.splitlines() if line.startswith("| ")][1:]
    measured = {row[0].strip(): row[1:] for row in rows if row[0].strip() in LEVELS}
    assert set(measured) == set(LEVELS)
    assert all(float(seconds) > 0 for row in measured.values() for seconds in row)
