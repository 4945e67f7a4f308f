"""Figures that stand in two documents are the same, and what is worked out from them is worked out right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIECES_PER_NOTE = 737
NOTES = 1_000_000
DAY_S, HOUR_S = 86_400, 3_600
CORES, MORE_CORES = 2, 64


def rows(page: str, *, after: str = "") -> list[list[str]]:
    """The cells of the tables behind a heading."""
    text = (ROOT / page).read_text(encoding="utf-8").partition(after)[2] if after else (ROOT / page).read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def number(cell: str) -> float:
    return float(re.sub(r"[^\d.]", "", cell))


def measured() -> dict[tuple[str, str], float]:
    """Pieces per second by workload and contender, of the first table in the document on speed."""
    table = rows("docs/explanation/speed.md", after="## Vectors")
    return {(row[0], row[1]): number(row[2]) for row in reversed(table) if row[0] in ("sentences", "notes", "long")}


def contender(name: str) -> str:
    return (
        name.replace(",", "")
        .replace("ONNX", "onnx")
        .replace("OpenVINO", "openvino")
        .replace("stock Spark NLP export", "stock")
    )


@pytest.mark.parametrize("row", [row for row in rows("README.md", after="## Speed") if row[0].startswith("sparkclin")])
def test_the_readmes_rates_are_those_of_the_document_on_speed(row: list[str]) -> None:
    found = measured()
    for workload, cell in zip(("sentences", "notes", "long"), row[1:4], strict=True):
        assert number(cell) == found[workload, contender(row[0])]


@pytest.mark.parametrize("row", [row for row in rows("docs/how-to/size_and_time.md") if row[0].startswith("sparkclin")])
def test_a_million_notes_take_what_the_rates_say(row: list[str]) -> None:
    name, rate, on_two, on_many = row
    assert number(rate) == measured()["notes", contender(name)]
    seconds = NOTES * PIECES_PER_NOTE / number(rate)
    said_s, said_days = re.findall(r"([\d,]+) s = ([\d.]+) days", on_two)[0]
    assert number(said_s) == round(seconds, -3)
    assert number(said_days) == round(seconds / DAY_S, 1)
    assert number(on_many) == round(seconds * CORES / MORE_CORES / HOUR_S, 1)


def test_the_readme_leads_to_every_guide() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    guides = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "how-to").glob("*.md")]
    assert [guide for guide in guides if f"({guide})" not in readme] == []
