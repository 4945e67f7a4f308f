"""What the reference says of columns, statuses and the report is what the code has."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from docsite import columns
from sparkclin import schema
from sparkclin.runs.report import RunReport
from sparkclin.stages.vector_rows import OUTPUT
from sparkclin.tasks import answers, entities, labels, note_nlp

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("made", "output"),
    [
        (columns.entity_columns(), entities.OUTPUT),
        (columns.label_columns(), labels.OUTPUT),
        (columns.answer_columns(), answers.OUTPUT),
        *((columns.columns_table(output), output) for output in OUTPUT.values()),
    ],
)
def test_a_table_has_the_columns_in_their_order(made: str, output: tuple[object, ...]) -> None:
    assert first_cells(made) == ["note_id", *(field.name for field in output)]  # type: ignore[attr-defined]


def test_vectors_have_a_table_per_level() -> None:
    assert re.findall(r"^### Level (\w+)$", columns.vector_columns(), flags=re.MULTILINE) == list(schema.LEVELS)


def test_every_status_is_explained_and_no_other() -> None:
    page = (DOCS / "reference" / "statuses.md").read_text(encoding="utf-8")
    statuses = {value for name, value in vars(schema).items() if name.startswith("STATUS_")}
    assert set(first_cells(page)) == statuses


def test_every_field_of_the_report_is_explained_and_no_other() -> None:
    page = (DOCS / "reference" / "report.md").read_text(encoding="utf-8")
    figures = page.partition("## The figures")[2]
    named = {name for cell in re.findall(r"^\| (`.+?`) \|", figures, flags=re.MULTILINE) for name in cell.split(", ")}
    assert {name.strip("`") for name in named} == {field.name for field in fields(RunReport)} | {"throughput"}


def test_the_columns_of_note_nlp_are_explained() -> None:
    page = (DOCS / "how-to" / "omop.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", page, flags=re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert set(named) == {field.name for field in note_nlp.NOTE_NLP}
    assert json.dumps(sorted(named)) == json.dumps(sorted(set(named)))  # each once


def first_cells(page: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)
