"""What an export is held to: every limit just inside and just outside, without a model and without Spark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from sparkclin.export.routes.route import ORDINARY_IDS, PathOutput
from sparkclin.export.routes.spark_nlp import CODES, PACKED, SPARK_NLP
from sparkclin.export.verify.parity import (
    EXACT,
    ParityReport,
    PathFigures,
    VectorFigure,
    VectorTable,
    figure,
    table_against_reference,
    table_of_packed,
    table_of_paths,
)
from sparkclin.export.verify.quantization import LIMITS, Agreement, QuantizationReport

PERFECT = VectorFigure(path="any", length=8, max_abs_difference=0.0, min_cosine=1.0)
AWFUL = VectorFigure(path="any", length=8, max_abs_difference=9.0, min_cosine=-1.0)


def vectors(difference: float, cosine: float) -> VectorFigure:
    return replace(PERFECT, max_abs_difference=difference, min_cosine=cosine)


def compared(path: str, *, reference: VectorFigure = PERFECT, graph: VectorFigure = PERFECT) -> PathFigures:
    by_head = path.startswith(PACKED)
    return PathFigures(path=path, by_head=by_head, against_reference=reference, against_graph=graph)


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (vectors(1e-4, 0.999999), True),
        (vectors(1.01e-4, 0.999999), False),
        (vectors(1e-4, 0.9999989), False),
        (vectors(float("nan"), 1.0), False),
        (vectors(0.0, float("nan")), False),
    ],
)
def test_exact_vectors_keep_to_the_reference(found: VectorFigure, *, passed: bool) -> None:
    figures = [compared(ORDINARY_IDS), compared(PACKED, reference=found, graph=AWFUL)]
    assert table_against_reference(figures, limits=EXACT).passed is passed


def test_int8_is_not_held_to_the_reference() -> None:
    assert table_against_reference([compared(CODES, reference=AWFUL)], limits=None).passed


@pytest.mark.parametrize("path", [PACKED, f"{PACKED}, mean"])
@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (vectors(1e-5, 0.999999), True),
        (vectors(1.01e-5, 0.999999), False),
        (vectors(1e-5, 0.9999989), False),
    ],
)
def test_the_heads_outputs_keep_to_the_graphs_own_vectors(path: str, found: VectorFigure, *, passed: bool) -> None:
    figures = [compared(CODES, graph=AWFUL), compared(PACKED), compared(path, reference=AWFUL, graph=found)]
    assert table_of_packed(figures).passed is passed


@pytest.mark.parametrize("path", [CODES, SPARK_NLP])
@pytest.mark.parametrize(("found", "passed"), [(vectors(9.0, 0.99), True), (vectors(0.0, 0.98999), False)])
def test_int8_by_codes_keeps_to_ordinary_ids(path: str, found: VectorFigure, *, passed: bool) -> None:
    figures = [compared(CODES), compared(SPARK_NLP), compared(path, reference=AWFUL, graph=found)]
    assert table_of_paths([*figures, compared(PACKED, graph=AWFUL)]).passed is passed


@pytest.mark.parametrize("make", [partial(table_against_reference, limits=EXACT), table_of_packed, table_of_paths])
def test_a_table_without_figures_has_not_passed(make: Callable[[Sequence[PathFigures]], VectorTable]) -> None:
    assert not make([]).passed


GOOD = VectorTable(against="it", limits=EXACT, figures=(PERFECT,))
BAD = VectorTable(against="it", limits=EXACT, figures=(PERFECT, AWFUL))
NEAR, FAR = (Agreement(vectors=9, mean_cosine=cosine, worst_cosine=cosine) for cosine in (1.0, 0.5))
INT8 = QuantizationReport(notes=3, documents=NEAR, pieces=NEAR, specialty=None, limits=LIMITS["int8"])
REPORT = ParityReport(
    id_rows=18, id_rows_identical=18, vectors=GOOD, packed=GOOD, head=GOOD, paths=GOOD, quantization=INT8
)


@pytest.mark.parametrize(
    ("change", "passed"),
    [
        ({}, True),
        ({"head": None, "paths": None, "quantization": None}, True),
        ({"id_rows_identical": 17}, False),
        ({"id_rows": 0, "id_rows_identical": 0}, False),
        ({"vectors": BAD}, False),
        ({"packed": BAD}, False),
        ({"head": BAD}, False),
        ({"paths": BAD}, False),
        ({"quantization": replace(INT8, pieces=FAR)}, False),
    ],
)
def test_a_report_has_passed_if_all_of_it_has(change: dict[str, Any], *, passed: bool) -> None:
    report = replace(REPORT, **change)
    assert report.passed is passed


def test_a_table_shows_which_figure_failed() -> None:
    lines = BAD.to_text().splitlines()
    assert [line.endswith("FAILED") for line in lines[-2:]] == [False, True]
    assert "max |Δ| ≤ 0.0001, cosine ≥ 0.999999" in lines[0]


def test_a_figure_is_the_worst_of_all_vectors() -> None:
    """Of two rows; of the second row only two of three vectors came back."""
    theirs = np.array([[[3.0, 4.0]] * 3, [[1.0, 0.0]] * 3], np.float32)
    ours = [theirs[0].copy(), theirs[1, :2].copy()]
    ours[0][1] = [3.0, 4.5]
    ours[1][1] = [0.6, 0.8]
    compared = PathOutput(
        path=CODES,
        compare=lambda vectors: iter((a, b[: len(a)]) for a, b in zip(ours, vectors, strict=True)),
    )
    found = figure(compared, 3, theirs)
    assert (found.path, found.length) == (CODES, 3)
    assert found.max_abs_difference == pytest.approx(0.8)
    assert found.min_cosine == pytest.approx(0.6)
