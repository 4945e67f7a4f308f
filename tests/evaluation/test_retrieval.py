"""Nearest-neighbour specialty accuracy, on vectors whose neighbours can be told by eye."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from sparkclin.errors import InputError
from sparkclin.evaluation.retrieval import label_matrix, shares_label, specialty_accuracy, specialty_hits, vote


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


def test_a_sixth_neighbour_has_no_vote() -> None:
    """Note 0 is a. Of its five nearest, three are b and two a; the two behind them are a, too."""
    similarity = np.full((8, 8), -0.9)
    similarity[0] = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    labels = label_matrix([[name] for name in "abbabaaa"])
    assert not specialty_hits(similarity, labels).five_nearest[0]
    labels = label_matrix([[name] for name in "abbaaabb"])
    assert specialty_hits(similarity, labels).five_nearest[0]


def test_a_note_is_not_its_own_neighbour_where_all_others_are_far() -> None:
    similarity = np.full((6, 6), -2.0)
    similarity[0, 5] = -1.5
    hits = specialty_hits(similarity, label_matrix([["a"], ["b"], ["b"], ["b"], ["b"], ["a"]]))
    assert hits.nearest.tolist() == [True, False, False, False, False, True]
    assert similarity[0, 0] == -2.0  # what was given is as it was


def test_of_equally_near_notes_the_first_counts() -> None:
    hits = specialty_hits(np.ones((6, 6)), label_matrix([["a"], ["a"], ["b"], ["b"], ["b"], ["b"]]))
    assert hits.nearest.tolist() == [True, True, False, False, False, False]


def test_a_vote_more_beats_a_nearer_voter() -> None:
    labels = label_matrix([["a"], ["b"], ["b"], ["a", "b"], ["c"]])
    assert vote(labels, np.array([[0, 1, 2], [3, 4, 1]])).tolist() == [1, 1]
    assert vote(label_matrix([["b"], ["a"], ["c"], ["c"], ["c"]]), np.array([[2, 0, 1]])).tolist() == [2]


def test_six_notes_are_enough_and_five_are_not() -> None:
    labels = {str(index): ["a"] for index in range(6)}
    result = specialty_accuracy(frame([at(angle) for angle in range(6)]), labels)
    assert (result.nearest, result.five_nearest, result.chance, result.most_frequent) == (1.0, 1.0, 1.0, 1.0)
    with pytest.raises(InputError, match=r"^Cannot compare these vectors: 5 vectors; five neighbours .* at least 6\.$"):
        specialty_accuracy(frame([at(angle) for angle in range(5)]), labels)


def test_specialties_are_those_of_the_id_whatever_the_order() -> None:
    vectors = frame([at(0), at(1), at(2), at(90), at(91), at(92)]).iloc[::-1]
    labels = {"5": ["b"], "0": ["a"], "3": ["b"], "1": ["a"], "4": ["b"], "2": ["a"]}
    assert specialty_accuracy(vectors, labels).nearest == 1.0


def test_notes_that_share_one_of_several_specialties_share_one() -> None:
    shared = shares_label(label_matrix([["a", "b"], ["b", "c"], ["c"], ["d"]]))
    assert shared.astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("vector", "usable"), [([0.0, -1.0], True), ([0.0, 0.0], False), ([math.inf, 1.0], False), ([1.0, math.nan], False)]
)
def test_a_vector_needs_a_direction(vector: list[float], *, usable: bool) -> None:
    vectors, labels = frame([at(0), at(1), at(2), at(3), at(4), vector]), {str(index): ["a"] for index in range(6)}
    if usable:
        assert specialty_accuracy(vectors, labels).notes == 6
    else:
        with pytest.raises(
            InputError, match=r": 1 vectors that are null, zero or not finite; leave those notes out\.$"
        ):
            specialty_accuracy(vectors, labels)


def test_a_long_vector_in_another_direction_is_not_near() -> None:
    vectors = frame([at(0), at(5), at(10), at(85, length=1000), at(90, length=1000), at(95, length=1000)])
    labels = {"0": ["a"], "1": ["a"], "2": ["a"], "3": ["b"], "4": ["b"], "5": ["b"]}
    assert specialty_accuracy(vectors, labels).nearest == 1.0


def test_both_missing_columns_are_named() -> None:
    with pytest.raises(InputError, match="no column note_id and no vector; expected note_id and vector"):
        specialty_accuracy(pd.DataFrame({"id": ["1"]}), {})
