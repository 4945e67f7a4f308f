"""Reading notes out of a local file."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sparkclin.errors import InputError
from sparkclin.evaluation.notes import Note, read_notes


def test_the_three_kinds_of_file_read_alike(tmp_path: Path) -> None:
    records = [{"note_id": "1", "text": "Alert."}, {"note_id": "2", "text": "  "}, {"note_id": "3", "text": "Fébrile."}]
    (tmp_path / "n.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    pd.DataFrame(records).to_parquet(tmp_path / "n.parquet")
    (tmp_path / "n.txt").write_text("".join(record["text"] + "\n" for record in records), encoding="utf-8")
    expected = [Note(note_id="1", text="Alert."), Note(note_id="3", text="Fébrile.")]
    assert [read_notes(tmp_path / name) for name in ("n.jsonl", "n.parquet", "n.txt")] == [expected] * 3


def test_repeated_ids_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "n.jsonl"
    file.write_text('{"note_id": 1, "text": "a"}\n' * 3, encoding="utf-8")
    with pytest.raises(InputError, match="2 notes"):
        read_notes(file)


def test_a_missing_column_is_named_by_line_and_without_text(tmp_path: Path) -> None:
    file = tmp_path / "n.jsonl"
    file.write_text('{"note_id": 1, "text": "a"}\n{"id": 2, "text": "secret"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"line 2 has no note_id") as raised:
        read_notes(file)
    assert "secret" not in str(raised.value)


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"n\.docx"):
        read_notes(tmp_path / "n.docx")
