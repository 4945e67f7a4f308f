"""`_report.html`: a run's report as a page to look at. It has ids of notes, counts and lengths, and no note text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from math import floor, log10
from typing import TYPE_CHECKING

from sparkclin.models.card import Figures, parity_figures, precision_figures, same_ids
from sparkclin.runs.html_page import facts, html_page, shown
from sparkclin.runs.pace import Stretch, stretches
from sparkclin.schema import STATUS_OK

if TYPE_CHECKING:
    from sparkclin.runs.report import RunReport

MOST_STRETCHES, FEWEST_STRETCHES = 24, 5
"""Of the curve of notes per second; with less there is none, only what was seen."""

FEW_COLUMNS = 4
"""Of a table; one with more has the width of the page."""

STEPS = {
    "start": "start Python",
    "model": "find the model",
    "Spark": "start Spark",
    "input": "count the input",
    "loading": "load the model",
    "work": "compute and write",
    "check": "check the output",
}
"""What is said of the steps of a run; one without an entry has its name."""


def report_html(report: RunReport) -> str:
    """The page as text."""
    counts = report.counts
    cards = [
        _card(
            "Status of the notes",
            _bars(_some(counts.statuses), unit="notes", warn=[name for name in counts.statuses if name != STATUS_OK]),
            _of_the_input(report),
        ),
        _card("Seconds per step", _bars({STEPS.get(name, name): s for name, s in report.seconds.items()}, unit="s")),
        _card(
            "Length of the notes",
            _bars(_ranges(counts.lengths), unit="notes", head="pieces"),
            _p("A piece is a subword token."),
        ),
        _card("Windows per note", _bars(_ranges(counts.windows_per_note), unit="notes", head="windows")),
        _card("Notes per second", _pace(report), wide=True),
        _card("Notes with the most work", _longest(report), wide=True),
        _card("Model", _model(report), wide=True),
        _card("Settings", facts(report.settings)),
        _card("Versions", facts(report.versions)),
    ]
    return html_page(
        title=f"{report.task}: {report.model.get('name', '')}",
        style=_STYLE,
        body=f"<header>{_heading(report)}</header>\n<main>\n{''.join(cards)}</main>",
    )


def _heading(report: RunReport) -> str:
    model = report.model
    made = " ".join(str(model[key]) for key in ("engine", "precision") if key in model)
    started, finished = (datetime.fromisoformat(time) for time in (report.started, report.finished))
    when = f"{started:%Y-%m-%d %H:%M:%S} to {finished:%H:%M:%S} UTC"
    tiles = {
        "notes written": f"{report.written:,}",
        "rows": f"{report.rows:,}",
        "pieces": f"{report.counts.pieces:,}",
        "windows": f"{report.counts.windows:,}",
        "seconds in all": f"{report.wall_s:,.1f}",
        "notes per second": f"{report.notes_per_s:,.2f}",
        "pieces per second": f"{report.pieces_per_s:,.0f}",
    }
    drawn = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())
    ran = [f"Computed in {what}: {number:,} tasks." for what, number in report.ran.items()]
    derived = [f"{name}: {_listed(numbers)}." for name, numbers in report.derived.items()]
    return (
        f"<h1>{shown(report.task)} <span class='faint'>with</span> {shown(model.get('name', ''))} "
        f"<small>{shown(made)}</small></h1>\n<p class='faint'>{shown(when)}</p>\n<dl class='tiles'>{drawn}</dl>\n"
        + "".join(map(_p, [*ran, *derived, *([report.advice] if report.advice else [])]))
    )


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in numbers.items())


def _of_the_input(report: RunReport) -> str:
    """What became of all that was in the input."""
    counts = report.counts
    none = [name for name, number in counts.statuses.items() if not number]
    said = [
        f"{report.in_input:,} notes in the input, {counts.notes:,} read, {report.written:,} written.",
        f"No note is {' or '.join(none)}." if none else "",
        f"Files not read: {report.not_read.files:,} ({report.not_read})." if report.not_read.files else "",
        f"{report.added_since[0].upper()}{report.added_since[1:]}." if report.added.files else "",
    ]
    return "".join(map(_p, filter(None, said)))


def _some(values: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in values.items() if number}


def _card(title: str, *parts: str, wide: bool = False) -> str:
    kind = "card wide" if wide else "card"
    return f"<section class='{kind}'><h2>{escape(title)}</h2>\n{''.join(parts)}</section>\n"


def _p(text: str) -> str:
    return f"<p class='faint'>{shown(text)}</p>"


def _ranges(bins: Mapping[str, int]) -> dict[str, int]:
    """Bins as people write them, `4,095–8,188`, up to the last that has notes."""
    names = list(bins)
    last = max((names.index(name) for name in _some(bins)), default=0)
    return {"–".join(map(_edge, name.split("-"))): bins[name] for name in names[: last + 1]}


def _edge(text: str) -> str:
    """`16,377+` of `16377+`"""
    return f"{int(text.rstrip('+')):,}{'+' if text.endswith('+') else ''}"


def _bars(values: Mapping[str, float], *, unit: str, head: str = "", warn: Iterable[str] = ()) -> str:
    """A table whose cells have bars, each as long as its number."""
    largest = max(values.values(), default=0) or 1
    rows = "".join(
        _bar(name, value, share=value / largest, kind=" class='warn'" if name in warn else "")
        for name, value in values.items()
    )
    heads = f"<tr><th scope='col'>{escape(head)}</th><td></td><th scope='col'>{escape(unit)}</th></tr>"
    return f"<table class='bars'><thead>{heads}</thead><tbody>{rows}</tbody></table>"


def _bar(name: str, value: float, *, share: float, kind: str = "") -> str:
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    nothing = "" if value else " class='none'"
    drawn = f"<i{kind} style='--share:{share:.5f}'></i>" if value else ""
    return f"<tr{nothing}><th scope='row'>{shown(name)}</th><td class='bar'>{drawn}</td><td>{number}</td></tr>"


def _longest(report: RunReport) -> str:
    counts = report.counts
    if not counts.longest:
        return _p("No note was read.")
    most = counts.longest[0].pieces
    rows = "".join(
        f"<tr><th scope='row'>{shown(note.note_id)}</th><td class='bar'><i style='--share:{note.pieces / most:.5f}'>"
        f"</i></td><td>{note.pieces:,}</td><td>{note.windows:,}</td><td>{counts.share(note):.1%}</td></tr>"
        for note in counts.longest
    )
    heads = "".join(f"<th scope='col'>{name}</th>" for name in ("pieces", "windows", "of all pieces"))
    return (
        _p(
            "Notes are computed many at a time, so the seconds of one cannot be measured. Work grows with pieces: "
            "these are the longest notes, with their share of all pieces."
        )
        + f"<table class='bars ids'><thead><tr><th scope='col'>note</th><td></td>{heads}</tr></thead>"
        + f"<tbody>{rows}</tbody></table>"
    )


def _pace(report: RunReport) -> str:
    found = stretches(report.pace, least_s=report.elapsed_s / MOST_STRETCHES)
    how = f"Notes count when their task ends; a run looks once a second. The mean is {report.notes_per_s:,.2f}."
    if len(found) < FEWEST_STRETCHES:
        few = f"Tasks were seen to end at {len(found):,} times only: too few for a curve."
        return _p(f"{few} {how}") + _pace_table(found)
    table = f"<details><summary>As a table</summary>{_pace_table(found)}</details>"
    return _p(how) + _curve(found, mean=report.notes_per_s) + table


def _pace_table(found: Sequence[Stretch]) -> str:
    rows = "".join(
        f"<tr><td>{part.from_s:,.1f}–{part.to_s:,.1f}</td><td>{part.notes_per_s:,.2f}</td></tr>" for part in found
    )
    heads = "<tr><th scope='col'>seconds</th><th scope='col'>notes per second</th></tr>"
    return f"<table class='figures'><thead>{heads}</thead><tbody>{rows}</tbody></table>"


def _curve(found: Sequence[Stretch], *, mean: float) -> str:
    """Steps, drawn in a square of 1 × 1 that is stretched to its place; the numbers at the axes are HTML."""
    end = found[-1].to_s
    times, rates = _ticks(end), _ticks(max(part.notes_per_s for part in found))
    top = rates[-1]
    steps = [(x / end, 1 - part.notes_per_s / top) for part in found for x in (part.from_s, part.to_s)]
    line = " ".join(f"{x:.4f},{y:.4f}" for x, y in steps)
    grid = "".join(f"<path class='grid' d='M0 {1 - rate / top:.4f}H1'/>" for rate in rates)
    least, most = min(part.notes_per_s for part in found), max(part.notes_per_s for part in found)
    said = (
        f"Notes per second over {end:,.0f} seconds: {least:,.2f} at the least, {most:,.2f} at the most, "
        f"{mean:,.2f} on average."
    )
    return (
        "<div class='curve'>"
        f"<div class='rates'>{_labels(rates, top)}</div>"
        "<svg viewBox='0 0 1 1' preserveAspectRatio='none' role='img' aria-labelledby='pace-title pace-desc'>"
        f"<title id='pace-title'>Notes per second over time</title><desc id='pace-desc'>{said}</desc>{grid}"
        f"<polygon points='0,1 {line} 1,1'/><polyline points='{line}'/>"
        f"<path class='mean' d='M0 {1 - mean / top:.4f}H1'/></svg>"
        f"<div class='times'>{_labels([at for at in times if at <= end], end)}</div></div>"
        "<p class='faint'>seconds since the work began; the dashed line is the mean</p>"
    )


def _labels(at: Sequence[float], whole: float) -> str:
    return "".join(f"<span style='--at:{value / whole:.4f}'>{value:,g}</span>" for value in at)


def _ticks(largest: float) -> list[float]:
    """Round numbers from 0 to `largest` or just above, five at most, such as 0, 20, 40, 60."""
    rough = largest / 4
    unit: float = 10 ** floor(log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * (1 - 1e-9))
    return [round(step * number, 10) for number in range(6) if step * (number - 1) < largest * (1 - 1e-9)]


def _model(report: RunReport) -> str:
    model, parity = report.model, report.parity
    kind = {name: str(model.get(name, "")) for name in ("engine", "precision")}
    tables = [*parity_figures(parity), *precision_figures(parity, **kind)]
    ids = _p(same_ids(parity)) if "id_rows" in parity else _p("The manifest has no parity figures.")
    drawn = f"<div class='tables'>{''.join(map(_figures, tables))}</div>" if tables else ""
    return facts({name: value for name, value in model.items() if value != ""}) + ids + drawn


def _figures(figures: Figures) -> str:
    head = "".join(f"<th scope='col'>{escape(name.lower().replace('δ', 'Δ'))}</th>" for name in figures.head)
    rows = "".join(f"<tr>{''.join(f'<td>{shown(cell)}</td>' for cell in row)}</tr>" for row in figures.rows)
    remark = _p(figures.remark) if figures.remark else ""
    many = " many" if len(figures.head) > FEW_COLUMNS else ""
    return (
        f"<div class='scroll{many}'><table class='figures'><caption>{escape(figures.title)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{remark}</div>"
    )


_STYLE = """\
body { max-width: 78rem; }
header { margin-bottom: 1.25rem; }
h1 small { font-size: .95rem; white-space: nowrap; letter-spacing: 0; }
h1 .faint { font-weight: normal; }
main { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem; }
.wide { grid-column: 1 / -1; }
@media (max-width: 52rem) { main { grid-template-columns: minmax(0, 1fr); } }
.tiles { display: flex; flex-wrap: wrap; gap: 1px; margin: 1.1rem 0 .6rem;
         background: var(--line); border: 1px solid var(--line); border-radius: .75rem; overflow: hidden; }
