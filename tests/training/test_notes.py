"""Reading notes, and which of them are kept from training."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sparkclin.errors import InputError, OptionError
from training.notes import Note, is_held_out, read_notes, split_notes
from training.sample_notes import LONGEST, choose

NOTES = [Note(note_id=str(number), text="stable") for number in range(2000)]


def test_split_is_disjoint_and_complete() -> None:
    split = split_notes(NOTES, held_out=0.1)
    train, held_out = ({note.note_id for note in part} for part in (split.train, split.held_out))
    assert not train & held_out
    assert train | held_out == {note.note_id for note in NOTES}
    assert 0.07 < len(held_out) / len(NOTES) < 0.13


def test_split_never_changes() -> None:
    """Were it to change, notes the demo model was trained on would pass for held-out ones."""
    assert [number for number in range(100) if is_held_out(str(number), share=0.1)] == [9, 39, 49, 51, 55, 65]


def test_a_larger_share_only_adds() -> None:
    smaller, larger = (split_notes(NOTES, held_out=share).held_out for share in (0.1, 0.2))
    assert {note.note_id for note in smaller} < {note.note_id for note in larger}


def test_a_note_stays_where_it_is_when_others_go() -> None:
    assert split_notes(NOTES[::2], held_out=0.1).held_out == [
        note for note in split_notes(NOTES, held_out=0.1).held_out if int(note.note_id) % 2 == 0
    ]


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_share_must_leave_something_to_train_on(share: float) -> None:
    with pytest.raises(OptionError, match=str(share)):
        split_notes(NOTES, held_out=share)


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


def test_samples_have_the_longest_and_every_specialty() -> None:
    notes = [Note(note_id=str(i), text="x" * (i + 1), specialties=("abcde"[i % 5],)) for i in range(100)]
    chosen = choose(notes, count=15)
    assert len(chosen) == 15
    assert {note.note_id for note in notes[-LONGEST:]} <= {note.note_id for note in chosen}
    assert {name for note in chosen for name in note.specialties} == set("abcde")
    assert min(len(note.text) for note in chosen) < 50


def test_more_samples_than_notes_are_refused() -> None:
    with pytest.raises(OptionError, match="at most the 10"):
        choose(NOTES[:10], count=11)
