"""Rows of notes and pairs, held to those of transformers' tokenizer."""

from __future__ import annotations

from functools import partial

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from sparkclin.errors import InputError
from sparkclin.text.pieces import PieceEncoder
from testkit.checkpoints import random_bigbird, random_checkpoint
from training.windowed import Layout, Row, rows_of_transformers

pytestmark = pytest.mark.export

NOTE, OTHER = "the patient was seen </s> in the clinic, he's well today [SEP]", "no acute distress"
MAKERS = [partial(random_checkpoint, attention_window=8), random_bigbird]


@pytest.fixture(scope="module", params=MAKERS)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(request.param(tmp_path_factory.mktemp("model")))
    return tokenizer


def ids_of(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    (pieces,) = PieceEncoder(tokenizer.backend_tokenizer.to_str()).encode([text])
    return [int(number) for number in pieces.ids]


def rows(
    tokenizer: PreTrainedTokenizerBase, other: str | None, *, other_first: bool = False, max_pieces: int
) -> list[Row]:
    pieces = None if other is None else ids_of(tokenizer, other)
    note = ids_of(tokenizer, NOTE)
    return Layout.of(tokenizer).rows(note, pieces, other_first=other_first, max_pieces=max_pieces)


@pytest.mark.parametrize(("other", "other_first"), [(None, False), (OTHER, False), (OTHER, True)])
@pytest.mark.parametrize("types", [False, True])
def test_rows_are_those_of_transformers(
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
    other: str | None,
    *,
    other_first: bool,
    types: bool,
) -> None:
    names = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    monkeypatch.setattr(tokenizer, "model_input_names", names)
    note = ids_of(tokenizer, NOTE)
    for max_pieces in (20, 24, 60, 190):
        ours = rows(tokenizer, other, other_first=other_first, max_pieces=max_pieces)
        theirs = rows_of_transformers(tokenizer, NOTE, other, other_first=other_first, max_pieces=max_pieces)
        assert [row.ids for row in ours] == [row.ids for row in theirs]
        if types and len(Layout.of(tokenizer).between) == 1:  # RoBERTa's processor gives every piece type 0
            assert [row.types for row in ours] == [row.type_ids for row in theirs]
        for row in ours:
            begin, end = row.window
            assert row.ids[row.first : row.first + end - begin] == note[begin:end]
            assert len(row.ids) <= max_pieces + 2
        assert ours[-1].window[1] == len(note)
    assert len(rows(tokenizer, other, other_first=other_first, max_pieces=20)) > 1


def test_another_text_that_fills_the_window_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    longest = len(ids_of(tokenizer, OTHER))
    with pytest.raises(
        InputError,
        match=rf"1 of 1 rows have a pair that leaves .* pieces in a window of {longest} .*{longest}\)",
    ):
        rows_of_transformers(tokenizer, NOTE, OTHER, max_pieces=longest)
