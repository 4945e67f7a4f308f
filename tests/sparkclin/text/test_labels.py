"""Probabilities of a note's labels."""

from __future__ import annotations

import numpy as np
import pytest

from sparkclin.errors import OptionError
from sparkclin.text.labels import MULTI_LABEL, REGRESSION, SINGLE_LABEL, LabelOptions, merge_labels, probabilities
from sparkclin.text.pooling import PartOutput

LOGITS = np.array([[0.0, 1.0], [2.0, -1.0]])


def test_probabilities_are_those_of_the_problem() -> None:
    e = np.exp(1)
    np.testing.assert_allclose(probabilities(LOGITS[:1], SINGLE_LABEL), [[1 / (1 + e), e / (1 + e)]])
    np.testing.assert_allclose(probabilities(LOGITS[:1], MULTI_LABEL), [[0.5, e / (1 + e)]])
    np.testing.assert_allclose(probabilities(LOGITS, REGRESSION), LOGITS)


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_windows_become_a_note_a_label_at_a_time(aggregation: str) -> None:
    parts = [PartOutput(0, 1, numbers) for numbers in LOGITS]
    options = LabelOptions(problem_type=SINGLE_LABEL, aggregation=aggregation)
    [found] = merge_labels([(0, 9)], parts, options=options)
    assert found.vector is not None
    expected = getattr(probabilities(LOGITS, SINGLE_LABEL), aggregation)(axis=0)
    np.testing.assert_allclose(found.vector, expected, rtol=1e-6)
    assert merge_labels((), (), options=options) == []


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(OptionError, match="there is no aggregation 'sum' of labels: expected one of mean, max"):
        LabelOptions(problem_type=SINGLE_LABEL, aggregation="sum")
