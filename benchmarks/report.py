"""The results as text: Markdown tables, which are readable on a terminal too."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.attention import ATTENTION, LONGFORMER
from benchmarks.plan import SCALING
from benchmarks.results import Results
from benchmarks.targets import STOCK, TARGETS, verdict
from benchmarks.trials import Measurement

ABSENT = "–"


def to_text(results: Results) -> str:
    """All of it: the machine, the contenders, the targets, scaling, attention, and what was not measured."""
    sections = [
        summary(results),
        comparison(results) if measured(results, list(results.workloads)) else "",
        target_table(results) if measured(results, [target.series for target in TARGETS]) else "",
        scaling(results) if measured(results, SCALING) else "",
        attention(results) if measured(results, [ATTENTION]) else "",
        not_measured(results),
    ]
    return "\n\n".join(section for section in sections if section)


def measured(results: Results, names: Sequence[str]) -> list[str]:
    """Those of the series that were tried."""
    return [series for series in results.series() if series in names]


def series_and_cases(results: Results, names: Sequence[str]) -> list[tuple[str, str]]:
    """Series and case of all rows of a table."""
    return [(series, case) for series in measured(results, names) for case in results.cases(series)]


def summary(results: Results) -> str:
    machine, model = results.machine, results.model
    rates = [rate.best for rate in results.matrix_rates]
    lines = [
        f"machine: {machine.cpu}, {machine.cores} cores, {machine.memory_gb:.0f} GB, {', '.join(machine.features)}",
        f"load before the run: {machine.load} (another job's work makes every figure worse)",
        f"fp32 matrix products: {results.gflops:.0f} GFLOP/s, from {min(rates):.0f} to {max(rates):.0f} during the run",
        f"model: {model.layers} × {model.width}, {model.family}, random weights",
        f"texts: {results.notes_source}; tokenizer: {results.tokenizer_source}",
        *(
            f"{name}: {facts.mean_pieces:.1f} pieces on average, {facts.longest:,} at most; "
            f"limit {results.limit_pieces_per_s(name):,.0f} pieces/s"
            for name, facts in results.workloads.items()
        ),
    ]
    return "\n".join(f"- {line}" for line in lines)


def comparison(results: Results) -> str:
    """A row per workload, in each task, and contender: medians of the rounds."""
    header = (
        "workload",
        "contender",
        "pieces/s",
        "min–max",
        "per core",
        "notes/s",
        "× stock",
        "of the limit",
        "peak GB",
        "notes",
    )
    rows = [comparison_row(results, *row) for row in series_and_cases(results, list(results.workloads))]
    return table_on_machine(results, header, rows)


def table_on_machine(results: Results, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table below the machine that its figures are of."""
    return f"On {results.machine.cores} cores of {results.machine.cpu}:\n\n{table(header, rows)}"


def comparison_row(results: Results, series: str, case: str) -> tuple[str, ...]:
    done = results.of(series, case)
    if not done:
        return series, case, *(ABSENT,) * 8
    rates = [m.pieces_per_s for m in done]
    rate = results.median(series, case, lambda m: m.pieces_per_s)
    return (
        series,
        case,
        formatted(rate, ",.0f"),
        f"{min(rates):,.0f}–{max(rates):,.0f}",
        formatted(None if rate is None else rate / results.machine.cores, ",.0f"),
        formatted(results.median(series, case, lambda m: m.rows_per_s), ",.2f"),
        formatted(results.ratio(series, case, STOCK), ",.1f"),
        formatted(None if rate is None else rate / results.limit_pieces_per_s(series), ".0%"),
        f"{max(m.peak_memory_bytes for m in done) / 2**30:.1f}",
        f"{done[0].n_rows:,}",
    )


def target_table(results: Results) -> str:
    rows = []
    for target in (target for target in TARGETS if target.series in results.series()):
        found = target.found(results)
        done = results.of(target.series, target.case)
        rows.append(
            (
                target.series,
                target.what,
                f"≥ {target.at_least:g}",
                formatted(found, ",.2f"),
                verdict(target, found),
                f"{done[0].n_rows:,}" if done else ABSENT,
            )
        )
    return table_on_machine(results, ("target", "what", "asked", "found", "verdict", "notes"), rows)


