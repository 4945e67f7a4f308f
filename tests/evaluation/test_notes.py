"""Reading notes out of a local file."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sparkclin.errors import InputError
from sparkclin.evaluation.notes import Note, packaged_notes, read_notes, write_jsonl


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


def test_title_and_specialties_are_read_where_they_are(tmp_path: Path) -> None:
    records: list[dict[str, object]] = [
        {"note_id": 7, "text": "Alert.", "title": "Visit", "specialties": ["ENT", "Urology"]},
        {"note_id": 8, "text": "Calm.", "title": None, "specialties": None},
        {"note_id": 9, "text": None, "title": "", "specialties": []},
    ]
    write_jsonl(records, tmp_path / "n.jsonl")
    pd.DataFrame(records).to_parquet(tmp_path / "n.parquet")
    expected = [
        Note(note_id="7", text="Alert.", title="Visit", specialties=("ENT", "Urology")),
        Note(note_id="8", text="Calm.", title="", specialties=()),
    ]
    assert read_notes(tmp_path / "n.jsonl") == read_notes(tmp_path / "n.parquet") == expected


def test_a_specialty_that_is_no_list_is_none(tmp_path: Path) -> None:
    write_jsonl([{"note_id": 1, "text": "Alert.", "specialties": "ENT"}], tmp_path / "n.jsonl")
    assert read_notes(tmp_path / "n.jsonl") == [Note(note_id="1", text="Alert.")]


def test_all_missing_columns_are_named(tmp_path: Path) -> None:
    pd.DataFrame({"id": [1]}).to_parquet(tmp_path / "n.parquet")
    with pytest.raises(InputError, match=r"^n\.parquet has no note_id and no text; notes need note_id and text\.$"):
        read_notes(tmp_path / "n.parquet")


def test_records_are_written_a_line_each_in_utf8(tmp_path: Path) -> None:
    write_jsonl([{"note_id": "1", "text": "Fébrile."}, {"note_id": "2"}], tmp_path / "n.jsonl")
    expected = '{"note_id": "1", "text": "Fébrile."}\n{"note_id": "2"}\n'
    assert (tmp_path / "n.jsonl").read_bytes().decode("utf-8") == expected


def test_the_packaged_notes_have_ids_titles_and_specialties() -> None:
    notes = packaged_notes()
    assert len(notes) == len({note.note_id for note in notes}) == 60
    assert all(note.title and note.specialties and note.text for note in notes)
