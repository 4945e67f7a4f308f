"""Which notes are kept from training, and which of those ship as samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sparkclin.errors import OptionError
from sparkclin.evaluation.notes import Note, read_notes
from training.sample_notes import LONGEST, choose
from training.split import is_held_out, main, split_notes, write_notes

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


def test_the_command_writes_both_parts_without_rare_specialties(tmp_path: Path) -> None:
    corpus, train, dev = (tmp_path / name for name in ("notes.jsonl", "train.jsonl", "dev.jsonl"))
    notes = [replace(note, specialties=("often", "rare" if note.note_id == "9" else "often 2")) for note in NOTES[:100]]
    write_notes(notes, corpus)
    assert main([str(corpus), "--train", str(train), "--dev", str(dev), "--least-notes", "2"]) == 0
    kept = read_notes(dev)
    assert [note.note_id for note in kept] == ["9", "39", "49", "51", "55", "65"]
    assert kept[0].specialties == ("often",)
    assert kept[1].specialties == ("often", "often 2")
    assert len(read_notes(train)) == 94
    assert main([str(corpus), "--train", str(train), "--dev", str(dev), "--held-out", "1"]) == 1
