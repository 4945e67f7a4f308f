"""What a run did, in figures only: `_report.json` for programs, `_report.md` and `_report.html` for people. Never any
note text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sparkclin.errors import IncompleteError
from sparkclin.runs.pace import Sample
from sparkclin.runs.report_page import report_html
from sparkclin.schema import N_PIECES, N_WINDOWS, NOTE_ID, STATUS, STATUSES, named, plain_value, printable, shown_id
from sparkclin.spark.storage import OWNER_ONLY, write_text

if TYPE_CHECKING:
    from pyspark.sql import Column

JSON_FILE, MARKDOWN_FILE, HTML_FILE = "_report.json", "_report.md", "_report.html"
MOST_NAMES = 10
"""Of files, in a summary."""

# Upper edges of the histograms, in pieces and windows; the last bin is open.
LENGTH_EDGES = (0, 128, 256, 512, 1024, 2048, 4094, 8188, 16376)
WINDOW_EDGES = (0, 1, 2, 4, 8, 16, 64)

N_LONGEST = 10
"""How many of the longest notes a report names."""

HUGE = 65_536
"""Pieces of a note, 16 windows of the longest: few notes are so long that people have written."""
SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class LongNote:
    """A note and how long it is."""

    note_id: str
    pieces: int
    windows: int


@dataclass(frozen=True, kw_only=True)
class NoteCounts:
    """Counts over the notes that the tasks read; `lengths` counts notes by pieces, `windows_per_note` by windows,
    `statuses` by status. `longest` are the longest of those that were read, the longest first."""

    notes: int
    pieces: int
    windows: int
    lengths: dict[str, int]
    statuses: dict[str, int]
    windows_per_note: dict[str, int] = field(default_factory=dict)
    longest: tuple[LongNote, ...] = ()

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, Any]) -> NoteCounts:
        """From the metrics that count_columns() names."""
        return cls(
            notes=metrics["notes"],
            pieces=metrics["pieces"] or 0,
            windows=metrics["windows"] or 0,
            lengths={label: metrics[f"length {label}"] for label in bin_labels(LENGTH_EDGES)},
            statuses={status: metrics[f"status {status}"] for status in STATUSES},
            windows_per_note={label: metrics[f"windows {label}"] for label in bin_labels(WINDOW_EDGES)},
            longest=tuple(
                LongNote(note_id=shown_id(str(note[NOTE_ID])), pieces=note[N_PIECES], windows=note[N_WINDOWS])
                for note in json.loads(metrics["longest"])
            ),
        )

    def share(self, note: LongNote) -> float:
        """A note's share of all pieces, which is about its share of the work."""
        return note.pieces / self.pieces

    def runaways(self) -> list[LongNote]:
        """The huge notes that took more than SHARE of all pieces, the largest first."""
        return [note for note in self.longest if note.pieces > HUGE and self.share(note) >= SHARE]


def check_read(counts: NoteCounts, *, n_notes: int) -> None:
    """Raises IncompleteError unless the tasks have counted as many notes as went in."""
    if counts.notes != n_notes:
        raise IncompleteError(
            f"{n_notes} notes went in; the tasks counted {counts.notes} while they read. The output was "
            "discarded: run again, and let nothing write to --input until the run ends."
        )


def count_columns() -> list[Column]:
    """Return aggregations over a DataFrame of notes with n_pieces, n_windows and status, for `DataFrame.observe`. A row
    whose status is null goes on with a note and is not counted."""
    from pyspark.sql import functions as F

    was_read = F.when(F.col(N_PIECES) > 0, F.struct(N_PIECES, N_WINDOWS, NOTE_ID))
    return [
        F.count(STATUS).alias("notes"),
        F.sum(N_PIECES).alias("pieces"),
        F.sum(N_WINDOWS).alias("windows"),
        *_histogram(N_PIECES, LENGTH_EDGES, name="length"),
        *_histogram(N_WINDOWS, WINDOW_EDGES, name="windows"),
        *(F.count(F.when(F.col(STATUS) == status, 1)).alias(f"status {status}") for status in STATUSES),
        # As a text: an observation gives lists as Java's objects.
        F.to_json(_largest(was_read, N_LONGEST)).alias("longest"),
    ]


def _histogram(column: str, edges: Sequence[int], *, name: str) -> Iterator[Column]:
    """A count for each bin, named `length 1-128`."""
    from pyspark.sql import functions as F

    bounds = pairwise((-1, *edges, 2**31 - 1))
    for (low, high), label in zip(bounds, bin_labels(edges), strict=True):
        yield F.count(F.when((F.col(column) > low) & (F.col(column) <= high), 1)).alias(f"{name} {label}")


def _largest(column: Column, n: int) -> Column:
    """An aggregation: the `n` largest values that are not null, the largest first. Spark keeps no more than these, but
    has no name for it in Python."""
    from pyspark.sql import Column, SparkSession

    jvm: Any = SparkSession.active()._jvm
    largest = jvm.org.apache.spark.sql.catalyst.expressions.aggregate.CollectTopK(column._jc.expr(), n, False)
    return Column(jvm.org.apache.spark.sql.Column(largest.toAggregateExpression()))


def bin_labels(edges: Sequence[int]) -> list[str]:
    """`0`, `1-128`, …, `16377+`"""
    inner = [f"{low + 1}-{high}" if high > low + 1 else f"{high}" for low, high in pairwise(edges)]
    return [str(edges[0]), *inner, f"{edges[-1] + 1}+"]


@dataclass(frozen=True, kw_only=True)
class NotRead:
    """Files of the input that were not read, or had nothing to read: how many, and the names of all. A summary has the
    first."""

    files: int = 0
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str]) -> NotRead:
        return cls(files=len(names), names=tuple(names))

    def __str__(self) -> str:
        return named(self.names, most=MOST_NAMES)


