"""Nearest-neighbour specialty accuracy, on vectors whose neighbours can be told by eye."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from sparkclin.errors import InputError
from sparkclin.evaluation.retrieval import label_matrix, specialty_accuracy, vote


def frame(vectors: list[list[float] | None]) -> pd.DataFrame:
    return pd.DataFrame({"note_id": [str(i) for i in range(len(vectors))], "vector": vectors})


def at(degrees: float, *, length: float = 1.0) -> list[float]:
    return [length * math.cos(math.radians(degrees)), length * math.sin(math.radians(degrees))]


def test_direction_counts_and_length_does_not() -> None:
    vectors = frame([at(0), at(1, length=50), at(2), at(90), at(91, length=50), at(92)])
    labels = {"0": ["ENT"], "1": ["ENT"], "2": ["ENT"], "3": ["Urology"], "4": ["Urology"], "5": ["Urology"]}
    result = specialty_accuracy(vectors, labels)
    assert result.nearest == 1.0
    assert (result.notes, result.specialties) == (6, 2)


def test_a_note_is_not_its_own_neighbour() -> None:
    vectors = frame([at(0), at(1), at(30), at(31), at(60), at(61)])
    labels = {"0": ["a"], "1": ["b"], "2": ["a"], "3": ["b"], "4": ["a"], "5": ["b"]}
    assert specialty_accuracy(vectors, labels).nearest == 0.0


def test_one_shared_specialty_of_several_is_a_hit() -> None:
    vectors = frame([at(0), at(1), at(40), at(41), at(80), at(81)])
    labels = {"0": ["a", "x"], "1": ["x", "b"], "2": ["c"], "3": ["d"], "4": ["e"], "5": ["f"]}
    assert specialty_accuracy(vectors, labels).nearest == pytest.approx(2 / 6)


def test_five_neighbours_outvote_the_nearest() -> None:
    """Six notes: each sees all five others. Four are a, two are b."""
    vectors = frame([at(0), at(1), at(2), at(3), at(4), at(5)])
    labels = {"0": ["a"], "1": ["b"], "2": ["a"], "3": ["b"], "4": ["a"], "5": ["a"]}
    result = specialty_accuracy(vectors, labels)
    assert result.five_nearest == pytest.approx(4 / 6)
    assert result.most_frequent == pytest.approx(4 / 6)


def test_of_equal_counts_the_closest_voter_wins() -> None:
    labels = label_matrix([["a"], ["b"], ["b"], ["a"], ["c"]])
    elected = vote(labels, np.array([[1, 0, 2, 3, 4], [0, 1, 2, 3, 4]]))
    assert elected.tolist() == [1, 0]


def test_chance_is_the_share_of_pairs_that_share_a_specialty() -> None:
    vectors = frame([at(angle) for angle in range(6)])
    labels = {"0": ["a"], "1": ["a"], "2": ["a", "b"], "3": ["b"], "4": ["c"], "5": ["d"]}
    # Pairs: 0-1, 0-2, 1-2 by a, 2-3 by b; of 15
    assert specialty_accuracy(vectors, labels).chance == pytest.approx(4 / 15)


def test_random_vectors_score_about_chance() -> None:
    rng = np.random.default_rng(7)
    labels = {str(i): [name] for i, name in enumerate(rng.choice(["a", "b", "c"], size=600, p=[0.6, 0.3, 0.1]))}
    result = specialty_accuracy(frame(rng.normal(size=(600, 16)).tolist()), labels)
    assert result.nearest == pytest.approx(result.chance, abs=0.08)


def test_all_problems_are_told_at_once() -> None:
    vectors = frame([at(0), None, [0.0, 0.0], [math.nan, 1.0], [1.0]])
    vectors.loc[0, "note_id"] = "4"
    with pytest.raises(InputError) as raised:
        specialty_accuracy(vectors, {"1": ["a"], "2": ["a"], "3": ["a"]})
    message = str(raised.value)
    assert "5 vectors" in message
    assert "1 note ids that occur again" in message
    assert "2 notes without a specialty" in message
    assert "3 vectors that are null, zero or not finite" in message
    assert "lengths [1, 2]" in message


def test_missing_columns_are_named() -> None:
    with pytest.raises(InputError, match="no column vector"):
        specialty_accuracy(pd.DataFrame({"note_id": ["1"]}), {})
