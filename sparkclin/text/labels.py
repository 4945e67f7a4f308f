"""Logits of a note's windows -> probabilities of its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparkclin.errors import OptionError
from sparkclin.text.pooling import PartOutput, SegmentVector
from sparkclin.text.windows import Range

LOGITS = "logits"
"""The name of a head's output that is a number per label."""

SINGLE_LABEL, MULTI_LABEL, REGRESSION = PROBLEM_TYPES = (
    "single_label_classification",
    "multi_label_classification",
    "regression",
)
"""transformers' words for how the labels of a row go together: one of them, any of them, numbers of their own."""

LABEL_AGGREGATIONS = ("mean", "max")

THRESHOLD = 0.5
"""The probability from which a label counts as found where labels do not exclude each other."""

Floats64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """How the labels of a note are made of those of its windows. `aggregation` is of probabilities, a label at a time;
    after `max` those of a single-label model may add up to more than 1.

    Raises OptionError for an aggregation or problem type that is not known.
    """

    problem_type: str
    aggregation: str = "mean"

    def __post_init__(self) -> None:
        for name, allowed in (("problem_type", PROBLEM_TYPES), ("aggregation", LABEL_AGGREGATIONS)):
            if getattr(self, name) not in allowed:
                raise OptionError(
                    f"there is no {name} {getattr(self, name)!r} of labels: expected one of {', '.join(allowed)}."
                )


def merge_labels(
    segments: Sequence[Range], parts: Sequence[PartOutput], *, options: LabelOptions
) -> list[SegmentVector]:
    """One segment, the note, with a probability per label; none for a note without windows."""
    if not parts:
        return []
    of_windows = probabilities(np.stack([part.numbers for part in parts]), options.problem_type)
    merged = of_windows.max(axis=0) if options.aggregation == "max" else of_windows.mean(axis=0)
    [(begin, end)] = segments
    return [SegmentVector(begin, end, merged.astype(np.float32))]


def probabilities(logits: NDArray[np.floating[Any]], problem_type: str) -> Floats64:
    """(N, labels) -> (N, labels): softmax for one label of several, the logistic function where labels do not exclude
    each other, and the number itself for a regression."""
    if problem_type == REGRESSION:
        return logits.astype(np.float64)
    return softmax(logits) if problem_type == SINGLE_LABEL else 1 / (1 + np.exp(-logits.astype(np.float64)))


def softmax(logits: NDArray[np.floating[Any]]) -> Floats64:
    """(N, labels) -> (N, labels)"""
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    found: Floats64 = exponents / exponents.sum(axis=1, keepdims=True)
    return found
