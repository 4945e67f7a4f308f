"""Warnings about a model's labels: what its checkpoint leaves open, and what the model is taken for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparkclin.schema import CLASSIFY, ENTITIES, named
from sparkclin.text.entities import OUTSIDE_LABEL
from sparkclin.text.labels import MULTI_LABEL, REGRESSION

DEFAULT_LABEL = re.compile(r"LABEL_\d+")
"""The names that transformers makes up."""


def label_warnings(*, task: str, labels: Sequence[str], problem_type: str | None) -> list[str]:
    """Return a sentence or two per warning. `problem_type` is the one in the checkpoint's config, None if it is
    open."""
    if task == ENTITIES:
        return [] if OUTSIDE_LABEL in labels else [_NO_OUTSIDE_LABEL]
    if task != CLASSIFY:
        return []
    found = []
    if problem_type is None:
        found.append(_ASSUMED_ONE if len(labels) == 1 else _ASSUMED_SINGLE)
    if problem_type != REGRESSION and are_unnamed(labels):
        found.append(
            f"config.json does not name the labels, so they are {named(labels)}. To name them, export with --labels "
            "FILE."
        )
    return found


def are_unnamed(labels: Sequence[str]) -> bool:
    """Return whether all names are those that transformers makes up."""
    return all(map(DEFAULT_LABEL.fullmatch, labels))


_NO_OUTSIDE_LABEL = (
    f"no label is {OUTSIDE_LABEL}: every word of a note becomes part of an entity. If one of the labels means 'outside "
    f"of entities', export with --labels FILE and name it {OUTSIDE_LABEL}."
)
_ASSUMED_SINGLE = (
    "config.json has no problem_type: the labels are taken to exclude each other (softmax). If a note may have several "
    f"labels, export with --problem-type {MULTI_LABEL}."
)
_ASSUMED_ONE = (
    "config.json has no problem_type: the score of the one label is taken to be a probability (sigmoid). If the model "
    f"predicts a number, export with --problem-type {REGRESSION}."
)
