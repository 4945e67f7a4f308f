"""What the project promises of its speed, as ratios within one run."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.attention import ATTENTION, BIGBIRD, LONGFORMER, PATTERNS, row_lengths
from benchmarks.plan import CORPUS, CORPUS_TIMES, WORKERS
from benchmarks.results import Figure, Results
from benchmarks.shape import BASE
from benchmarks.tasks import EMBED, TASKS
from benchmarks.workloads import LONG, NOTES, SENTENCES, WORKLOADS

LIMIT = "the limit of matrix products"
FP32, INT8, STOCK = "sparkclin onnx fp32", "sparkclin onnx int8", "stock"
OV_FP32, OV_BF16, OV_INT8 = (f"sparkclin openvino {precision}" for precision in ("fp32", "bf16", "int8"))
TRANSFORMERS = "transformers fp32"
RAW = {
    FP32: "onnxruntime fp32",
    INT8: "onnxruntime int8",
    **{name: name.removeprefix("sparkclin ") for name in (OV_FP32, OV_BF16, OV_INT8)},
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """`case` of `series` is to reach `at_least` times the rate of `against`, another case or LIMIT: in pieces per
    second, or per operation too."""

    series: str
    case: str
    against: str
    at_least: float
    per_operation: bool = False

    @property
    def what(self) -> str:
        return f"{self.case} ÷ {self.against}" + (", per operation" if self.per_operation else "")

    def found(self, results: Results) -> float | None:
        """None where one of the two was not measured."""
        if self.against != LIMIT:
            figure: Figure = (lambda m: m.gflops) if self.per_operation else (lambda m: m.pieces_per_s)
            return results.ratio(self.series, self.case, self.against, figure)
        rate = results.median(self.series, self.case, lambda m: m.pieces_per_s)
        return None if rate is None else rate / results.limit_pieces_per_s(self.series)


TIMES_STOCK: dict[str, dict[str, float]] = {
    FP32: {SENTENCES: 50, NOTES: 2.5, LONG: 2},
    INT8: {SENTENCES: 120, NOTES: 6, LONG: 5},
    OV_INT8: {SENTENCES: 160, NOTES: 11, LONG: 5},
}

TIMES_LIMIT: dict[str, dict[str, float]] = {
    FP32: dict.fromkeys(WORKLOADS, 0.8),
    OV_FP32: {SENTENCES: 0.85, NOTES: 0.88, LONG: 0.88},
    OV_BF16: {SENTENCES: 1.6, NOTES: 1.7, LONG: 1.7},
    OV_INT8: {SENTENCES: 2.8, NOTES: 2.6, LONG: 2.4},
}
"""The limit is that of fp32, so what computes in fewer bits can pass it."""

TIMES_RAW: dict[str, dict[str, float]] = {
    **{case: dict.fromkeys(WORKLOADS, 0.85) for case in (FP32, INT8)},
    **{case: {SENTENCES: 0.9, NOTES: 0.93, LONG: 0.95} for case in (OV_FP32, OV_BF16, OV_INT8)},
}
"""Of the engine by itself."""

TIMES_TRANSFORMERS = {FP32: 1.5, INT8: 3, OV_BF16: 3, OV_INT8: 5}
"""In every task and on both of its workloads."""

TIMES_AS_LONG = 4.8
"""The most that a row four times as long may take."""

SHORTEST, _, LONGEST = row_lengths(BASE)

TARGETS = (
    *(
        Target(series=workload, case=case, against=STOCK, at_least=times)
        for case, by_workload in TIMES_STOCK.items()
        for workload, times in by_workload.items()
    ),
    *(
        Target(series=workload, case=case, against=LIMIT, at_least=times)
        for case, by_workload in TIMES_LIMIT.items()
        for workload, times in by_workload.items()
    ),
    *(
        Target(series=workload, case=case, against=RAW[case], at_least=times)
        for case, by_workload in TIMES_RAW.items()
        for workload, times in by_workload.items()
    ),
    Target(series=WORKERS, case="2", against="1", at_least=1.85),
    Target(series=CORPUS, case=f"×{CORPUS_TIMES[-1]}", against=f"×{CORPUS_TIMES[0]}", at_least=0.95),
    *(
        Target(series=task.of(workload), case=case, against=TRANSFORMERS, at_least=times)
        for task in TASKS
        if task != EMBED
        for case, times in TIMES_TRANSFORMERS.items()
        for workload in task.workloads
    ),
    Target(
        series=ATTENTION,
        case=BIGBIRD.case(LONGEST),
        against=LONGFORMER.case(LONGEST),
        at_least=0.8,
        per_operation=True,
    ),
    *(
        Target(
            series=ATTENTION,
            case=pattern.case(LONGEST),
            against=pattern.case(SHORTEST),
            at_least=round(LONGEST / SHORTEST / TIMES_AS_LONG, 2),
        )
        for pattern in PATTERNS
    ),
)


def verdict(target: Target, found: float | None) -> str:
    """`met`, by how much it is missed, or that it was not measured."""
    if found is None:
        return "not measured"
    return "met" if found >= target.at_least else f"short by {1 - found / target.at_least:.0%}"
