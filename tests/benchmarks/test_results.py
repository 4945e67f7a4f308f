"""What is made of the measurements: medians, ratios, limits, targets, tables, pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.job import Timing
from benchmarks.machine import Machine, MatrixRate
from benchmarks.plot import COMPARISON_FILE, SCALING_FILE, write_plots
from benchmarks.report import column, to_text
from benchmarks.results import RESULTS_FILE, Results, WorkloadFacts
from benchmarks.shape import BASE
from benchmarks.targets import FP32, LIMIT, TARGETS, Target, verdict
from benchmarks.trials import Measurement

MACHINE = Machine(cpu="a processor", cores=2, features=("avx2",), memory_gb=16, system="", python="", java="", load=0.1)


def measurement(series: str, case: str, number: int, *, elapsed_s: float, error: str = "") -> Measurement:
    timing = Timing(rows=10, load_s=5, warm_up_s=1, elapsed_s=elapsed_s, settings={})
    return Measurement(
        series=series,
        case=case,
        contender=case,
        round=number,
        n_rows=10,
        n_pieces=1000,
        n_windows=10,
        peak_memory_bytes=3 * 2**30,
        executor_memory_bytes=0,
        timing=None if error else timing,
        error=error,
    )


def results_of(*measurements: Measurement) -> Results:
    facts = WorkloadFacts(rows=100, mean_pieces=100, longest=200, flops_per_piece=1e8)
    return Results(
        started="",
        finished="",
        machine=MACHINE,
        versions={},
        settings={},
        model=BASE,
        notes_source="notes of somebody",
        tokenizer_source="RoBERTa's",
        workloads={"notes": facts},
        matrix_rates=[
            MatrixRate(when="start", gflops={"numpy": 90, "torch": 100}),
            MatrixRate(when="end", gflops={"numpy": 140, "torch": 120}),
        ],
        measurements=measurements,
        missing={},
    )


@pytest.fixture
def results() -> Results:
    """Three rounds of two contenders, on a machine that becomes four times as slow; and two workers."""
    return results_of(
        measurement("notes", "stock", 1, elapsed_s=10),
        measurement("notes", FP32, 1, elapsed_s=2),
        measurement("notes", "stock", 2, elapsed_s=40),
        measurement("notes", FP32, 2, elapsed_s=5),
        measurement("notes", "stock", 3, elapsed_s=40),
        measurement("notes", FP32, 3, elapsed_s=4),
        measurement("workers", "1", 1, elapsed_s=10),
        measurement("workers", "2", 1, elapsed_s=8),
    )


def test_a_ratio_is_taken_within_a_round(results: Results) -> None:
    assert results.ratio("notes", FP32, "stock") == 8  # of 5, 8 and 10
    assert results.ratio("notes", FP32, "nobody") is None


def test_rounds_without_the_other_do_not_count() -> None:
    results = results_of(
        measurement("notes", "stock", 1, elapsed_s=10),
        measurement("notes", "stock", 2, elapsed_s=10, error="it fell over"),
        measurement("notes", FP32, 1, elapsed_s=5),
        measurement("notes", FP32, 2, elapsed_s=1),
    )
    assert results.ratio("notes", FP32, "stock") == 2
    assert [failed.case for failed in results.failures()] == ["stock"]


def test_the_limit_is_the_faster_librarys_median_over_the_run(results: Results) -> None:
    assert results.gflops == 120
    assert results.limit_pieces_per_s("notes") == 1200


def test_a_share_of_the_limit_is_of_the_median_rate(results: Results) -> None:
    target = Target(series="notes", case=FP32, against=LIMIT, at_least=0.8)
    assert target.found(results) == pytest.approx(250 / 1200)


@pytest.mark.parametrize(
    ("found", "words"), [(None, "not measured"), (2.5, "met"), (2.6, "met"), (2.0, "short by 20%")]
)
def test_a_verdict_says_by_how_much_a_target_is_missed(found: float | None, words: str) -> None:
    assert verdict(Target(series="notes", case=FP32, against="stock", at_least=2.5), found) == words


def test_the_targets_are_those_of_the_project() -> None:
    def asked(against: str) -> dict[tuple[str, str], float]:
        """By the engine with its precision, and the series."""
        found = [t for t in TARGETS if t.against == against]
        return {(t.case.removeprefix("sparkclin "), t.series): t.at_least for t in found}

    assert asked("stock") == {
        ("onnx fp32", "sentences"): 50,
        ("onnx int8", "sentences"): 120,
        ("openvino int8", "sentences"): 160,
        ("onnx fp32", "notes"): 2.5,
        ("onnx int8", "notes"): 6,
        ("openvino int8", "notes"): 11,
        ("onnx fp32", "long"): 2,
        ("onnx int8", "long"): 5,
        ("openvino int8", "long"): 5,
    }
    assert asked(LIMIT) == {
        **{("onnx fp32", workload): 0.8 for workload in ("sentences", "notes", "long")},
        ("openvino fp32", "sentences"): 0.85,
        ("openvino fp32", "notes"): 0.88,
        ("openvino fp32", "long"): 0.88,
        ("openvino bf16", "sentences"): 1.6,
        ("openvino bf16", "notes"): 1.7,
        ("openvino bf16", "long"): 1.7,
        ("openvino int8", "sentences"): 2.8,
        ("openvino int8", "notes"): 2.6,
        ("openvino int8", "long"): 2.4,
    }
    assert [t.at_least for t in TARGETS if t.against.startswith("onnxruntime")] == [0.85] * 6
    assert [t.at_least for t in TARGETS if t.against.startswith("openvino")] == [0.9, 0.93, 0.95] * 3
    assert [(t.case, t.against, t.at_least) for t in TARGETS if t.series == "workers"] == [("2", "1", 1.85)]
    assert [(t.case, t.against, t.at_least) for t in TARGETS if t.series == "corpus"] == [("×16", "×1", 0.95)]
    series = [f"{task} {workload}" for task in ("entities", "classify", "answer") for workload in ("notes", "long")]
    times = {"onnx fp32": 1.5, "onnx int8": 3, "openvino bf16": 3, "openvino int8": 5}
    assert asked("transformers fp32") == {(case, name): at_least for name in series for case, at_least in times.items()}


def test_the_targets_of_attention_are_of_its_longest_rows() -> None:
    per_operation, *by_length = [t for t in TARGETS if t.series == "attention"]
    assert per_operation.what == "bigbird 4,096 ÷ longformer 4,096, per operation"
    assert (per_operation.at_least, per_operation.per_operation) == (0.8, True)
    assert {(t.case.split()[-1], t.against.split()[-1], t.at_least) for t in by_length} == {("4,096", "1,024", 0.83)}
    assert len(by_length) == 4


def test_a_rate_per_operation_tells_less_work_from_faster_work() -> None:
    longformer = replace(measurement("attention", "longformer 4,096", 1, elapsed_s=10), n_flops=400e9)
    bigbird = replace(measurement("attention", "bigbird 4,096", 1, elapsed_s=8), n_flops=300e9)
    results = results_of(longformer, bigbird)
    (target, *_) = [t for t in TARGETS if t.series == "attention"]
    assert target.found(results) == pytest.approx(37.5 / 40)
    text = to_text(results)
    assert row_of(text, "bigbird", "4,096")[2:] == ["125", "125–125", "0.800", "38", "0.94", "10"]
    assert row_of(text, "attention", target.what)[2:] == ["≥ 0.8", "0.94", "met", "10"]


def row_of(text: str, *cells: str) -> list[str]:
    """The cells of the one row that begins with these."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines()]
    (found,) = (row for row in rows if tuple(row[: len(cells)]) == cells)
    return found