.tiles div { flex: 1 1 8.2rem; display: flex; flex-direction: column-reverse; padding: .8rem 1.1rem;
             background: var(--card); }
.tiles dt { color: var(--faint); font-size: .82rem; }
.tiles dd { margin: 0; font-size: 1.3rem; font-weight: 600; letter-spacing: -.01em; }
.card p { font-size: .87rem; }
.bars { width: 100%; margin-top: .4rem; font-size: .9rem; }
.bars th, .bars td { padding: .16rem 0; }
.bars tbody th { text-align: left; padding-right: .9rem; color: var(--text); min-width: 6.5rem; white-space: nowrap; }
.ids tbody th { min-width: 4rem; max-width: 14rem; white-space: normal; overflow-wrap: anywhere; }
.bars thead th { font-size: .82rem; text-align: right; padding-left: .9rem; }
.bars thead th:first-child { text-align: left; padding-left: 0; }
.bars td:nth-child(n+3) { text-align: right; padding-left: .9rem; width: 1%; white-space: nowrap; }
.bars .bar { width: 100%; }
.bars thead th { white-space: nowrap; }
.bar i { display: block; height: .8rem; width: calc(var(--share) * 100%); min-width: 2px; background: var(--accent);
         border-radius: 0 .2rem .2rem 0; }