class Stopwatch:
    """How long the steps of a run take that follow each other: name -> seconds. The first began at `since_s`, by
    time.monotonic()."""

    def __init__(self, *, since_s: float) -> None:
        self._began, self._since = since_s, since_s
        self.seconds: dict[str, float] = {}

    @property
    def wall_s(self) -> float:
        """Since the first step began."""
        return round(time.monotonic() - self._began, 3)

    def lap(self, name: str) -> float:
        """A step ends, and the next one begins; its seconds."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._since, 3)
        self._since = now
        return self.seconds[name]


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """A finished run. Times are UTC, ISO 8601. `wall_s` are the seconds since the command began. `seconds` are those of
    its steps: Python starts, and with spark-submit Java before it; the model is found and compared, Spark starts,
    the input is looked through and counted, what is left of loading the model in the driver, the work (`elapsed_s`:
    notes are read, results written), and what was written is counted. Notes were
    counted three times: `in_input` by the reader of the files, `counts` in the tasks, and `written` in the files of the
    output, which have `rows` rows. `not_read` are files of the input. `derived` has the counts of a table that was made
    of the rows, by its name. `ran` is of a model that runs in Python workers: how many tasks it ran in, by the
    precision that the machine computed in, and the machine's processor. `advice` says what another engine would give,
    if anything. `added` are files, or versions of a Delta table, that were added to the input during the run, and that
    the output does not contain. `parity` has the figures of the model's manifest, the worst of each path. `pace` says
    how many notes were done when."""

    task: str
    started: str
    finished: str
    elapsed_s: float
    wall_s: float
    seconds: dict[str, float]
    in_input: int
    counts: NoteCounts
    written: int
    rows: int
    settings: dict[str, Any]
    model: dict[str, Any]
    versions: dict[str, str]
    not_read: NotRead = field(default_factory=NotRead)
    added: NotRead = field(default_factory=NotRead)
    derived: dict[str, dict[str, int]] = field(default_factory=dict)
    ran: dict[str, int] = field(default_factory=dict)
    advice: str = ""
    parity: dict[str, Any] = field(default_factory=dict)
    pace: tuple[Sample, ...] = ()

    @property
    def notes_per_s(self) -> float:
        return self.counts.notes / self.elapsed_s

    @property
    def pieces_per_s(self) -> float:
        return self.counts.pieces / self.elapsed_s

    @property
    def added_since(self) -> str:
        """What was added to the input during the run, for people."""
        return f"added to the input during the run, not in the output: {self.added.files:,} ({self.added})"

    def to_json(self) -> str:
        rates = {"notes_per_s": round(self.notes_per_s, 3), "pieces_per_s": round(self.pieces_per_s, 1)}
        text = json.dumps({**asdict(self), "throughput": rates}, indent=2, ensure_ascii=False) + "\n"
        return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate, as in a name that is not UTF-8

    def to_markdown(self) -> str:
        sections = {
            "Settings": self.settings,
            "Model": self.model,
            "Status of the notes": self.counts.statuses,
            "Length of the notes in pieces": self.counts.lengths,
            "Windows per note": self.counts.windows_per_note,
            "Seconds": self.seconds,
            "Versions": self.versions,
        }
        tables = [f"## {title}\n\n{_table(rows)}" for title, rows in sections.items()]
        return "\n\n".join(["# Run report", self.summary(), *tables]) + "\n"

    def summary(self) -> str:
        """The run in a few lines."""
        counts = self.counts
        without = {status: number for status, number in counts.statuses.items() if number and status != "ok"}
        missing = _listed(without) or "none"
        return "\n".join(
            [
                f"- notes: {self.in_input:,} in the input, {counts.notes:,} read, {self.written:,} written "
                f"(without results: {missing})",
                *([f"- files not read: {self.not_read.files:,} ({self.not_read})"] if self.not_read.files else []),
                *([f"- {self.added_since}"] if self.added.files else []),
                f"- pieces: {counts.pieces:,} in {counts.windows:,} windows, none cut",
                f"- rows written: {self.rows:,}",
                *(f"- {name}: {_listed(numbers)}" for name, numbers in self.derived.items()),
                *(f"- computed in {what}: {number:,} tasks" for what, number in self.ran.items()),
                f"- time: {self.wall_s:,.1f} s for the whole command; {self.elapsed_s:,.1f} s of it for the notes: "
                f"{self.notes_per_s:,.2f} notes/s, {self.pieces_per_s:,.0f} pieces/s",
                *([f"- {self.advice}"] if self.advice else []),
                *(f"- note {note.note_id} took {counts.share(note):.0%} of the work" for note in counts.runaways()),
            ]
        )

    def write(self, folder: str) -> None:
        """Writes the files into the folder of the output; Spark's readers pass over names that begin with `_`.

        The JSON comes last: an output with it is whole.
        """
        files = {HTML_FILE: report_html(self), MARKDOWN_FILE: self.to_markdown(), JSON_FILE: self.to_json()}
        for name, text in files.items():
            write_text(f"{folder.rstrip('/')}/{name}", text, mode=OWNER_ONLY)


def _listed(numbers: Mapping[str, int]) -> str:
    """`1,200 rows, 3 too_long`"""
    return ", ".join(f"{number:,} {name}" for name, number in numbers.items())


def _table(rows: Mapping[str, Any]) -> str:
    return "\n".join(["| | |", "|---|---:|", *(f"| {name} | {_cell(value)} |" for name, value in rows.items())])


def _cell(value: object) -> str:
    return printable(plain_value(value)).replace("|", "\\|")