def scaling(results: Results) -> str:
    """A row per case; `× first` is its rate by that of its series' first case, 1.00 where a window's cost is flat.

    `GB per executor` is one executor of a cluster with its Python workers.
    """
    header = (
        "scaling",
        "case",
        "contender",
        "notes",
        "windows",
        "seconds",
        "windows/s",
        "× first",
        "peak GB",
        "GB per executor",
    )
    rows = [scaling_row(results, *row) for row in series_and_cases(results, SCALING)]
    return table_on_machine(results, header, rows)


def scaling_row(results: Results, series: str, case: str) -> tuple[str, ...]:
    done = results.of(series, case)
    if not done:
        return series, case, *(ABSENT,) * 8
    executor_bytes = max(m.executor_memory_bytes for m in done)
    return (
        series,
        case,
        done[0].contender,
        f"{done[0].n_rows:,}",
        f"{done[0].n_windows:,}",
        formatted(results.median(series, case, lambda m: m.elapsed_s), ",.1f"),
        formatted(results.median(series, case, windows_per_s), ",.3f"),
        formatted(results.ratio(series, case, results.cases(series)[0], windows_per_s), ".2f"),
        f"{max(m.peak_memory_bytes for m in done) / 2**30:.1f}",
        formatted(executor_bytes / 2**30 if executor_bytes else None, ".1f"),
    )


def windows_per_s(measurement: Measurement) -> float:
    return measurement.windows_per_s


def attention(results: Results) -> str:
    """A row per attention and length of rows. `GFLOP/s` counts what the attention's pattern needs; `× longformer` is
    that divided by plain Longformer's at the same length."""
    header = ("attention", "pieces", "pieces/s", "min–max", "seconds per row", "GFLOP/s", "× longformer", "rows")
    rows = [attention_row(results, case) for _, case in series_and_cases(results, [ATTENTION])]
    return table_on_machine(results, header, rows)


def attention_row(results: Results, case: str) -> tuple[str, ...]:
    name, _, length = case.rpartition(" ")
    done = results.of(ATTENTION, case)
    if not done:
        return name, length, *(ABSENT,) * 6
    rates = [m.pieces_per_s for m in done]
    plain = f"{LONGFORMER.name} {length}"
    return (
        name,
        length,
        formatted(results.median(ATTENTION, case, lambda m: m.pieces_per_s), ",.0f"),
        f"{min(rates):,.0f}–{max(rates):,.0f}",
        formatted(results.median(ATTENTION, case, lambda m: 1 / m.rows_per_s), ",.3f"),
        formatted(results.median(ATTENTION, case, lambda m: m.gflops), ",.0f"),
        formatted(results.ratio(ATTENTION, case, plain, lambda m: m.gflops), ",.2f"),
        f"{done[0].n_rows:,}",
    )


def not_measured(results: Results) -> str:
    missing = [f"- {name} was not measured: {reason}" for name, reason in results.missing.items()]
    failed = [f"- {m.series}, {m.case}, round {m.round}: {m.error}" for m in results.failures()]
    return "\n".join([*missing, *failed])


def formatted(value: float | None, form: str) -> str:
    return ABSENT if value is None else format(value, form)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, every column padded to one width; a column of numbers is right-aligned."""
    columns = [column(cells) for cells in zip(header, *rows, strict=True)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True))


def column(cells: Sequence[str]) -> list[str]:
    """The header, the rule below it, and the other cells, all as wide as the widest."""
    width = max(map(len, cells))
    if all(cell == ABSENT or cell[0].isdigit() for cell in cells[1:]):
        padded, rule = [cell.rjust(width) for cell in cells], "-" * (width - 1) + ":"
    else:
        padded, rule = [cell.ljust(width) for cell in cells], "-" * width
    return [padded[0], rule, *padded[1:]]
