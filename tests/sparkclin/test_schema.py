"""Which names of columns are shown."""

from __future__ import annotations

import pytest

from sparkclin.schema import column_problems, printable_names


def test_plain_identifiers_are_shown() -> None:
    assert printable_names(["note_id", "NOTE.text", "_c0", "a-b"]) == "note_id, NOTE.text, _c0, a-b"


@pytest.mark.parametrize("odd", ["Fever since Monday", '{"note_id": 1', "17", "", "Fieber\n", "Übelkeit", "x" * 65])
def test_one_other_name_hides_them_all(odd: str) -> None:
    """A headerless record may be `17,Smith,Fever since Monday`: the second looks like a name of a column."""
    assert printable_names(["Smith", odd]) == "2 that are not named here, because 1 of the names are no identifiers"


def test_a_missing_column_is_said_without_them() -> None:
    [problem] = column_problems(["Smith", "Fever since Monday"], needed=["note_id"])
    assert problem.startswith("there is no column note_id; the columns are 2 that")
    assert "Smith" not in problem
