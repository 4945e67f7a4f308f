"""The rows of ids whose attention is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.attention import PATTERNS, QUESTION_PIECES, Pattern, random_rows, row_lengths, write_rows
from benchmarks.raw_onnx import read_ids
from benchmarks.shape import BASE, as_bigbird
from sparkclin.models.bundle import Manifest
from testkit.bundles import manifest_of
from testkit.material import read_material


def manifest(folder: Path) -> Manifest:
    return replace(manifest_of(folder, name="benchmark"), separators=(2, 2))


def test_both_families_read_rows_of_the_same_lengths() -> None:
    assert row_lengths(BASE) == row_lengths(as_bigbird(BASE)) == (1024, 2048, 4096)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_rows_have_special_pieces_where_their_attention_wants_them(pattern: Pattern, tmp_path: Path) -> None:
    rows = random_rows(manifest(tmp_path), pattern, length=128, count=3)
    assert [len(row) for row in rows] == [128] * 3
    separators = [1 + QUESTION_PIECES, 2 + QUESTION_PIECES] if pattern.question else []
    for row in rows:
        assert row[0] == 0
        assert [position for position, number in enumerate(row) if number == 2] == [*separators, 127]
        assert min(row[1:]) > 1


def test_rows_of_ids_need_no_tokenizer(tmp_path: Path) -> None:
    rows = random_rows(manifest(tmp_path), PATTERNS[0], length=16, count=2)
    write_rows(rows, tmp_path)
    assert read_ids(tmp_path, read_material(Path("not there")).tokenizer()) == rows
