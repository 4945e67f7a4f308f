"""ner_notes.py as a user runs it, with the shipped model: a page where one is asked for, and no note text where not."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from sparkclin.commands.ner import main, options_of, page_of, parser
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from sparkclin.runs import run
from sparkclin.runs.page import PageOptions
from sparkclin.runs.sink import write_rows
from sparkclin.tasks.entities import NerOptions
from testkit.demo import MODEL, NER_MODEL

NOTES = {
    "a": "The patient was given lidocaine for <b>pain</b> & hypertension. 🩺 Zebulon Quackenbush has diabetes.",
    "b": "Hypertension was treated with lisinopril; hypertension persisted. Lisinopril was stopped.",
    "c": "",
    "d": None,
}


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    notes = tmp_path / "notes.jsonl"
    lines = (json.dumps({"note_id": key, "text": text}) + "\n" for key, text in NOTES.items())
    notes.write_text("".join(lines), encoding="utf-8")
    return ["--input", str(notes), "--input-format", "jsonl", "--output", str(tmp_path / "entities")]


def test_the_page_and_the_most_frequent_are_of_the_rows_that_were_written(
    spark: SparkSession, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.html"
    assert main([*arguments, "--page", str(file), "--page-notes", "1"]) == 0
    rows = spark.read.parquet(str(tmp_path / "entities")).filter(r"note_id = 'a' and text rlike '\\S'").collect()
    begins = {row.begin for row in rows}  # two pieces of one character may be two entities
    page, printed = file.read_text(encoding="utf-8"), capsys.readouterr().out

    assert begins
    assert page.count("<article>") == 1
    assert page.count("<small>") == 1 + len(begins)
    assert "&lt;b&gt;" in page
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    description = ModelRepository(DEMO_MODELS).find(NER_MODEL).manifest.description
    assert printed.startswith(f"\n{NER_MODEL}: {description}\n\nmost frequent: ")
    assert re.search(r"^hypertension +\d+ +\d+$", printed, flags=re.MULTILINE)
    assert printed.endswith(f"\n\n1 of 4 notes are in {file}, which contains their text.\n")
    assert "hypertension" not in (tmp_path / "entities" / "_report.md").read_text(encoding="utf-8").lower()


@pytest.mark.usefixtures("spark")
def test_a_note_that_was_added_during_the_run_is_not_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()

    def add(note_id: str) -> None:
        (folder / f"{note_id}.txt").write_text("Hypertension.")

    def add_and_write(*given: Any) -> None:
        add("added")
        write_rows(*given)

    monkeypatch.setattr(run, "write_rows", add_and_write)
    add("old")
    arguments = ["--input", str(folder), "--input-format", "text", "--output", str(tmp_path / "entities")]
    assert main([*arguments, "--page", str(tmp_path / "page.html")]) == 0
    assert "\n1 of 1 notes are in " in capsys.readouterr().out


@pytest.mark.usefixtures("spark")
def test_without_a_page_no_note_text_is_printed(
    arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    said = capfd.readouterr()
    words = {word for text in NOTES.values() if text for word in re.findall(r"\w{8,}", text)}
    assert words
    assert [word for word in words if word in said.out + said.err] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["entities", "notes.jsonl"]


@pytest.mark.usefixtures("spark")
def test_a_page_that_is_there_is_said_before_the_work_begins(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.html").touch()
    assert main([*arguments, "--page", str(tmp_path / "page.html")]) == 1
    assert "page.html exists already" in capsys.readouterr().err
    assert not (tmp_path / "entities").exists()


@pytest.mark.usefixtures("spark")
def test_the_model_of_another_task_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--model", MODEL]) == 1
    assert "a model for the task 'embed'; 'entities' takes one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "read"),
    [
        ("--aggregation first", lambda o: o.aggregation == "first"),
        ("--max-pieces 30", lambda o: o.max_pieces == 30),
        ("--stride 7", lambda o: o.stride == 7),
    ],
)
def test_every_option_is_asked_of_find_entities(option: str, read: Callable[[NerOptions], bool]) -> None:
    least = ["--input", "in", "--output", "out"]
    assert not read(options_of(parser().parse_args(least)))
    assert read(options_of(parser().parse_args([*least, *option.split()])))


def test_a_page_is_made_only_where_it_is_asked_for() -> None:
    least = ["--input", "in", "--output", "out"]
    assert page_of(parser().parse_args([*least, "--page-notes", "3"])) is None
    asked = parser().parse_args([*least, "--page", "p.html", "--page-notes", "3"])
    assert page_of(asked) == PageOptions(path="p.html", notes=3)
