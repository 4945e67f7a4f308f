"""The comparison of sentence splitters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkclin.evaluation.sentences import (
    GOLD,
    Agreement,
    agreement,
    coverage,
    gold_agreement,
    growth,
    looked_up,
    main,
    starts,
    with_line_breaks,
)
from sparkclin.text.sentences import split_sentences


def test_starts_are_those_of_visible_text_behind_the_first() -> None:
    text = "  Well. No fever.  "
    assert starts(text, [(0, 7), (7, 17), (17, 19)]) == {8}
    assert starts(text, [(2, 7), (8, 17)]) == {8}


def test_agreement_counts_over_all_notes() -> None:
    found = agreement([{1, 2}, {5}], [{2}, {5, 6, 7}])
    assert found == Agreement(both=2, found=3, expected=4)
    assert (found.precision, found.recall, found.f1) == (2 / 3, 0.5, 4 / 7)
    assert agreement([set()], [set()]).f1 == 0


def test_coverage_counts_visible_characters() -> None:
    assert coverage("ab cd e", [(0, 2), (1, 5)]).missed == 1
    assert coverage("ab cd e", [(0, 2), (1, 5)]).doubled == 1


def test_sentences_without_offsets_are_looked_up() -> None:
    assert looked_up("No. No.  Well.", ["No.", "No. ", "changed", "Well."]) == [(0, 3), (4, 7), (9, 14)]


def test_line_breaks_of_mtsamples_are_restored() -> None:
    text = "STUDY,1. Mild, 5,000 cells.,2. Normal."
    assert with_line_breaks(text) == "STUDY,1. Mild, 5,000 cells.\n2. Normal."
    assert with_line_breaks("normal,DOPPLER") == "normal\nDOPPLER"


def test_the_gold_texts_have_their_own_sentences() -> None:
    marked = {text.replace("|", ""): text for text in GOLD}

    def perfect(text: str) -> list[tuple[int, int]]:
        ranges, begin = [], 0
        for sentence in marked[text].split("|"):
            ranges.append((begin, begin + len(sentence)))
            begin += len(sentence)
        return ranges

    assert gold_agreement(perfect).f1 == 1
    assert gold_agreement(split_sentences).f1 > 0.8


def test_an_exception_is_shown_with_the_length() -> None:
    def failing(text: str) -> list[tuple[int, int]]:
        raise RecursionError(len(text))

    assert growth(failing, ["a"], "one word") == "RecursionError at 62,500"
    assert growth(lambda text: [(0, len(text))], ["a"], "one word").startswith("0.0")


@pytest.mark.slow
def test_splitters_are_compared_with_spark_nlp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "notes.jsonl"
    notes = [{"note_id": str(n), "text": f"Seen {n} times. No fever. Well."} for n in range(3)]
    file.write_text("".join(json.dumps(note) + "\n" for note in notes))
    assert main([str(file), "--only", "sparkclin"]) == 0
    said = capsys.readouterr().out
    assert "| sparkclin | 1.000, 1.000, 1.000 | 1.000, 1.000, 1.000 |" in said
    assert "Spark NLP's detector: 9 sentences" in said
