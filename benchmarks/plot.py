"""The results as pictures: of each part that was measured one."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.attention import ATTENTION, PATTERNS
from benchmarks.plan import SCALING
from benchmarks.report import windows_per_s
from benchmarks.results import Results
from benchmarks.tasks import EMBED, TASKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COMPARISON_FILE, TASKS_FILE, SCALING_FILE, ATTENTION_FILE = (
    "results.png", "tasks.png", "scaling.png", "attention.png"
)  # fmt: skip
OURS, OTHERS = "#1f6f8b", "#b0b0b0"
BESIDE_BAR: dict[str, Any] = {
    "xytext": (4, 0),
    "textcoords": "offset points",
    "va": "center",
    "fontsize": 8,
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1},
}
"""Where and how a number is written: on white, so that the dashed line does not run through it."""

MOST_BESIDE = 4
FLAT = ("corpus", "windows")
"""Series whose rate should not change."""

Panel = Callable[["Axes", Results, str], None]


def write_plots(results: Results, folder: Path) -> None:
    """Series without any measurement that succeeded are left out."""
    found = {m.series for m in results.measurements if m.timing is not None}
    pictures: Sequence[tuple[str, Sequence[str], Panel]] = (
        (COMPARISON_FILE, EMBED.workloads, comparison_panel),
        (TASKS_FILE, [task.of(name) for task in TASKS if task != EMBED for name in task.workloads], comparison_panel),
        (SCALING_FILE, SCALING, scaling_panel),
        (ATTENTION_FILE, [ATTENTION], attention_panel),
    )
    for file, names, panel in pictures:
        if drawn := [name for name in names if name in found]:
            draw(results, folder / file, names=drawn, panel=panel)


def draw(results: Results, file: Path, *, names: Sequence[str], panel: Panel) -> None:
    """One panel per series, up to MOST_BESIDE of them side by side, in lines of about as many."""
    from matplotlib.figure import Figure

    below = -(-len(names) // MOST_BESIDE)
    beside = -(-len(names) // below)
    figure = Figure(figsize=(4.6 * beside, 3.6 * below), layout="constrained")
    panels = figure.subplots(below, beside, squeeze=False).flat
    for axes, name in zip(panels, names, strict=False):
        panel(axes, results, name)
    for axes in list(panels)[len(names) :]:
        axes.set_axis_off()
    figure.savefig(file, dpi=150)


def comparison_panel(axes: Axes, results: Results, series: str) -> None:
    """A bar per contender, with a line from its slowest to its fastest round; the limit of matrix products dashed."""
    cases = [case for case in results.cases(series) if results.of(series, case)]
    rates = {case: [m.pieces_per_s for m in results.of(series, case)] for case in cases}
    medians = [statistics.median(rates[case]) for case in cases]
    colours = [OURS if case.startswith("sparkclin") else OTHERS for case in cases]
    axes.barh(cases, medians, color=colours)
    axes.hlines(cases, [min(rates[case]) for case in cases], [max(rates[case]) for case in cases], color="black")
    for position, (case, median) in enumerate(zip(cases, medians, strict=True)):
        axes.annotate(f"{median:,.0f}", (max(rates[case]), position), **BESIDE_BAR)
    axes.axvline(results.limit_pieces_per_s(series), color="black", linestyle="--", linewidth=0.8)
    axes.margins(x=0.2)
    axes.invert_yaxis()
    axes.set_title(f"{series}: {results.workloads[series].mean_pieces:,.0f} pieces", fontsize=10)
    axes.set_xlabel("pieces/s; dashed: fp32 matrix products alone", fontsize=8)
    axes.tick_params(labelsize=8)


def scaling_panel(axes: Axes, results: Results, series: str) -> None:
    """The rate of each case by that of the first; dashed what would be ideal."""
    cases = [case for case in results.cases(series) if results.of(series, case)]
    found = [results.ratio(series, case, cases[0], windows_per_s) or 0 for case in cases]
    ideal = [1.0 if series in FLAT else float(case) for case in cases]
    axes.plot(cases, ideal, color="black", linestyle="--", linewidth=0.8)
    axes.plot(cases, found, color=OURS, marker="o")
    axes.set_ylim(0, 1.15 * max(*ideal, *found))
    axes.set_title(series, fontsize=10)
    axes.set_ylabel("× rate of the first", fontsize=8)
    axes.tick_params(labelsize=8)


def attention_panel(axes: Axes, results: Results, series: str) -> None:
    """A line per attention: the rate of matrix products by the length of rows."""
    for pattern in PATTERNS:
        cases = [case for case in results.cases(series) if case.rpartition(" ")[0] == pattern.name]
        done = {case: results.of(series, case) for case in cases if results.of(series, case)}
        lengths = [measured[0].n_pieces / measured[0].n_rows for measured in done.values()]
        rates = [statistics.median(m.gflops for m in measured) for measured in done.values()]
        axes.plot(lengths, rates, marker="o", label=pattern.name)
    axes.legend(fontsize=7)
    axes.set_ylim(bottom=0)
    axes.set_title("attention", fontsize=10)
    axes.set_xlabel("pieces per row", fontsize=8)
    axes.set_ylabel("GFLOP/s that the pattern needs", fontsize=8)
    axes.tick_params(labelsize=8)
