"""The comparison of sentence splitters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkclin.evaluation.sentences import (
    GOLD,
    GROWTH_TEXTS,
    LINES,
    LONGEST,
    ONE_LINE,
    Agreement,
    Coverage,
    Score,
    agreement,
    coverage,
    gold_agreement,
    growth,
    hard_text,
    looked_up,
    main,
    score,
    starts,
    to_row,
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


def test_agreement_of_nothing_is_nothing() -> None:
    nothing = Agreement(both=0, found=0, expected=0)
    assert (nothing.precision, nothing.recall, nothing.f1) == (0.0, 0.0, 0.0)
    wrong = Agreement(both=0, found=3, expected=4)
    assert (wrong.precision, wrong.recall, wrong.f1) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], Coverage(missed=4, doubled=0)),
        ([(0, 5)], Coverage(missed=0, doubled=0)),
        ([(-3, 1), (4, 9)], Coverage(missed=2, doubled=0)),
        ([(0, 2), (0, 2), (0, 2), (1, 4)], Coverage(missed=1, doubled=2)),
    ],
)
def test_coverage_is_of_each_character_that_can_be_seen(ranges: list[tuple[int, int]], expected: Coverage) -> None:
    assert coverage("ab cd", ranges) == expected


def test_starts_without_visible_text_do_not_count() -> None:
    assert starts("a  b c", [(0, 1), (1, 3), (3, 3), (3, 4), (4, 6)]) == {3, 5}
    assert starts("a b", [(2, 3), (0, 1)]) == {2}
    assert starts("a", [(0, 1)]) == starts("", []) == set()


@pytest.mark.parametrize("name", GROWTH_TEXTS)
@pytest.mark.parametrize("length", [1, 7, 100])
def test_a_hard_text_has_the_length_that_it_is_asked_for(name: str, length: int) -> None:
    assert len(hard_text(name, ["Well.", "No fever."], length)) == length


def test_notes_are_repeated_in_one_line_or_in_lines() -> None:
    assert hard_text(ONE_LINE, ["ab", "cd"], 12) == "ab cdab cdab"
    assert hard_text(LINES, ["ab,x", "cd"], 13) == "ab\nx\ncdab\nx\nc"


def test_growth_tells_the_longest_text_that_was_split() -> None:
    lengths: list[int] = []

    def quick(text: str) -> list[tuple[int, int]]:
        lengths.append(len(text))
        return []

    assert growth(quick, ["a"], "one word") == "0.0"
    assert lengths == [62_500, 125_000, 250_000, 500_000, 1_000_000, 2_000_000]
    assert lengths[-1] == LONGEST


def test_growth_tells_the_length_that_a_splitter_failed_at() -> None:
    def failing(text: str) -> list[tuple[int, int]]:
        if len(text) > 250_000:
            raise MemoryError
        return []

    assert growth(failing, ["a"], "one word") == "MemoryError at 500,000"


def halves(text: str) -> list[tuple[int, int]]:
    return [(0, 8), (8, len(text))]


def test_a_splitter_is_scored_against_a_reference_as_notes_are_and_in_lines() -> None:
    """`One,two. Three.` is one line more where its comma is a lost line break; the reference cuts at it then."""

    def reference(text: str) -> list[tuple[int, int]]:
        return [(0, 4), (4, 8), (8, len(text))] if "\n" in text else [(0, 8), (8, len(text))]

    found = score(halves, ["One,two. Three."], reference)
    assert found.as_they_are == Agreement(both=1, found=1, expected=1)
    assert found.in_lines == Agreement(both=1, found=1, expected=2)
    assert (found.missed, found.doubled) == (0, 0)
    assert found.gold == gold_agreement(halves)
    assert found.characters_per_s > 0
    assert score(lambda _text: [(0, 3), (2, 8)], ["One,two. Three."], reference).missed == 6


def test_a_row_has_all_figures_in_order() -> None:
    found = Score(
        as_they_are=Agreement(both=1, found=2, expected=4),
        in_lines=Agreement(both=3, found=3, expected=4),
        gold=Agreement(both=1, found=2, expected=2),
        missed=1234,
        doubled=5,
        characters_per_s=2_340_000,
    )
    assert to_row("name", found, ["0.1", "0.2"]) == (
        "| name | 0.500, 0.250, 0.333 | 1.000, 0.750, 0.857 | 0.50 | 1,234, 5 | 2.34 | 0.1 | 0.2 |"
    )
