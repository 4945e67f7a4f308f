"""_report.html, as a browser shows it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sparkclin.models.card import worst_figures
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from sparkclin.runs.pace import Sample
from sparkclin.runs.report import LongNote, NoteCounts, NotRead, RunReport
from sparkclin.runs.report_page import report_html
from testkit.browser import Browser, brightness, needs_chromium
from testkit.demo import MODEL

LENGTHS = {"0": 3, "1-128": 10, "129-256": 40, "4095-8188": 20, "16377+": 0}
PACE = tuple(Sample(10.0 * step, done) for step, done in enumerate((0, 5, 25, 35, 55, 65, 73)))
LONG_ID = "a-note-whose-id-is-as-long-as-hashes-are-" + "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def report() -> RunReport:
    manifest = ModelRepository(DEMO_MODELS).find(MODEL, precision="int8").manifest
    return RunReport(
        task="embed",
        started="2026-11-24T10:00:00+00:00",
        finished="2026-11-24T10:01:10+00:00",
        elapsed_s=60.0,
        wall_s=70.0,
        seconds={"model": 0.5, "Spark": 2.0, "work": 60.0, "check": 8.0},
        in_input=73,
        counts=NoteCounts(
            notes=73,
            pieces=50_000,
            windows=90,
            lengths=LENGTHS,
            windows_per_note={"0": 3, "1": 60, "2": 10, "3-4": 0},
            statuses={"ok": 70, "empty": 3, "null": 0},
            longest=(
                LongNote(note_id=LONG_ID, pieces=8_000, windows=3),
                LongNote(note_id="<b>&\x1b</b>", pieces=2_000, windows=1),
            ),
        ),
        written=73,
        rows=73,
        settings={"input": "/data/" + "long/" * 30, "recursive": True},
        model={"name": MODEL, "engine": manifest.engine, "precision": "int8", "manifest_sha256": "0" * 64},
        versions={"spark": "3.5"},
        not_read=NotRead.of(["_a.jsonl"]),
        parity=worst_figures(manifest.parity),
        pace=PACE,
    )


def test_it_needs_no_network_and_no_script(report: RunReport) -> None:
    page = report_html(report)
    assert "default-src 'none'; style-src 'unsafe-inline'\"" in page
    assert not re.search(r"<script|<link|<img|\bsrc=|\bhref=|url\(|@import|https?:", page)


def test_all_that_comes_from_outside_is_escaped(report: RunReport) -> None:
    page = report_html(report)
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;\\x1b&lt;/b&gt;" in page


class Open(HTMLParser):
    """The elements that are not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag not in ("meta", "!doctype"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_element_is_closed(report: RunReport) -> None:
    assert Open(report_html(report)).open == []


def test_it_says_what_the_model_costs(report: RunReport) -> None:
    page = report_html(report)
    assert "<caption>Against the checkpoint</caption>" in page
    assert f"<caption>{report.model['engine']} int8 against fp32, on 60 notes</caption>" in page
    assert "in fp32, 0.650 in int8" in page


def test_a_model_without_figures_says_so(report: RunReport) -> None:
    assert "The manifest has no parity figures." in report_html(replace(report, parity={}))


def test_a_short_run_has_no_curve_and_says_why(report: RunReport) -> None:
    page = report_html(replace(report, pace=PACE[:3]))
    assert "Tasks were seen to end at 2 times only: too few for a curve." in page
    assert "<svg" not in page
    assert "<td>10.0–20.0</td><td>2.00</td>" in page


def test_the_longest_notes_are_shares_of_the_work_and_no_seconds(report: RunReport) -> None:
    page = report_html(report)
    assert "the seconds of one cannot be measured" in page
    assert "<td>8,000</td><td>3</td><td>16.0%</td>" in page


def test_a_run_without_notes_has_a_page(report: RunReport) -> None:
    none = NoteCounts(notes=0, pieces=0, windows=0, lengths={"0": 0, "1-128": 0}, statuses={"ok": 0})
    page = report_html(replace(report, counts=none, in_input=0, written=0, rows=0, pace=(Sample(0.0, 0),)))
    assert "No note was read." in page


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Browser]:
    folder = tmp_path_factory.mktemp("browser")
    return {
        "wide": Browser(folder=folder),
        "narrow": Browser(folder=folder, width=400),
        "dark": Browser(folder=folder, dark=True),
    }


OVERFLOW = "[document.documentElement.scrollWidth, innerWidth]"


