"""Notes as pieces, windows and a status: each note keeps its own, and a pair takes its room from every window."""

from __future__ import annotations

import numpy as np
import pytest

from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.tokenization import NO_PAIR, PairIds, PairOptions, Text, TokenizedNote, tokenize, tokenize_pairs
from sparkclin.text.windows import Range, WindowOptions
from testkit.tokenizers import train_tokenizer, word_tokenizer

ENCODER = PieceEncoder(word_tokenizer(["fever", "and", "cough", "no", "pain"]))
"""fever 1, and 2, cough 3, no 4, pain 5"""

BYTES = PieceEncoder(train_tokenizer(["fever and cough"]))
"""Unlike ENCODER it has pieces for white space."""


def tokenized(text: Text, *, encoder: PieceEncoder = ENCODER, **options: int | None) -> TokenizedNote:
    windows = WindowOptions(**{"max_pieces": 9, "stride": 0, **options})  # type: ignore[arg-type]
    [note] = tokenize([text], [()], encoder=encoder, options=windows)
    return note


def read_with(note: Text, pair: Text, **options: int | None) -> TokenizedNote:
    """Of a note and a pair with one separator, 90, between the two."""
    windows = WindowOptions(**{"max_pieces": 9, "stride": 0, **options})  # type: ignore[arg-type]
    [found] = tokenize_pairs(
        [note], [pair], encoder=ENCODER, options=windows, pairing=PairOptions(separators=(90,), first=True)
    )
    return found


def test_a_note_is_tokenized_whole() -> None:
    options = WindowOptions(max_pieces=2, stride=1)
    [note] = tokenize(["fever and\n cough"], [((0, 5), (6, 16))], encoder=ENCODER, options=options)
    assert note.pieces.ids.tolist() == [1, 2, 3]
    assert note.pieces.begins.tolist() == [0, 6, 11]
    assert note.pieces.ends.tolist() == [5, 9, 16]
    assert note.pieces.words.tolist() == [0, 1, 2]
    assert note.windows == ((0, 2), (1, 3))
    assert note.sentences == ((0, 5), (6, 16))
    assert (note.status, note.text) == ("ok", "fever and\n cough")
    assert note.pair is NO_PAIR
    assert len(NO_PAIR) == 0


def test_with_context_sentence_no_window_is_of_two_sentences() -> None:
    """Pieces, words and windows are still those of the note, in code points of the note."""
    sentences = ((0, 9), (10, 23), (24, 26))
    options = WindowOptions(max_pieces=2, stride=1, context="sentence")
    [note] = tokenize(["fever and\ncough no pain\nno"], [sentences], encoder=ENCODER, options=options)
    assert note.pieces.ids.tolist() == [1, 2, 3, 4, 5, 4]
    assert note.pieces.begins.tolist() == [0, 6, 10, 16, 19, 24]
    assert note.pieces.words.tolist() == [0, 1, 2, 3, 4, 5]
    assert note.windows == ((0, 2), (2, 4), (3, 5), (5, 6))
    assert note.sentences == sentences


@pytest.mark.parametrize("encoder", [ENCODER, BYTES], ids=["words", "bytes"])
@pytest.mark.parametrize(
    ("text", "status"), [(None, "null"), (b"\xff", "not_utf8"), ("", "empty"), (" \n ", "empty"), ("fever", "ok")]
)
def test_a_note_without_text_has_a_status_and_nothing_else(text: Text, status: str, encoder: PieceEncoder) -> None:
    note = tokenized(text, encoder=encoder, max_note_pieces=40)
    assert note.status == status
    if status != "ok":
        assert (len(note.pieces), note.windows, note.sentences, note.text) == (0, (), (), "")


@pytest.mark.parametrize(
    ("most", "status", "windows"),
    [(None, "ok", ((0, 3),)), (4, "ok", ((0, 3),)), (3, "ok", ((0, 3),)), (2, "too_long", ())],
)
def test_a_note_of_more_pieces_than_may_be_is_not_read(
    most: int | None, status: str, windows: tuple[Range, ...]
) -> None:
    note = tokenized("fever and cough", max_note_pieces=most)
    assert (note.status, note.windows, len(note.pieces)) == (status, windows, 3 if windows else 0)


