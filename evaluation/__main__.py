"""How often the nearest notes share a specialty: what document vectors are worth without any training on top.

    python -m sparkclin.evaluation NOTES VECTORS

NOTES has note_id and specialties (a note may have several), VECTORS is parquet with note_id and vector.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from sparkclin.errors import exit_status
from sparkclin.evaluation.notes import read_notes
from sparkclin.evaluation.retrieval import specialty_accuracy
from sparkclin.text.vectors import as_floats


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m sparkclin.evaluation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notes", type=Path, help=".jsonl or .parquet with note_id and specialties")
    parser.add_argument("vectors", type=Path, help="parquet with note_id and vector")
    options = parser.parse_args(arguments)
    return exit_status(lambda: score(options.notes, options.vectors))


def score(notes: Path, vectors: Path) -> None:
    """Prints how often the nearest notes share a specialty."""
    specialties = {note.note_id: note.specialties for note in read_notes(notes)}
    found = pd.read_parquet(vectors, columns=["note_id", "vector"])
    found["vector"] = found["vector"].map(as_floats, na_action="ignore")
    print(json.dumps(asdict(specialty_accuracy(found, specialties)), indent=2))


if __name__ == "__main__":
    sys.exit(main())