@needs_chromium
@pytest.mark.parametrize("window", ["wide", "narrow"])
def test_nothing_is_wider_than_the_window(report: RunReport, browsers: dict[str, Browser], window: str) -> None:
    wide, of_window = browsers[window].ask(report_html(report), OVERFLOW)
    assert of_window == browsers[window].width
    assert wide <= of_window


BARS = """[...document.querySelectorAll('.bars')].map(table => [...table.querySelectorAll('tbody tr')].map(row => [
  row.querySelector('th').textContent, parseFloat(row.cells[2].textContent.replaceAll(',', '')),
  (row.querySelector('i') ?? {getBoundingClientRect: () => ({width: 0})}).getBoundingClientRect().width]))"""


@needs_chromium
@pytest.mark.parametrize("window", ["wide", "narrow"])
def test_bars_are_as_long_as_their_numbers(report: RunReport, browsers: dict[str, Browser], window: str) -> None:
    tables = browsers[window].ask(report_html(report), BARS)
    by_first = {rows[0][0]: rows for rows in tables}
    assert {name: number for name, number, _ in by_first["0"]} in (
        {"0": 3, "1–128": 10, "129–256": 40, "4,095–8,188": 20},
        {"0": 3, "1": 60, "2": 10},
    )
    assert {first: len(rows) for first, rows in by_first.items()} == {
        "ok": 2, "find the model": 4, "0": 3, LONG_ID: 2,
    }  # fmt: skip
    for rows in tables:
        longest = max(width for _, _, width in rows)
        largest = max(number for _, number, _ in rows)
        assert longest > 60
        for _, number, width in rows:
            assert width == pytest.approx(max(2, longest * number / largest), abs=1)


CURVE = """(() => { const box = document.querySelector('.curve svg').getBoundingClientRect();
  return {points: document.querySelector('.curve polyline').getAttribute('points').split(' ').map(
            point => point.split(',').map(Number)),
          rates: [...document.querySelectorAll('.rates span')].map(
            label => [Number(label.textContent), label.getBoundingClientRect().top - box.top]),
          height: box.height}; })()"""


@needs_chromium
def test_the_curve_stands_where_its_axis_says(report: RunReport, browsers: dict[str, Browser]) -> None:
    found = browsers["wide"].ask(report_html(report), CURVE)
    top = max(rate for rate, _ in found["rates"])
    for rate, at in found["rates"]:
        assert at == pytest.approx(found["height"] * (1 - rate / top), abs=1)
    drawn = [((1 - y) * top, x * 60) for x, y in found["points"]]
    rates = [0.5, 2.0, 1.0, 2.0, 1.0, 0.8]
    assert [rate for rate, _ in drawn] == pytest.approx([rate for rate in rates for _ in range(2)], abs=0.01)
    assert [at for _, at in drawn][:4] == pytest.approx([0, 10, 10, 20], abs=0.01)


@needs_chromium
def test_light_and_dark_differ(report: RunReport, browsers: dict[str, Browser]) -> None:
    page = report_html(report)
    light, dark = (brightness(browsers[name].screenshot(page, name)) for name in ("wide", "dark"))
    assert light > 215
    assert dark < 60


CONTRASTS = """[...document.querySelectorAll('p, th, td, dt, dd, h1, h2, small, span, summary')].filter(
  element => element.textContent.trim() && !element.closest('.none')).map(element => {
    const numbers = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const light = color => numbers(color).map(value => value / 255).map(
      value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4).reduce(
      (sum, value, i) => sum + value * [.2126, .7152, .0722][i], 0);
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
    const both = [light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)].sort();
    return (Math.max(...both) + .05) / (Math.min(...both) + .05); }).reduce((a, b) => Math.min(a, b))"""


@needs_chromium
@pytest.mark.parametrize("window", ["wide", "dark"])
def test_text_can_be_read(report: RunReport, browsers: dict[str, Browser], window: str) -> None:
    """WCAG 2.2, AA: a contrast of 4.5."""
    assert browsers[window].ask(report_html(report), CONTRASTS) >= 4.5


def test_the_figures_of_the_page_are_in_the_json(report: RunReport) -> None:
    found: dict[str, Any] = json.loads(report.to_json())
    assert found["pace"][1] == {"elapsed_s": 10.0, "notes": 5}
    assert found["counts"]["longest"][0] == {"note_id": LONG_ID, "pieces": 8_000, "windows": 3}
    assert {row["path"] for row in found["parity"]["vectors"]} >= {"graph, codes"}
    assert len(report.to_json()) < 12_000


def test_the_page_is_small(report: RunReport, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(report_html(report), encoding="utf-8")
    assert file.stat().st_size < 40_000
