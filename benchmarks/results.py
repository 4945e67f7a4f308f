"""What a run found: everything in one value, written to results.json."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.machine import Machine, MatrixRate
from benchmarks.shape import Shape
from benchmarks.trials import Measurement
from sparkclin.spark.storage import write_text

RESULTS_FILE = "results.json"

Figure = Callable[[Measurement], float]


@dataclass(frozen=True, kw_only=True)
class WorkloadFacts:
    """`rows` is how many there are to choose from, `flops_per_piece` what the reference model needs for them."""

    rows: int
    mean_pieces: float
    longest: int
    flops_per_piece: float


@dataclass(frozen=True, kw_only=True)
class Results:
    """`missing` says for each contender that was not measured why; `workloads` is by series."""

    started: str
    finished: str
    machine: Machine
    versions: Mapping[str, str]
    settings: Mapping[str, str]
    model: Shape
    notes_source: str
    tokenizer_source: str
    workloads: Mapping[str, WorkloadFacts]
    matrix_rates: Sequence[MatrixRate]
    measurements: Sequence[Measurement]
    missing: Mapping[str, str]

    @property
    def gflops(self) -> float:
        """The machine's rate of fp32 matrix products: the median over the run."""
        return statistics.median(rate.best for rate in self.matrix_rates)

    def limit_pieces_per_s(self, series: str) -> float:
        """If a row cost nothing but the reference model's matrix products."""
        return self.gflops * 1e9 / self.workloads[series].flops_per_piece

    def series(self) -> list[str]:
        return list(dict.fromkeys(m.series for m in self.measurements))

    def cases(self, series: str) -> list[str]:
        return list(dict.fromkeys(m.case for m in self.measurements if m.series == series))

    def of(self, series: str, case: str) -> list[Measurement]:
        """The measurements of a case that succeeded."""
        return [m for m in self.measurements if (m.series, m.case) == (series, case) and m.timing is not None]

    def failures(self) -> list[Measurement]:
        return [m for m in self.measurements if m.timing is None]

    def median(self, series: str, case: str, figure: Figure) -> float | None:
        """None for a case that was not measured."""
        found = [figure(m) for m in self.of(series, case)]
        return statistics.median(found) if found else None

    def ratio(self, series: str, case: str, against: str, figure: Figure = lambda m: m.pieces_per_s) -> float | None:
        """The median over rounds of the ratio within a round, whose measurements are neighbours in time.

        None where no round has both.
        """
        others = {m.round: figure(m) for m in self.of(series, against)}
        ratios = [figure(m) / others[m.round] for m in self.of(series, case) if m.round in others]
        return statistics.median(ratios) if ratios else None

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / RESULTS_FILE, json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")
