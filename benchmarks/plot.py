"""The results as pictures: results.png, and scaling.png where scaling was measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.plan import SCALING
from benchmarks.report import windows_per_s
from benchmarks.results import Results
from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COMPARISON_FILE, SCALING_FILE = "results.png", "scaling.png"
OURS, OTHERS = "#1f6f8b", "#b0b0b0"
FLAT = ("corpus", "windows")
"""Series whose rate should not change."""


def write_plots(results: Results, folder: Path) -> None:
    """Series without any measurement that succeeded are left out."""
    found = {m.series for m in results.measurements if m.timing is not None}
    for names, file, panel in ((WORKLOADS, COMPARISON_FILE, comparison_panel), (SCALING, SCALING_FILE, scaling_panel)):
        if drawn := [name for name in names if name in found]:
            draw(results, folder / file, names=drawn, panel=panel)


def draw(results: Results, file: Path, *, names: Sequence[str], panel: Callable[[Axes, Results, str], None]) -> None:
    """One panel per series, side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(names), 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        panel(axes, results, name)
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
        axes.annotate(f" {median:,.0f}", (max(rates[case]), position), va="center", fontsize=8)
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
