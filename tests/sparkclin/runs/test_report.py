from __future__ import annotations

import json
import stat
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkclin.runs.report import (
    HUGE,
    LENGTH_EDGES,
    N_LONGEST,
    WINDOW_EDGES,
    LongNote,
    NoteCounts,
    NotRead,
    RunReport,
    bin_labels,
    count_columns,
)
from sparkclin.runs.report_page import report_html

COUNTED = "note_id string, n_pieces int, n_windows int, status string"
REPORT = RunReport(
    task="embed",
    started="2026-11-24T10:00:00+00:00",
    finished="2026-11-24T10:00:20+00:00",
    elapsed_s=20.0,
    wall_s=31.4,
    seconds={"start": 0.4, "model": 0.1, "Spark": 3.0, "input": 1.2, "loading": 6.2, "work": 20.0, "check": 0.5},
    in_input=50,
    counts=NoteCounts(
        notes=50,
        pieces=40_000,
        windows=60,
        lengths={"0": 3, "1-128": 47},
        statuses={"ok": 46, "empty": 3, "null": 1},
    ),
    written=50,
    rows=71,
    settings={"input": "notes | all", "partitions": 1_200, "recursive": True, "labels": ["O", "B-Sign"]},
    model={"name": "tiny"},
    versions={"spark": "3.5"},
)


def test_the_summary_accounts_for_every_note() -> None:
    assert REPORT.summary().splitlines() == [
        "- notes: 50 in the input, 50 read, 50 written (without results: 3 empty, 1 null)",
        "- pieces: 40,000 in 60 windows, none cut",
        "- rows written: 71",
        "- time: 31.4 s for the whole command; 20.0 s of it for the notes: 2.50 notes/s, 2,000 pieces/s",
    ]
    whole = replace(REPORT.counts, statuses={"ok": 50, "empty": 0, "null": 0})
    assert "(without results: none)" in replace(REPORT, counts=whole).summary()


def test_a_note_that_took_much_of_the_work_is_named() -> None:
    sizes = {"c": 5_000_000, "b": 200_000, "a": 70_000}
    longest = tuple(LongNote(note_id=name, pieces=size, windows=1) for name, size in sizes.items())
    counts = replace(REPORT.counts, pieces=10_000_000, longest=longest)
    report = replace(REPORT, counts=counts)
    assert counts.runaways() == [*longest[:2]]
    assert report.summary().splitlines()[-2:] == [
        "- note c took 50% of the work",
        "- note b took 2% of the work",
    ]


def test_a_derived_table_has_a_line() -> None:
    report = replace(REPORT, derived={"note_nlp": {"rows": 1_200, "too_long": 2}})
    assert report.summary().splitlines()[3] == "- note_nlp: 1,200 rows, 2 too_long"
    assert json.loads(report.to_json())["derived"] == {"note_nlp": {"rows": 1_200, "too_long": 2}}


def test_the_json_has_all_figures() -> None:
    found = json.loads(REPORT.to_json())
    assert found["throughput"] == {"notes_per_s": 2.5, "pieces_per_s": 2000.0}
    assert found["rows"] == 71
    assert found["wall_s"] == 31.4
    assert found["counts"] == {
        "notes": 50,
        "pieces": 40_000,
        "windows": 60,
        "lengths": {"0": 3, "1-128": 47},
        "statuses": {"ok": 46, "empty": 3, "null": 1},
        "windows_per_note": {},
        "longest": [],
    }
    assert (found["started"], found["finished"], found["elapsed_s"]) == (
        "2026-11-24T10:00:00+00:00",
        "2026-11-24T10:00:20+00:00",
        20.0,
    )


def test_the_text_is_a_summary_and_tables() -> None:
    found = REPORT.to_markdown()
    assert found.startswith(f"# Run report\n\n{REPORT.summary()}\n\n## Settings\n\n| | |\n|---|---:|\n")
    rows = (r"| input | notes \| all |", "| partitions | 1,200 |", "| recursive | yes |", "| labels | O, B-Sign |")
    for row in (*rows, "| empty | 3 |", "| 1-128 | 47 |"):
        assert row in found.splitlines()


def test_all_files_are_written_beside_the_rows(tmp_path: Path) -> None:
    REPORT.write(f"{tmp_path}/")
    assert (tmp_path / "_report.json").read_text() == REPORT.to_json()
    assert (tmp_path / "_report.md").read_text() == REPORT.to_markdown()
    assert (tmp_path / "_report.html").read_text() == report_html(REPORT)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("_report.*")} == {0o600}


