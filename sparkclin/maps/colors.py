"""The colours of notes on a map, by the values of a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from sparkclin.maps.columns import shown
from sparkclin.vectors import is_null

MOST_COLORS = 8
OTHER, NONE = "other", "no value"
N_SHADES = 6


@dataclass(frozen=True, kw_only=True)
class Group:
    """Notes of one colour, of class `css`; `members` are the notes that have the value, by their number, whatever their
    colour."""

    name: str
    css: str
    members: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Coloring:
    """`groups` are those of the legend; `classes` have the class of each note."""

    groups: tuple[Group, ...]
    classes: tuple[str, ...]


def coloring(values: Sequence[Any]) -> Coloring:
    """A value per note. Numbers become shades, by how many notes have less. All else is names, and a note whose value
    is a list has each of them. The most frequent names have colours; a note with several of these has that of the
    rarest, which says most of it."""
    there = [value for value in values if not _is_none(value)]
    are_numbers = all(isinstance(value, Real) and not isinstance(value, bool) for value in there)
    many = are_numbers and len(set(there)) > N_SHADES
    return _by_number(values, there) if many else _by_name(values)


def _by_name(values: Sequence[Any]) -> Coloring:
    names = [_names(value) for value in values]
    counted = Counter(name for of_note in names for name in set(of_note))
    ranked = sorted(counted, key=lambda name: (-counted[name], name))[:MOST_COLORS]
    classes = [_class_of(of_note, ranked) for of_note in names]
    groups = [
        Group(name=name, css=f"c{rank}", members=tuple(i for i, of_note in enumerate(names) if name in of_note))
        for rank, name in enumerate(ranked)
    ]
    return Coloring(groups=(*groups, *_rest(classes)), classes=tuple(classes))


def _class_of(names: Sequence[str], ranked: Sequence[str]) -> str:
    rank = max((ranked.index(name) for name in names if name in ranked), default=None)
    if rank is not None:
        return f"c{rank}"
    return OTHER if names else "none"


def _rest(classes: Sequence[str]) -> list[Group]:
    rest = []
    for css, name in ((OTHER, OTHER), ("none", NONE)):
        if members := tuple(i for i, found in enumerate(classes) if found == css):
            rest.append(Group(name=name, css=css, members=members))
    return rest


def _by_number(values: Sequence[Any], there: Sequence[Any]) -> Coloring:
    shares = np.linspace(0, 1, N_SHADES + 1)
    edges = np.unique(np.quantile([float(value) for value in there], shares, method="nearest"))
    shades = [_NO_SHADE if _is_none(value) else _shade(float(value), edges) for value in values]
    classes = ["none" if shade == _NO_SHADE else f"s{shade}" for shade in shades]
    groups = [
        Group(
            name=f"{shown(float(low))} to {shown(float(high))}",
            css=f"s{number}",
            members=tuple(i for i, shade in enumerate(shades) if shade == number),
        )
        for number, (low, high) in enumerate(pairwise(edges))
    ]
    return Coloring(groups=(*groups, *_rest(classes)), classes=tuple(classes))


_NO_SHADE = -1


def _shade(value: float, edges: np.ndarray[Any, Any]) -> int:
    return min(int(np.searchsorted(edges, value, side="right")) - 1, len(edges) - 2)


def _names(value: Any) -> list[str]:
    if isinstance(value, list | tuple | np.ndarray):
        return [shown(part) for part in value]
    return [] if _is_none(value) else [shown(value)]


def _is_none(value: Any) -> bool:
    return not isinstance(value, list | tuple | np.ndarray) and is_null(value)
