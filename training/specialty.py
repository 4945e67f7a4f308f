"""How often the nearest notes share a specialty: what document vectors are worth without any training on top.

    python -m training.specialty NOTES VECTORS

NOTES has note_id and specialties (a note may have several), VECTORS is parquet with note_id and vector.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from evaluation.notes import read_notes
from evaluation.retrieval import specialty_accuracy


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.specialty", description=__doc__.splitlines()[0])
    parser.add_argument("notes", type=Path, help=".jsonl or .parquet with note_id and specialties")
    parser.add_argument("vectors", type=Path, help="parquet with note_id and vector")
    options = parser.parse_args()
    specialties = {note.note_id: note.specialties for note in read_notes(options.notes)}
    vectors = pd.read_parquet(options.vectors, columns=["note_id", "vector"])
    print(json.dumps(asdict(specialty_accuracy(vectors, specialties)), indent=2))


if __name__ == "__main__":
    main()
