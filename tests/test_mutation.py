"""The sample of bugs by which CONTRIBUTING.md judges the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from testkit.material import CHECKOUT
from testkit.mutation import Mutant, Outcome, interval, measure, places_of, read, sample, to_text

WINDOWS = Path("sparkclin/text/windows.py")


def test_bugs_are_made_where_code_runs() -> None:
    lines = (CHECKOUT / WINDOWS).read_text(encoding="utf-8").splitlines()
    changed = {mutant.line for place in places_of(WINDOWS) for mutant in place}
    assert changed
    assert not any(lines[line - 1].startswith(("import ", "from ", '"""')) for line in changed)
    of_signatures = {number for number, line in enumerate(lines, start=1) if line.endswith(" | None) -> None:")}
    assert not changed & of_signatures


def test_a_seed_gives_one_sample_of_the_packages() -> None:
    inference = Path("sparkclin/inference")
    few, again, others = (sample(10, seed=seed, packages=[inference]) for seed in (3, 3, 4))
    assert few == again
    assert few != others
    assert all(Path(mutant.module).is_relative_to(inference) for mutant in few)


def test_an_interval_is_wilson_s() -> None:
    """10 of 10: its lower end is 1 / (1 + z² / n)."""
    low, high = interval(10, 10)
    assert low == pytest.approx(1 / (1 + 1.96**2 / 10))
    assert high == pytest.approx(1)


def test_survivors_and_scores_are_printed() -> None:
    mutants = [Mutant(module=str(WINDOWS), line=line, operator="core/AddNot", occurrence=line) for line in (7, 8)]
    outcomes = [Outcome(mutant=mutant, change="if not a:", caught=mutant.line == 8) for mutant in mutants]
    survivor, by_package, _ = to_text(outcomes).splitlines()
    assert survivor == "sparkclin/text/windows.py:7: AddNot: if not a:"
    assert by_package.startswith("sparkclin/text: 1 of 2 caught, 50.0% (")


@pytest.mark.slow
def test_a_bug_is_caught_or_survives(tmp_path: Path) -> None:
    """In a copy of the last commit. Results are kept: nothing is tried twice."""
    bugs = [mutant for place in places_of(WINDOWS) for mutant in place]
    mutants = [mutant for mutant in bugs if mutant.operator == "core/ReplaceBinaryOperator_FloorDiv_Mul"]
    outcomes = measure(mutants, work=tmp_path, tests="", processes=1)
    assert [(outcome.mutant, outcome.caught) for outcome in outcomes] == [(mutant, True) for mutant in mutants]
    assert " * 2 " in outcomes[0].change
    assert read(tmp_path / "results.jsonl") == outcomes
    assert measure(mutants, work=tmp_path, tests="", processes=1) == outcomes


def test_there_are_no_results_before_the_first(tmp_path: Path) -> None:
    assert read(tmp_path / "results.jsonl") == []