def test_the_bins_are_named_by_their_edges() -> None:
    assert bin_labels(LENGTH_EDGES)[:3] == ["0", "1-128", "129-256"]
    assert bin_labels(LENGTH_EDGES)[-2:] == ["8189-16376", "16377+"]
    assert bin_labels(WINDOW_EDGES) == ["0", "1", "2", "3-4", "5-8", "9-16", "17-64", "65+"]


@pytest.fixture(scope="module")
def metrics(spark: SparkSession) -> dict[str, int]:
    """Of a note at each edge of the histogram, one just beyond each, and a null one."""
    lengths = [length for edge in LENGTH_EDGES for length in (edge, edge + 1)]
    rows = [(f"n{length}", length, 1 + length // 4094, "ok" if length else "empty") for length in lengths]
    huge = ("huge", HUGE + 1, 17, "ok")
    frame = spark.createDataFrame([*rows, ("none", 0, 0, "null"), huge], COUNTED)
    [row] = frame.agg(*count_columns()).collect()
    return dict(row.asDict())


def test_a_note_at_an_edge_is_in_the_bin_that_ends_there(metrics: dict[str, int]) -> None:
    inner = {f"{low + 1}-{high}": 2 for low, high in pairwise(LENGTH_EDGES)}
    assert NoteCounts.from_metrics(metrics).lengths == {"0": 2, **inner, "16377+": 2}


def test_notes_pieces_windows_and_statuses_are_counted(metrics: dict[str, int]) -> None:
    counts = NoteCounts.from_metrics(metrics)
    lengths = [length for edge in LENGTH_EDGES for length in (edge, edge + 1)]
    assert (counts.notes, counts.pieces) == (len(lengths) + 2, sum(lengths) + HUGE + 1)
    assert counts.windows == sum(1 + length // 4094 for length in lengths) + 17
    assert {status: number for status, number in counts.statuses.items() if number} == {
        "ok": len(lengths), "empty": 1, "null": 1,
    }  # fmt: skip
    assert sum(counts.windows_per_note.values()) == counts.notes
    assert (counts.windows_per_note["17-64"], counts.windows_per_note["0"]) == (1, 1)


def test_the_longest_notes_are_known_by_their_ids(metrics: dict[str, int]) -> None:
    longest = NoteCounts.from_metrics(metrics).longest
    assert longest[0] == LongNote(note_id="huge", pieces=HUGE + 1, windows=17)
    assert [note.pieces for note in longest[1:4]] == [16377, 16376, 8189]
    assert len(longest) == N_LONGEST


def test_an_id_that_may_be_a_name_or_a_text_is_not_shown(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("Ada Smith", 2, 1, "ok"), ("a\x1b", 1, 1, "ok")], COUNTED)
    [row] = frame.agg(*count_columns()).collect()
    longest = NoteCounts.from_metrics(row.asDict()).longest
    assert [(note.note_id, note.pieces) for note in longest] == [("(id not shown)", 2), ("(id not shown)", 1)]


def test_no_notes_are_nothing_and_not_null(spark: SparkSession) -> None:
    frame = spark.createDataFrame([], COUNTED)
    [row] = frame.agg(*count_columns()).collect()
    counts = NoteCounts.from_metrics(row.asDict())
    assert (counts.notes, counts.pieces, counts.windows) == (0, 0, 0)


def test_all_files_that_are_not_read_are_in_the_json_and_a_summary_names_the_first() -> None:
    names = [f"_{number}.txt" for number in range(13)]
    report = replace(REPORT, not_read=NotRead.of(names))
    assert json.loads(report.to_json())["not_read"] == {"files": 13, "names": names}
    assert f"- files not read: 13 ({', '.join(names[:10])}, …)" in report.summary()
    assert "…" not in str(NotRead.of(names[:10]))


def test_a_terminal_does_not_obey_names(tmp_path: Path) -> None:
    odd = "_\x1b[31mRED\x1b[2J\nfake line\udcff.txt"
    report = replace(REPORT, not_read=NotRead.of([odd]), settings={"input": odd, "trust": odd})
    report.write(str(tmp_path))
    for text in (report.summary(), (tmp_path / "_report.md").read_text(encoding="utf-8")):
        assert "\x1b" not in text
        assert "\nfake" not in text
    assert json.loads((tmp_path / "_report.json").read_text(encoding="utf-8"))["not_read"]["names"] == [odd]
