"""The sample notes that ship with the demo model: some of the notes it was not trained on.

    python -m training.sample_notes NOTES --output sparkclin/demo/notes.jsonl [--count 60] [--held-out 0.1]

A spread: the longest few, then each specialty's turn, rarest first, taking its notes from short to long by even steps.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sparkclin.errors import OptionError
from sparkclin.evaluation.notes import Note, read_notes
from training.split import split_notes, write_notes

LONGEST = 5


def choose(notes: Sequence[Note], *, count: int) -> list[Note]:
    """`count` of the notes, in the order of `notes`; the same ones for the same notes."""
    if not LONGEST <= count <= len(notes):
        raise OptionError(f"count is {count}; it must be at least {LONGEST}, at most the {len(notes)} held-out notes.")
    by_length = sorted(notes, key=lambda note: (len(note.text), note.note_id))
    chosen = {note.note_id for note in by_length[-LONGEST:]}
    turns = [spread_out(of_one) for of_one in by_rarest_specialty(by_length)]
    round_number = 0
    while len(chosen) < count:
        for turn in turns:
            if round_number < len(turn) and len(chosen) < count:
                chosen.add(turn[round_number].note_id)
        round_number += 1
    return [note for note in notes if note.note_id in chosen]


def by_rarest_specialty(notes: Sequence[Note]) -> list[list[Note]]:
    """Notes grouped under their rarest specialty, the smallest groups first."""
    frequency = Counter(name for note in notes for name in note.specialties)
    groups: dict[str, list[Note]] = {}
    for note in notes:
        rarest = min(note.specialties, key=lambda name: (frequency[name], name), default="")
        groups.setdefault(rarest, []).append(note)
    return [groups[name] for name in sorted(groups, key=lambda name: (len(groups[name]), name))]


def spread_out(notes: Sequence[Note]) -> list[Note]:
    """The same notes: the middle one, then the middles of both halves, and so on, so that any beginning is a spread."""
    order: list[Note] = []
    ranges = [(0, len(notes))]
    while ranges:
        begin, end = ranges.pop(0)
        if begin < end:
            middle = (begin + end) // 2
            order.append(notes[middle])
            ranges += [(begin, middle), (middle + 1, end)]
    return order


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.sample_notes", description=__doc__.splitlines()[0])
    parser.add_argument("notes", type=Path, help=".jsonl with note_id, specialties, title and text")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--held-out", type=float, default=0.1, help="the share that was kept from training")
    options = parser.parse_args(arguments)
    held_out = split_notes(read_notes(options.notes), held_out=options.held_out).held_out
    chosen = choose(held_out, count=options.count)
    write_notes(chosen, options.output)
    print(f"{len(chosen)} of {len(held_out)} held-out notes -> {options.output}")


if __name__ == "__main__":
    main()
