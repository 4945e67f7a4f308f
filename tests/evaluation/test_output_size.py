"""How large vectors are: on a few notes, by the command."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from evaluation.notes import packaged_notes, write_jsonl
from evaluation.output_size import DTYPES, Size, main, markdown
from sparkclin.schema import LEVELS
from testkit.demo import MODEL


@pytest.mark.usefixtures("spark")
def test_every_level_is_measured_and_half_precision_is_half_as_large(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.jsonl"
    write_jsonl((asdict(replace(note, text=note.text[:600])) for note in packaged_notes()[:6]), file)
    assert main([str(file), "--model", MODEL, "--json"]) == 0
    found = {(size["level"], size["dtype"]): Size(**size) for size in json.loads(capsys.readouterr().out)}
    assert set(found) == {(level, dtype) for level in LEVELS for dtype in DTYPES}
    for level in LEVELS:
        whole, half = found[level, "float32"], found[level, "float16"]
        assert (whole.notes, whole.numbers) == (half.notes, half.numbers) == (6, 192)
        assert whole.vectors == half.vectors
        assert 0.4 < half.bytes / whole.bytes < 0.75, level
    assert found["document", "float32"].vectors == found["window", "float32"].vectors == 6
    assert 4 <= found["token", "float32"].bytes_per_number < 5
    assert found["token", "float32"].vectors > found["sentence", "float32"].vectors > 12


def test_the_table_has_a_row_per_level() -> None:
    sizes = [
        Size(level=level, dtype=dtype, notes=10, vectors=25, numbers=100, bytes=size)
        for level in LEVELS
        for dtype, size in (("float32", 11_000), ("float16", 5_500))
    ]
    printed = markdown(sizes)
    assert printed.startswith("10 notes, 100 numbers per vector\n")
    for level in LEVELS:
        assert f"| {level} | 2.5 | 1,100 | 550 | 4.40 | 2.20 |" in printed


def test_a_file_without_notes_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("\n\n")
    assert main([str(tmp_path / "notes.txt"), "--model", MODEL]) == 1
    assert "notes.txt has no note with text in it" in capsys.readouterr().err
