"""What every reader gives: the columns of notes, and rows as Arrow batches."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sparkclin.errors import InputError
from sparkclin.runs.sources.notes import NOTES_AT_ONCE, as_compared, batches_of, check_columns, schema_of


@pytest.mark.parametrize(
    ("present", "header", "said"),
    [
        (["id", "Text"], False, r"^/in has no column note_id, text; it has id, Text\. Name the right ones"),
        (["note_id", "text", "text"], False, r"^/in has several columns text; it has note_id, text, text\."),
        (["text", "text"], False, r"no column note_id and several columns text;"),
        (["TEXT", "note_id", "Smith"], True, r"no column text; its header has 2 others \(TEXT differ in case only\)\."),
        (["note_id", "Smith", "17"], True, r"no column text; its header has 2 others\. "),
        (["note_id", "text", "text", "TEXT"], True, r"several columns text; its header has 1 others \(TEXT differ"),
    ],
)
def test_columns_that_are_missing_or_there_twice_are_refused(present: list[str], header: bool, said: str) -> None:  # noqa: FBT001
    with pytest.raises(InputError, match=said):
        check_columns("/in", ["note_id", "text"], present, header=header)


def test_columns_that_are_there_once_are_taken() -> None:
    check_columns("/in", ["note_id", "text"], ["text", "more", "note_id", "more"])
    check_columns("/in", [], [])


def test_names_are_compared_without_case_and_spaces_around_them() -> None:
    assert as_compared(" Note ID\t") == "note id"


def test_texts_are_bytes_on_their_way() -> None:
    assert schema_of() == "note_id string, text binary"
    assert schema_of(id_type="bigint", pair=True) == "note_id bigint, text binary, pair binary"


@pytest.mark.parametrize("n_rows", [0, 1, NOTES_AT_ONCE, NOTES_AT_ONCE + 1])
def test_rows_become_batches_of_at_most_64(n_rows: int) -> None:
    rows = [(str(n), None if n == 3 else b"\xff%d" % n) for n in range(n_rows)]
    batches = list(batches_of(iter(rows), id_type=pa.string()))
    assert [batch.num_rows for batch in batches] == {0: [], 1: [1], 64: [64], 65: [64, 1]}[n_rows]
    assert [tuple(row.values()) for batch in batches for row in batch.to_pylist()] == rows
    assert {batch.schema for batch in batches} <= {pa.schema({"note_id": pa.string(), "text": pa.binary()})}


def test_rows_may_have_a_pair() -> None:
    [batch] = batches_of(iter([(7, b"x", b"y"), (None, None, None)]), id_type=pa.int64(), pair=True)
    assert batch.schema == pa.schema({"note_id": pa.int64(), "text": pa.binary(), "pair": pa.binary()})
    assert batch.to_pylist()[0] == {"note_id": 7, "text": b"x", "pair": b"y"}
