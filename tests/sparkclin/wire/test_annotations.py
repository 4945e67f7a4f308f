"""The annotation columns are what Spark NLP's own annotators write."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from sparkclin.stages.columns import ANNOTATION
from sparkclin.wire import annotations as made_in_arrow
from sparkclin.wire import codes
from sparkclin.wire.annotations import (
    TEXT_STEP,
    annotation_columns,
    annotator_type,
    code_words,
    no_document,
    running_text,
    text_documents,
)

WORDS = code_words(50)
notes_of_windows = st.lists(st.lists(st.lists(st.integers(0, 49), min_size=1, max_size=6), max_size=4), max_size=5)


@given(notes_of_windows)
def test_tokens_are_codes_counted_from_1_and_documents_span_them(notes: list[list[list[int]]]) -> None:
    made = annotation_columns([[np.array(window, np.int32) for window in note] for note in notes], words=WORDS)
    for note, documents, tokens in zip(notes, made.documents.to_pylist(), made.tokens.to_pylist(), strict=True):
        assert [codes.decode(token["result"]) for token in tokens] == [piece for window in note for piece in window]
        assert [token["begin"] for token in tokens] == list(range(1, len(tokens) + 1))
        assert all(token["end"] == token["begin"] for token in tokens)
        assert [document["metadata"] for document in documents] == [[("sentence", str(w))] for w in range(len(note))]
        for window, document in zip(note, documents, strict=True):
            inside = [t for t in tokens if document["begin"] <= t["begin"] and t["end"] <= document["end"]]
            assert [codes.decode(token["result"]) for token in inside] == window
            assert all(token["metadata"] == document["metadata"] for token in inside)
        kinds = {annotation["annotatorType"] for annotation in documents}, {token["annotatorType"] for token in tokens}
        assert kinds == ({"document"}, {"token"}) or not note
        assert all(annotation["embeddings"] == [] for annotation in [*documents, *tokens])
        assert all(document["result"] == "" for document in documents)


def test_no_notes_are_no_annotations() -> None:
    made = annotation_columns([], words=WORDS)
    assert (len(made.documents), len(made.tokens)) == (0, 0)


def test_an_id_without_a_code_is_refused() -> None:
    with pytest.raises(IndexError):
        annotation_columns([[np.array([50], np.int32)]], words=WORDS)


def test_running_text_has_a_space_before_each_code() -> None:
    text = running_text(np.array([1, 0, 49], np.int32), WORDS)
    assert text == f" {codes.encode(1)} {codes.encode(0)} {codes.encode(49)}"
    assert len(text) == 3 * TEXT_STEP == 15
    assert running_text([], WORDS) == ""


def test_windows_of_running_text_begin_at_0_each() -> None:
    notes = [[[1, 2], [3]], [], [[4]]]
    found = text_documents([[np.array(window, np.int32) for window in note] for note in notes], words=WORDS)
    assert [[(each["begin"], each["end"]) for each in note] for note in found.to_pylist()] == [
        [(0, 9), (0, 4)], [], [(0, 4)],
    ]  # fmt: skip
    assert [[each["result"] for each in note] for note in found.to_pylist()] == [
        [f" {codes.encode(1)} {codes.encode(2)}", f" {codes.encode(3)}"], [], [f" {codes.encode(4)}"],
    ]  # fmt: skip
    numbers = [[each["metadata"] for each in note] for note in found.to_pylist()]
    assert numbers == [[[("sentence", "0")], [("sentence", "1")]], [], [[("sentence", "0")]]]
    assert {each["annotatorType"] for note in found.to_pylist() for each in note} == {"document"}


def test_one_document_has_its_begin_and_none_has_nothing() -> None:
    [[made]] = made_in_arrow.document("fever", begin=7).to_pylist()
    assert made == {
        "annotatorType": "document", "begin": 7, "end": 11, "result": "fever", "metadata": [("sentence", "0")],
        "embeddings": [],
    }  # fmt: skip
    assert no_document().to_pylist() == [[]]
    assert no_document().type == made_in_arrow.document("fever", begin=7).type


def test_words_have_the_code_of_every_id() -> None:
    assert code_words(2).to_pylist() == [codes.encode(0), codes.encode(1)]
    assert annotator_type("document") == {"annotatorType": "document"}


def test_the_struct_is_spark_nlps(spark: SparkSession) -> None:
    assert spark._jvm is not None
    assert ANNOTATION.jsonValue() == json.loads(spark._jvm.com.johnsnowlabs.nlp.Annotation.dataType().json())
