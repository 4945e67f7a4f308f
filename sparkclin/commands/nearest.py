"""Print the nearest notes of a note: `sparkclin nearest VECTORS --note ID`. Needs no Spark."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sparkclin.errors import exit_status
from sparkclin.maps.columns import Column, read_columns, shown
from sparkclin.models.card import table
from sparkclin.schema import NOTE_ID, printable
from sparkclin.search import COSINE, nearest
from sparkclin.vectors import read_vectors

N_NEAREST = 10


def main(arguments: Sequence[str] | None = None, *, prog: str = "sparkclin nearest") -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    asked = parser(prog).parse_args(arguments)
    return exit_status(lambda: print(nearest_table(asked)))


def nearest_table(asked: argparse.Namespace) -> str:
    """The note itself, and the nearest ones below it, each with its cosine and the columns that are asked for."""
    vectors = read_vectors(asked.vectors)
    found = nearest(vectors, asked.note, k=asked.k)
    columns = read_columns(asked.show, vectors=asked.vectors, notes=asked.notes)
    head = (COSINE.upper(), NOTE_ID.upper(), *(printable(column.name).upper() for column in columns))
    rows = [(f"{cosine:.4f}", *_cells(note, columns)) for note, cosine in zip(*map(found.get, found), strict=True)]
    without = f"\n{vectors.without:,} notes have no vector" if vectors.without else ""
    return table([head, ("", *_cells(asked.note, columns)), *rows]) + without


def _cells(note_id: object, columns: Sequence[Column]) -> list[str]:
    note = str(note_id)
    return [printable(text) for text in (note, *(shown(column.values.get(note)) for column in columns))]


def parser(prog: str = "sparkclin nearest") -> argparse.ArgumentParser:
    build = argparse.ArgumentParser(prog=prog, description="Print the notes whose vectors are nearest to a note's.")
    add = build.add_argument
    add("vectors", metavar="VECTORS", help="where a run at level document has written, on this machine, as Parquet")
    add("--note", required=True, metavar="ID", help="the note whose nearest notes are wanted")
    add("-k", type=int, default=N_NEAREST, metavar="N", help=f"how many; default: {N_NEAREST}")
    add("--show", nargs="+", default=[], metavar="COLUMN", help="columns of the vectors' table or of --notes to print")
    add("--notes", metavar="FILE", help="a table with note_id and these columns: jsonl, csv or parquet")
    return build