.bar i.warn { background: var(--warn); }
.none th, .none td { color: var(--faint) !important; opacity: .65; }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1.2rem; margin: .5rem 0 0;
         font-size: .9rem; }
.facts dt { color: var(--faint); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.tables { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 1.2rem 2.5rem;
          margin-top: .8rem; }
.scroll { overflow-x: auto; }
.many { grid-column: 1 / -1; }
.figures { width: 100%; font-size: .87rem; margin-top: .3rem; }
.figures caption { font-weight: 600; padding-bottom: .3rem; }
.figures th, .figures td { text-align: right; padding: .22rem 0 .22rem 1rem; border-bottom: 1px solid var(--line);
                           white-space: nowrap; }
.figures th:first-child, .figures td:first-child { text-align: left; padding-left: 0; }
@media (max-width: 30rem) {
  .ids tr > :nth-child(4) { display: none; }
  .figures { font-size: .78rem; }
  .figures th, .figures td { padding-left: .5rem; }
}
details { margin-top: .5rem; font-size: .9rem; }
details .figures { max-width: 24rem; }
summary { cursor: pointer; color: var(--faint); }
.curve { display: grid; grid-template: 12rem 1.4rem / max-content minmax(0, 1fr); margin: .9rem 1rem 0 0;
         font-size: .82rem; color: var(--faint); font-variant-numeric: tabular-nums; }
.curve svg { width: 100%; height: 100%; overflow: visible; }
.curve polygon { fill: var(--accent); opacity: .18; }
.curve polyline, .curve path { fill: none; stroke: var(--accent); stroke-width: 2; vector-effect: non-scaling-stroke;
                               stroke-linejoin: round; }
.curve .grid { stroke: var(--line); stroke-width: 1; }
.curve .mean { stroke: var(--text); stroke-width: 1; stroke-dasharray: 4 4; }
.rates { position: relative; display: grid; padding-right: .7rem; }
.rates span { grid-area: 1 / 1; text-align: right; position: relative; top: calc((1 - var(--at)) * 100%); height: 0;
              line-height: 0; }
.times { grid-column: 2; position: relative; }
.times span { position: absolute; left: calc(var(--at) * 100%); top: .25rem; transform: translateX(-50%); }
"""