def test_the_report_has_a_row_for_every_contender(results: Results) -> None:
    text = to_text(results)
    assert row_of(text, "notes", "stock")[2:] == ["25", "25–100", "12", "0.25", "1.0", "2%", "3.0", "10"]
    assert row_of(text, "notes", FP32)[2:] == ["250", "200–500", "125", "2.50", "8.0", "21%", "3.0", "10"]


def test_the_report_says_of_every_target_whether_it_is_met(results: Results) -> None:
    text = to_text(results)
    assert row_of(text, "notes", f"{FP32} ÷ stock")[2:] == ["≥ 2.5", "8.00", "met", "10"]
    assert row_of(text, "workers", "2 ÷ 1")[2:] == ["≥ 1.85", "1.25", "short by 32%", "10"]
    assert row_of(text, "notes", "sparkclin onnx int8 ÷ stock")[2:] == ["≥ 6", "–", "not measured", "–"]


def test_the_report_shows_scaling_by_the_first_case(results: Results) -> None:
    assert row_of(to_text(results), "workers", "2")[3:] == ["10", "10", "8.0", "1.250", "1.25", "3.0", "–"]


def test_the_report_names_what_was_not_measured(results: Results) -> None:
    failed = measurement("notes", "stock", 1, elapsed_s=0, error="it fell over")
    text = to_text(replace(results, measurements=[failed], missing={"onnxruntime int8": "no such engine"}))
    assert "- notes, stock, round 1: it fell over" in text
    assert "- onnxruntime int8 was not measured: no such engine" in text
    assert row_of(text, "notes", "stock")[2:] == ["–"] * 8


def test_columns_of_numbers_are_right_aligned() -> None:
    assert column(["pieces/s", "1,000", "–"]) == ["pieces/s", "-------:", "   1,000", "       –"]
    assert column(["who", "stock"]) == ["who  ", "-----", "stock"]


def test_results_json_has_every_measurement(results: Results, tmp_path: Path) -> None:
    results.write(tmp_path / "out")
    written = json.loads((tmp_path / "out" / RESULTS_FILE).read_text(encoding="utf-8"))
    assert len(written["measurements"]) == 8
    assert written["measurements"][0]["timing"]["elapsed_s"] == 10
    assert written["machine"]["cpu"] == "a processor"


def test_pictures_are_drawn_of_what_there_is(results: Results, tmp_path: Path) -> None:
    write_plots(results, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {COMPARISON_FILE, SCALING_FILE}
    assert (tmp_path / COMPARISON_FILE).read_bytes().startswith(b"\x89PNG")


def test_no_picture_is_drawn_of_what_failed(tmp_path: Path) -> None:
    failed = measurement("notes", "stock", 1, elapsed_s=0, error="it fell over")
    write_plots(results_of(failed), tmp_path)
    assert list(tmp_path.iterdir()) == []
