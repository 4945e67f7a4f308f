"""Measure what one very long note costs among short ones: `python -m benchmarks.long_note`.

For each level `sparkclin embed` runs twice, with two tasks at once and a small driver: over short notes and one long
note, and over the same text with the long note cut into short ones. What counts is how many times as long the first
takes. A level that needs more memory or time in the square of a note's length fails or misses the target. The model is
the tiny one of `python -m benchmarks --smoke`, so that the rest of the work counts: a large model hides it.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ours
from benchmarks.contenders import OPENVINO_INT8
from benchmarks.machine import describe_machine
from benchmarks.plan import Effort, Planner
from benchmarks.report import table
from benchmarks.run import RunOptions, material_of, open_store, parser_beside, smoke_options
from benchmarks.workloads import SEED, SENTENCES, CountedText, counted, sample, write_rows
from sparkclin.errors import SparkclinError
from sparkclin.evaluation.notes import Note
from sparkclin.models.bundle import Bundle
from sparkclin.runs.report import JSON_FILE
from testkit.material import CHECKOUT

LEVELS = ("document", "sentence", "token")
MOST_TIMES_AS_LONG = 2.0
TASKS = 2
DRIVER_MEMORY = "2g"
SHORT_LENGTH = 4_000
"""Characters of the notes that the long one is cut into."""


@dataclass(frozen=True, kw_only=True)
class Corpora:
    """The notes of a measurement: the long note's `length` in characters, and the number of `short` notes."""

    length: int = 2_000_000
    short: int = 5_000


SMOKE = Corpora(length=40_000, short=50)


@dataclass(frozen=True, kw_only=True)
class LongNote:
    """Seconds that a level took with the long note in one piece, and cut; None for a run that failed."""

    level: str
    whole_s: float | None
    cut_s: float | None

    @property
    def times_as_long(self) -> float | None:
        return self.whole_s / self.cut_s if self.whole_s and self.cut_s else None


def long_text(notes: Sequence[Note], *, length: int) -> str:
    """Return notes joined in a random order, again and again, cut to a length in characters."""
    shuffled = random.Random(SEED).sample(list(notes), len(notes))
    joined = "\n\n".join(note.text for note in shuffled)
    return "\n\n".join([joined] * (1 + length // len(joined)))[:length]


def pieces_of_text(text: str, *, length: int) -> Iterator[str]:
    """Yield a text in parts of at most `length` characters that end at white space."""
    begin = 0
    while begin < len(text):
        space = text.rfind(" ", begin, begin + length)
        end = len(text) if begin + length >= len(text) else space + 1 if space > begin else begin + length
        yield text[begin:end]
        begin = end


def measure(rows: Sequence[CountedText], bundle: Bundle, *, level: str, folder: Path) -> float | None:
    """Return the seconds of the work of a run over the rows, None if it fails."""
    write_rows(rows, folder / "rows", parts=TASKS)
    command = [sys.executable, "-m", "sparkclin", "embed", "--input", str(folder / "rows"), "--output"]
    command += [str(folder / "vectors"), "--models", str(bundle.path.parent), "--model", bundle.manifest.name]
    command += ["--engine", bundle.manifest.engine, "--precision", bundle.manifest.precision, "--level", level]
    command += ["--master", f"local[{TASKS}]", "--driver-memory", DRIVER_MEMORY, "--conf", "spark.ui.enabled=false"]
    if subprocess.run(command, cwd=CHECKOUT, check=False).returncode:
        return None
    report = json.loads((folder / "vectors" / JSON_FILE).read_text(encoding="utf-8"))
    return float(report["elapsed_s"])


def to_text(found: Sequence[LongNote]) -> str:
    """Return a row per level."""
    header = ("level", "long note whole, s", "long note cut, s", "times as long", "at most")
    rows = [
        (each.level, shown(each.whole_s), shown(each.cut_s), shown(each.times_as_long), shown(MOST_TIMES_AS_LONG))
        for each in found
    ]
    return table(header, rows)


def shown(number: float | None) -> str:
    return "failed" if number is None else f"{number:.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, or 1 if the model cannot be made or a level misses the target."""
    parser = parser_beside("benchmarks.long_note", "One very long note among short ones.", smoke="few and short notes")
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=LEVELS, help="default: all")
    given = parser.parse_args(arguments)
    try:
        found = measure_levels(given)
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(to_text(found))
    times = [each.times_as_long for each in found]
    return 0 if all(number is not None and number <= MOST_TIMES_AS_LONG for number in times) else 1


def measure_levels(given: argparse.Namespace) -> list[LongNote]:
    """Make the model and the notes, and measure every level. Raise SparkclinError if the model cannot be made."""
    options = smoke_options(out=RunOptions.out, work=given.work)
    corpora = SMOKE if given.smoke else Corpora()
    material = material_of(options)
    store = open_store(options, material)
    bundle = ours.prepare(store, OPENVINO_INT8)
    planner = Planner(store=store, material=material, effort=Effort(seconds=0, warm_up_seconds=0, gflops=0, cpus=(0,)))
    text, tokenizer = long_text(material.notes, length=corpora.length), material.tokenizer()
    short = sample(planner.workload(SENTENCES), corpora.short)
    whole = counted({"long": text}, tokenizer)
    cut = counted({f"cut-{i}": part for i, part in enumerate(pieces_of_text(text, length=SHORT_LENGTH))}, tokenizer)
    n_pieces = sum(row.n_pieces for row in [*short, *whole])
    print(
        f"{describe_machine().cpu}, {store.shape.layers} × {store.shape.width}; {len(short):,} notes and one of ",
        end="",
    )
    print(f"{len(text):,} characters; {n_pieces:,} pieces, {whole[0].n_pieces:,} of them in the long note")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for level in given.levels:
            seconds = [
                measure([*short, *rows], bundle, level=level, folder=Path(folder) / f"{level}-{name}")
                for name, rows in (("whole", whole), ("cut", cut))
            ]
            found.append(LongNote(level=level, whole_s=seconds[0], cut_s=seconds[1]))
    return found


if __name__ == "__main__":
    sys.exit(main())
