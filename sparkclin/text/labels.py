"""Logits of a note's windows -> scores of its labels."""

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
    """Options for joining the labels of a note's windows. `aggregation` joins the scores of one label; after `max` the
    scores of a single-label model may add up to more than 1. `threshold` is THRESHOLD by default for a multi-label
    model, and None for all others.

    Raises OptionError for an unknown aggregation or problem type, and for a threshold that has no effect.
    """

    problem_type: str
    aggregation: str = "mean"
    threshold: float | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("problem_type", PROBLEM_TYPES), ("aggregation", LABEL_AGGREGATIONS)):
            if getattr(self, name) not in allowed:
                raise OptionError(
                    f"there is no {name} {getattr(self, name)!r} of labels: expected one of {', '.join(allowed)}."
                )
        if self.problem_type == MULTI_LABEL:
            object.__setattr__(self, "threshold", THRESHOLD if self.threshold is None else self.threshold)
        elif self.threshold is not None:
            raise OptionError(
                f"a threshold has no effect on this model, whose problem_type is {self.problem_type}: it is for "
                f"{MULTI_LABEL}. Leave it out."
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
