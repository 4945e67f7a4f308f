"""Probabilities of a note's labels."""

from __future__ import annotations

import numpy as np
import pytest

from sparkclin.errors import OptionError
from sparkclin.text.labels import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
    LabelOptions,
    merge_labels,
    probabilities,
    softmax,
)
from sparkclin.text.pooling import PartOutput

E = np.e
LOGITS = np.array([[0.0, 1.0], [2.0, -1.0]])
EXPECTED = {
    SINGLE_LABEL: [[1 / (1 + E), E / (1 + E)], [E**3 / (E**3 + 1), 1 / (E**3 + 1)]],
    MULTI_LABEL: [[0.5, E / (1 + E)], [E**2 / (E**2 + 1), 1 / (1 + E)]],
    REGRESSION: [[0.0, 1.0], [2.0, -1.0]],
}


def test_the_problems_have_the_names_of_transformers() -> None:
    assert set(EXPECTED) == {"single_label_classification", "multi_label_classification", "regression"}


@pytest.mark.parametrize("problem_type", EXPECTED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_are_those_of_the_problem(problem_type: str, dtype: type[np.floating]) -> None:
    found = probabilities(LOGITS.astype(dtype), problem_type)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, EXPECTED[problem_type], rtol=1e-12)


def test_large_logits_do_not_overflow_and_rows_do_not_depend_on_each_other() -> None:
    found = softmax(np.array([[1000.0, 1000.0], [-1000.0, -1000.0], [1000.0, 0.0]]))
    assert found.tolist() == [[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]


@pytest.mark.parametrize("problem_type", EXPECTED)
@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_windows_become_a_note_a_label_at_a_time(problem_type: str, aggregation: str) -> None:
    parts = [PartOutput(0, 1, numbers) for numbers in LOGITS]
    options = LabelOptions(problem_type=problem_type, aggregation=aggregation)
    [found] = merge_labels([(3, 9)], parts, options=options)
    assert found.vector is not None
    (a, b), (c, d) = EXPECTED[problem_type]
    expected = [(a + c) / 2, (b + d) / 2] if aggregation == "mean" else [max(a, c), max(b, d)]
    np.testing.assert_allclose(found.vector, expected, rtol=1e-6)
    assert (found.begin, found.end) == (3, 9)
    assert found.vector.dtype == np.float32


def test_scores_are_means_if_nothing_is_said() -> None:
    assert LabelOptions(problem_type=SINGLE_LABEL).aggregation == "mean"


def test_a_note_without_windows_has_no_labels() -> None:
    assert merge_labels((), (), options=LabelOptions(problem_type=SINGLE_LABEL)) == []


@pytest.mark.parametrize(("given", "threshold"), [(None, 0.5), (0.25, 0.25), (0.0, 0.0)])
def test_labels_that_do_not_exclude_each_other_have_a_threshold(given: float | None, threshold: float) -> None:
    assert LabelOptions(problem_type=MULTI_LABEL, threshold=given).threshold == threshold


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, REGRESSION])
def test_others_have_none(problem_type: str) -> None:
    assert LabelOptions(problem_type=problem_type).threshold is None
    for threshold in (0.0, 0.5):
        with pytest.raises(OptionError, match=f"no effect on this model, whose problem_type is {problem_type}"):
            LabelOptions(problem_type=problem_type, threshold=threshold)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"aggregation": "sum"}, "there is no aggregation 'sum' of labels: expected one of mean, max"),
        (
            {"problem_type": "ranking"},
            "there is no problem_type 'ranking' of labels: expected one of single_label_classification, "
            "multi_label_classification, regression",
        ),
    ],
)
def test_what_is_not_known_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        LabelOptions(**{"problem_type": SINGLE_LABEL, **given})  # type: ignore[arg-type]
