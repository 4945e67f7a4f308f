"""Arrow batches a few notes at a time: each with its own notes, its sentences and what it is read with."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.tokenization import PairOptions
from sparkclin.text.windows import WindowOptions
from sparkclin.wire.batches import NOTES_AT_ONCE, NoteColumns, PairColumn, texts_of, tokenized_batches
from testkit.tokenizers import word_tokenizer

ENCODER = PieceEncoder(word_tokenizer(["fever", "and", "cough."]))
WINDOWS = WindowOptions(max_pieces=9, stride=0)
SENTENCE = pa.struct({"begin": pa.int32(), "end": pa.int32(), "result": pa.string()})


def batch_of(texts: list[Any], **columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.string()), **columns})


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([0], []), ([1], [1]), ([NOTES_AT_ONCE], [16]), ([17, 33, 0, 2], [16, 1, 16, 16, 1, 2])],
)
def test_batches_are_cut_into_a_few_notes_in_order(sizes: list[int], expected: list[int]) -> None:
    numbers = iter(range(1000))
    batches = [batch_of([f"fever {next(numbers)}" for _ in range(size)]) for size in sizes]
    found = list(tokenized_batches(iter(batches), encoder=ENCODER, columns=NoteColumns(text="text"), options=WINDOWS))
    assert [few.num_rows for few, _ in found] == expected
    assert [note.text for _, notes in found for note in notes] == [f"fever {n}" for n in range(sum(sizes))]
    for few, notes in found:
        assert few.column("text").to_pylist() == [note.text for note in notes]


@pytest.mark.parametrize(
    ("splitter", "expected"),
    [
        (None, [(), (), ()]),
        ("nupunkt", [((0, 16), (17, 22)), (), ((0, 5),)]),
        ("spark_nlp", [((0, 5), (6, 22)), (), ((0, 5),)]),
    ],
)
def test_sentences_are_those_of_the_splitter(splitter: str | None, expected: list[object]) -> None:
    """Spark NLP's come in a column, in which the list of a note may be null."""
    annotations = [[{"begin": 0, "end": 4, "result": "Fever"}], [{"begin": 0, "end": 1, "result": "no"}], None]
    batch = batch_of(["Fever and cough. Fever", None, "Fever"], found=pa.array(annotations, pa.list_(SENTENCE)))
    columns = NoteColumns(text="text", splitter=splitter, sentences="found")
    [(_, notes)] = tokenized_batches(iter([batch]), encoder=ENCODER, columns=columns, options=WINDOWS)
    assert [note.sentences for note in notes] == expected


def test_sentences_go_to_their_own_notes() -> None:
    def one(text: str) -> dict[str, Any]:
        return {"begin": 0, "end": len(text) - 1, "result": text}

    texts = ["Ab. Cd.", "Ef. Gh. Ij."]
    annotations = [[one("Ab."), one("Cd.")], [one("Ef."), one("Gh."), one("Ij.")]]
    batch = batch_of(texts, sentences=pa.array(annotations, pa.list_(SENTENCE)))
    columns = NoteColumns(text="text", splitter="spark_nlp")
    [(_, notes)] = tokenized_batches(iter([batch]), encoder=ENCODER, columns=columns, options=WINDOWS)
    assert [note.sentences for note in notes] == [((0, 3), (4, 7)), ((0, 3), (4, 7), (8, 11))]


def test_notes_are_read_with_the_texts_of_another_column() -> None:
    batch = batch_of(["fever", "and"], question=pa.array(["cough.", None]))
    pair = PairColumn(name="question", options=PairOptions(separators=(90,), first=True))
    columns = NoteColumns(text="text", pair=pair)
    [(_, notes)] = tokenized_batches(iter([batch]), encoder=ENCODER, columns=columns, options=WINDOWS)
    assert [note.pair.before.tolist() for note in notes] == [[3, 90], []]
    assert [note.status for note in notes] == ["ok", "null"]


def test_bytes_that_are_not_utf_8_stay_bytes_and_all_else_is_text() -> None:
    column = pa.array([b"\xc3\xa9", b"\xff", None, b""], pa.binary()).view(pa.string())
    assert texts_of(column) == ["é", b"\xff", None, ""]
    assert texts_of(pa.array(["é", None])) == ["é", None]
