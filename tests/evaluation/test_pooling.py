"""Level and pooling, on vectors of which can be told by eye what they are worth; and the command on a few notes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn", reason="the train extra is not installed")

from sparkclin.errors import InputError
from sparkclin.evaluation.notes import Note, packaged_notes, write_jsonl
from sparkclin.evaluation.pooling import (
    HALVES,
    MEASURES,
    POOLINGS,
    Judge,
    Reading,
    Score,
    Segments,
    averages,
    gathered,
    judge,
    main,
    markdown,
    matches,
    probe_hits,
    rarest,
    table_of,
)
from sparkclin.evaluation.retrieval import cosine_similarity, label_matrix
from testkit.demo import MODEL

SPECIALTIES = ("Urology", "Neurology", "Radiology")
DOCUMENT = Reading(name="document", level="document")
SENTENCE = Reading(name="sentence", level="sentence")


def notes_of(n_notes: int) -> list[Note]:
    return [Note(note_id=str(i), text="x", specialties=(SPECIALTIES[i % len(SPECIALTIES)],)) for i in range(n_notes)]


def by_specialty(n_notes: int, *, noise: float) -> Segments:
    """A vector per note: an axis per specialty."""
    random = np.random.default_rng(0)
    vectors = np.eye(8)[np.arange(n_notes) % len(SPECIALTIES)] + noise * random.normal(size=(n_notes, 8))
    return Segments(vectors, np.arange(n_notes))


def test_vectors_that_show_the_specialty_are_firmly_better_than_those_that_do_not() -> None:
    found = {
        "mean": by_specialty(90, noise=50.0),
        "cls": by_specialty(90, noise=0.05),
        "max": by_specialty(90, noise=60.0),
    }
    table = table_of(judge(notes_of(90)), [(DOCUMENT, found)])
    for measure in MEASURES:
        scores = table[measure]["document"]
        assert scores["cls"].value == pytest.approx(1.0)
        assert scores["cls"].differs_from(scores["mean"]) == 1
        assert scores["mean"].differs_from(scores["cls"]) == -1
        assert scores["mean"].differs_from(scores["max"]) == 0
        assert scores["mean"].value < 0.6


def test_arrows_say_what_is_firmly_different_and_missing_poolings_stay_empty() -> None:
    found = {"mean": by_specialty(90, noise=50.0), "max": by_specialty(90, noise=0.05)}
    printed = markdown(table_of(judge(notes_of(90)), [(DOCUMENT, found)]))
    assert printed.count("| level | `mean` | `cls` | `max` | `mean_max` |") == len(MEASURES)
    assert printed.count("|  | 1.000 ↑ |  |") == len(MEASURES) + 2  # by dot product too: both of search
    assert "↓" not in printed


def test_an_error_is_that_of_a_share() -> None:
    """√(p(1 − p)/n), which the spread over halves estimates."""
    random = np.random.default_rng(1)
    hits = random.random(1000) < 0.3
    score = Judge(np.ones((1000, 1), dtype=bool), halves(1000, random))._share(hits)
    assert score.error == pytest.approx(np.sqrt(0.3 * 0.7 / 1000), rel=0.2)


def halves(n_notes: int, random: np.random.Generator) -> np.ndarray:
    return np.array([random.permutation(n_notes)[: n_notes // 2] for _ in range(HALVES)])


def test_a_difference_is_judged_on_the_same_notes() -> None:
    """Two that rise and fall together differ firmly by less than the error of either."""
    wave = np.sin(np.arange(HALVES))
    low, high = Score(0.50, 0.50 + 0.1 * wave), Score(0.52, 0.52 + 0.1 * wave + 0.001 * np.cos(np.arange(HALVES)))
    assert low.error > 0.02
    assert high.differs_from(low) == 1
    assert Score(0.52, 0.52 - 0.1 * wave).differs_from(low) == 0


def test_segments_are_averaged_and_matched_by_note() -> None:
    random = np.random.default_rng(2)
    note = np.repeat(np.arange(40), random.integers(1, 5, size=40))
    segments = Segments(random.normal(size=(len(note), 4)), note)
    cosines = cosine_similarity(segments.vectors)
    of = [np.flatnonzero(note == index) for index in range(40)]
    found = matches(segments)
    for one in range(40):
        assert averages(segments)[one] == pytest.approx(segments.vectors[of[one]].mean(axis=0))
        for other in range(40):
            block = cosines[np.ix_(of[one], of[other])]
            assert found.closest_pair[one, other] == pytest.approx(block.max(), abs=1e-6)
            assert found.best_matches[one, other] == pytest.approx(block.max(axis=1).mean(), abs=1e-6)


def test_notes_of_several_segments_are_compared_in_three_ways_of_which_one_has_a_vector() -> None:
    one = by_specialty(30, noise=0.05)
    twice = Segments(np.repeat(one.vectors, 2, axis=0), np.repeat(one.note, 2))
    table = table_of(judge(notes_of(30)), [(SENTENCE, {"mean": twice})])
    assert list(table["nearest"]) == ["sentence, average", "sentence, closest pair", "sentence, best matches"]
    assert list(table["probe"]) == list(table["clusters"]) == ["sentence, average"]
    assert {row["mean"].value for row in table["nearest"].values()} == {1.0}


def test_a_probe_is_asked_about_notes_that_it_has_not_seen() -> None:
    """With more numbers than notes it would know by heart every note that it has seen."""
    vectors = np.random.default_rng(3).normal(size=(60, 200))
    labels = label_matrix([note.specialties for note in notes_of(60)])
    assert probe_hits(vectors, labels).mean() < 0.6


def test_a_notes_class_is_the_rarest_of_its_specialties() -> None:
    labels = label_matrix([("Surgery", "Urology"), ("Surgery",), ("Surgery", "ENT"), ("ENT",), ("ENT", "Surgery")])
    assert rarest(labels).tolist() == [2, 1, 0, 0, 0]


def test_too_few_notes_and_notes_without_specialties_are_told() -> None:
    with pytest.raises(InputError, match="9 notes, 0 of them without a specialty; expected at least 10"):
        judge(notes_of(9))
    with pytest.raises(InputError, match="12 notes, 1 of them without"):
        judge([*notes_of(11), Note(note_id="a", text="x")])


@pytest.mark.release
@pytest.mark.usefixtures("spark")
def test_the_command_fills_a_table_per_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = [replace(note, text=note.text[:300]) for note in packaged_notes()[:14]]
    file = tmp_path / "notes.jsonl"
    write_jsonl(map(asdict, notes), file)
    assert main([str(file), "--model", MODEL, "--window-pieces", "30", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == set(MEASURES)
    assert len(found["nearest"]) == 2 + 3 * 3
    for measure, rows in found.items():
        assert {"document", "window of 30 pieces, average", "sentence, average"} <= set(rows)
        for row, by_pooling in rows.items():
            without_cls = row.startswith("sentence, ") and not row.startswith("sentence, read alone")
            assert set(by_pooling) == set(POOLINGS) - ({"cls"} if without_cls else set()), (measure, row)
            assert all(0 <= score["error"] < 0.5 for score in by_pooling.values())


def test_segments_without_a_vector_are_left_out_and_notes_without_one_are_told() -> None:
    table = pd.DataFrame({"note_id": [2, 0, 0, 1], "vector": [[3.0], [1.0], None, [2.0]]})
    found = gathered(table, notes_of(3))
    assert (found.vectors.tolist(), found.note.tolist()) == ([[1.0], [2.0], [3.0]], [0, 1, 2])
    with pytest.raises(InputError, match=r"1 notes have no vector .*note_id 3"):
        gathered(table, notes_of(4))
