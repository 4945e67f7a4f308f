"""How large vectors are in Parquet: the bytes of the rows that embed() gives for notes, at each level.

    python -m evaluation.output_size [NOTES] --model NAME [--models DIR] [--engine ENGINE] [--json]

NOTES is a .jsonl or .parquet with note_id and text, or a .txt with a note per line; default: the sample notes that come
with sparkclin. Rows are written as a run writes them. What a model with other vectors takes follows from the column
`vectors per note`: nearly all bytes are those of the numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.notes import packaged_notes, read_notes
from sparkclin.engines import ENGINES
from sparkclin.errors import InputError, exit_status
from sparkclin.schema import LEVELS
from sparkclin.tasks.embed import EmbedOptions, embed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkclin.models.bundle import Bundle

DTYPES = ("float32", "float16")


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of the rows of all notes at a level: `numbers` per vector, of `dtype`."""

    level: str
    dtype: str
    notes: int
    vectors: int
    numbers: int
    bytes: int

    @property
    def bytes_per_number(self) -> float:
        """With all that stands beside the vectors."""
        return self.bytes / (self.vectors * self.numbers)


def measure(notes: DataFrame, bundle: Bundle, *, level: str, dtype: str, folder: Path) -> Size:
    """Writes the rows into the folder, which is not there before."""
    options = EmbedOptions(level=level, vector_dtype=dtype)
    embed(notes, bundle=bundle, options=options).write.parquet(str(folder))
    return Size(
        level=level,
        dtype=dtype,
        notes=notes.count(),
        vectors=notes.sparkSession.read.parquet(str(folder)).where("vector is not null").count(),
        numbers=options.width(bundle.manifest),
        bytes=sum(file.stat().st_size for file in folder.glob("*.parquet")),
    )


def markdown(sizes: Sequence[Size]) -> str:
    """A row per level, with the bytes per note of each dtype."""
    lines = []
    for level in LEVELS:
        of_level = {size.dtype: size for size in sizes if size.level == level}
        first = of_level[DTYPES[0]]
        per_note = [f"{size.bytes / size.notes:,.0f}" for size in of_level.values()]
        per_number = [f"{size.bytes_per_number:.2f}" for size in of_level.values()]
        lines.append(f"| {level} | {first.vectors / first.notes:,.1f} | {' | '.join([*per_note, *per_number])} |")
    titles = [f"{what}, {dtype}" for what in ("bytes per note", "bytes per number") for dtype in DTYPES]
    return (
        f"{sizes[0].notes} notes, {sizes[0].numbers} numbers per vector\n\n"
        f"| level | vectors per note | {' | '.join(titles)} |\n|---|{'---:|' * (1 + len(titles))}\n" + "\n".join(lines)
    )


def run(asked: argparse.Namespace) -> str:
    """What is printed. Raises SparkclinError for what the user can mend."""
    import sparkclin

    notes = read_notes(asked.notes) if asked.notes else packaged_notes()
    if not notes:
        raise InputError(f"{asked.notes.name} has no note with text in it.")
    repository = sparkclin.ModelRepository(asked.models) if asked.models else sparkclin.active_repository()
    bundle = repository.find(asked.model, engine=asked.engine)
    spark = sparkclin.spark_session(app_name="sparkclin output_size")
    # One file: a small corpus in many files would measure their headers.
    rows = [(note.note_id, note.text) for note in notes]
    frame = spark.createDataFrame(rows, "note_id string, text string").coalesce(1)
    with tempfile.TemporaryDirectory() as folder:
        sizes = [
            measure(frame, bundle, level=level, dtype=dtype, folder=Path(folder, level, dtype))
            for level in LEVELS
            for dtype in DTYPES
        ]
    return json.dumps([asdict(size) for size in sizes], indent=2) if asked.json else markdown(sizes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m evaluation.output_size", description=summary)
    parser.add_argument("notes", type=Path, nargs="?", help=".jsonl, .parquet or .txt; default: the sample notes")
    parser.add_argument("--model", required=True, metavar="NAME", help="whose vectors")
    parser.add_argument("--models", metavar="DIR", help="default: $SPARKCLIN_MODELS, else the demo models")
    parser.add_argument("--engine", choices=ENGINES, help="default: the fastest that the model was exported for")
    parser.add_argument("--json", action="store_true", help="the figures, instead of a table")
    asked = parser.parse_args(arguments)
    return exit_status(lambda: print(run(asked)))


if __name__ == "__main__":
    sys.exit(main())