@pytest.mark.parametrize("context", ["note", "sentence"])
def test_each_of_several_notes_has_its_own(context: str) -> None:
    texts: list[Text] = ["fever", None, "", "cough pain", b"\xff", "no"]
    sentences: list[tuple[Range, ...]] = [((0, 5),), (), (), ((0, 5), (6, 10)), (), ((0, 2),)]
    options = WindowOptions(max_pieces=9, stride=0, context=context)
    notes = tokenize(texts, sentences, encoder=ENCODER, options=options)
    assert [note.pieces.ids.tolist() for note in notes] == [[1], [], [], [3, 5], [], [4]]
    assert [note.status for note in notes] == ["ok", "null", "empty", "ok", "not_utf8", "ok"]
    assert [note.text for note in notes] == ["fever", "", "", "cough pain", "", "no"]
    assert [note.sentences for note in notes] == sentences


def test_separators_are_between_the_pair_and_the_window() -> None:
    pair = tokenized("no pain").pieces
    before = PairOptions(separators=(90, 91), first=True).ids(pair)
    assert (before.before.tolist(), before.behind.tolist(), len(before)) == ([4, 5, 90, 91], [], 4)
    behind = PairOptions(separators=(90, 91)).ids(pair)
    assert (behind.before.tolist(), behind.behind.tolist(), len(behind)) == ([], [90, 91, 4, 5], 4)
    assert {ids.dtype for ids in (before.before, before.behind, behind.before, behind.behind)} == {np.dtype(np.int32)}
    assert len(PairIds(before=before.before, behind=behind.behind)) == 8


@pytest.mark.parametrize(
    ("max_pieces", "stride", "windows"),
    [
        (6, 0, ((0, 3),)),
        (5, 0, ((0, 2), (2, 3))),
        (5, 1, ((0, 2), (1, 3))),
        (4, 0, ((0, 1), (1, 2), (2, 3))),
    ],
)
def test_a_pair_takes_its_room_from_every_window(max_pieces: int, stride: int, windows: tuple[Range, ...]) -> None:
    """`no pain` and a separator are 3 pieces."""
    note = read_with("fever and cough", "no pain", max_pieces=max_pieces, stride=stride)
    assert (note.status, note.windows) == ("ok", windows)
    assert note.pair.before.tolist() == [4, 5, 90]
    assert (note.pieces.ids.tolist(), note.text) == ([1, 2, 3], "fever and cough")


@pytest.mark.parametrize(("max_pieces", "stride"), [(3, 0), (2, 0), (5, 2), (5, 4), (4, 1)])
def test_a_pair_that_leaves_no_room_for_more_than_the_stride_is_too_long(max_pieces: int, stride: int) -> None:
    """Such windows would never get to the end of the note."""
    note = read_with("fever and cough", "no pain", max_pieces=max_pieces, stride=stride)
    assert (note.status, note.windows, len(note.pieces)) == ("pair_too_long", (), 0)


@pytest.mark.parametrize(
    ("note", "pair", "status"),
    [
        (None, "no", "null"),
        ("fever", None, "null"),
        ("fever", b"\xff", "not_utf8"),
        (b"\xff", None, "not_utf8"),
        ("fever", " ", "empty"),
        ("fever and", "no", "too_long"),
        ("fever", "no pain", "ok"),
    ],
)
def test_what_cannot_be_read_of_the_two_is_the_status(note: Text, pair: Text, status: str) -> None:
    """The limit of pieces is for the note alone; if both cannot be read, the note's status counts."""
    assert read_with(note, pair, max_note_pieces=1).status == status


def test_each_note_is_read_with_its_own_pair() -> None:
    options = WindowOptions(max_pieces=9, stride=0)
    notes = tokenize_pairs(
        ["fever", "cough", "and"],
        ["no", None, "pain no"],
        encoder=ENCODER,
        options=options,
        pairing=PairOptions(separators=(90,)),
    )
    assert [note.pieces.ids.tolist() for note in notes] == [[1], [], [2]]
    assert [note.pair.behind.tolist() for note in notes] == [[90, 4], [], [90, 5, 4]]
