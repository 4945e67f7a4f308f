"""Entities from the logits of pieces, by hand; transformers' own pipeline is compared in tests/export/heads."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from sparkclin.errors import OptionError
from sparkclin.text.entities import (
    EntityOptions,
    Tag,
    kinds_of,
    merge_entities,
    plan_entities,
    without_punctuation,
)
from sparkclin.text.pieces import PieceEncoder, Pieces
from sparkclin.text.pooling import PartOutput
from sparkclin.text.tokenization import TokenizedNote, tokenize
from sparkclin.text.windows import Range, WindowOptions
from testkit.material import bigbird_tokenizer_json, mtsamples, roberta_tokenizer_json
from testkit.tokenizers import train_tokenizer, train_unigram, train_wordpiece

LABELS = ("O", "B-DRUG", "I-DRUG", "B-SIGN", "I-SIGN")
TEXT = "took un known aspirin"
PIECES: list[Range] = [(0, 4), (5, 7), (8, 10), (10, 13), (14, 18), (18, 21)]
"""took | un | kn, own | aspi, rin"""


def note(*windows: Range) -> TokenizedNote:
    begins, ends = np.array(PIECES, np.int32).T
    numbers = np.arange(len(PIECES), dtype=np.int32)
    pieces = Pieces(ids=numbers, begins=begins, ends=ends, words=np.array([0, 1, 2, 2, 3, 3], np.int32))
    return TokenizedNote(pieces, windows or ((0, len(PIECES)),), (), text=TEXT)


def found(
    labels: Sequence[str], *, aggregation: str = "simple", known: tuple[str, ...] = LABELS, sure: float = 4.0
) -> list[tuple[str, str]]:
    """Kind and text of the entities where the pieces have these labels."""
    options = EntityOptions(labels=known, aggregation=aggregation)
    plan = plan_entities(note(), options=options)
    parts = [
        PartOutput(part.segment, 1, np.where(np.array(known) == label, sure + index / 8, 0.0))
        for index, (part, label) in enumerate(zip(plan.parts, labels, strict=True))
    ]
    entities = merge_entities(plan.segments, parts, options=options)
    assert all(entity.vector is not None and 0 < entity.vector[1] <= 1 for entity in entities)
    kinds = kinds_of(known)
    return [(kinds[int(entity.vector[0])], TEXT[entity.begin : entity.end]) for entity in entities]  # type: ignore[index]


def test_pieces_of_one_kind_are_one_entity() -> None:
    assert found(["O", "B-DRUG", "I-DRUG", "I-DRUG", "O", "O"]) == [("DRUG", "un known")]


def test_an_entity_begins_where_a_label_says_so() -> None:
    labels = ["O", "B-DRUG", "B-DRUG", "I-DRUG", "B-SIGN", "I-SIGN"]
    assert found(labels) == [("DRUG", "un"), ("DRUG", "known"), ("SIGN", "aspirin")]


def test_an_entity_needs_no_begin() -> None:
    assert found(["O", "O", "I-DRUG", "I-DRUG", "I-SIGN", "O"]) == [("DRUG", "known"), ("SIGN", "aspi")]


def test_labels_without_prefixes_go_on() -> None:
    known = ("O", "DRUG", "SIGN")
    assert found(["DRUG", "DRUG", "O", "SIGN", "SIGN", "DRUG"], known=known) == [
        ("DRUG", "took un"), ("SIGN", "own aspi"), ("DRUG", "rin"),
    ]  # fmt: skip


def test_bioes_labels_end_entities() -> None:
    known = ("O", "B-DRUG", "I-DRUG", "E-DRUG", "S-DRUG")
    labels = ["S-DRUG", "B-DRUG", "I-DRUG", "E-DRUG", "I-DRUG", "S-DRUG"]
    assert found(labels, known=known) == [("DRUG", "took"), ("DRUG", "un known"), ("DRUG", "aspi"), ("DRUG", "rin")]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("simple", [("DRUG", "kn"), ("SIGN", "own"), ("DRUG", "rin")]),
        ("first", [("DRUG", "known")]),
        ("max", [("SIGN", "known"), ("DRUG", "aspirin")]),
    ],
)
def test_a_word_has_the_label_of_its_first_or_surest_piece(aggregation: str, expected: list[tuple[str, str]]) -> None:
    """Later pieces are surer in these."""
    assert found(["O", "O", "B-DRUG", "I-SIGN", "O", "B-DRUG"], aggregation=aggregation) == expected


def test_an_average_is_of_probabilities() -> None:
    """Of 0.9, 0.1 and 0.4, 0.6 the means are 0.65 and 0.35; the second piece alone would say SIGN."""
    known = ("O", "DRUG", "SIGN")
    options = EntityOptions(labels=known, aggregation="average")
    plan = plan_entities(note(), options=options)
    logits = {2: [-99.0, np.log(0.9), np.log(0.1)], 3: [-99.0, np.log(0.4), np.log(0.6)]}
    parts = [
        PartOutput(part.segment, 1, np.array(logits.get(index, [9.0, 0.0, 0.0])))
        for index, part in enumerate(plan.parts)
    ]
    [entity] = merge_entities(plan.segments, parts, options=options)
    assert (entity.begin, entity.end) == (8, 13)
    assert entity.vector is not None
    np.testing.assert_allclose(entity.vector, [0, 0.65], atol=1e-6)


def test_the_score_is_the_mean_over_words() -> None:
    options = EntityOptions(labels=("O", "DRUG"), aggregation="simple")
    plan = plan_entities(note(), options=options)
    probabilities = [0.1, 0.6, 0.8, 0.1, 0.1, 0.1]
    parts = [PartOutput(part.segment, 1, np.log([1 - p, p])) for part, p in zip(plan.parts, probabilities, strict=True)]
    [entity] = merge_entities(plan.segments, parts, options=options)
    assert entity.vector is not None
    np.testing.assert_allclose(entity.vector, [0, 0.7], atol=1e-6)


@pytest.mark.parametrize("aggregation", ["simple", "first", "word"])
def test_every_piece_is_asked_for_once_from_the_window_that_owns_it(aggregation: str) -> None:
    """Of the windows 0…4 and 2…6 the first owns the pieces 0, 1 and 2; `known` is in both, and is one word."""
    plan = plan_entities(note((0, 4), (2, 6)), options=EntityOptions(labels=LABELS, aggregation=aggregation))
    assert [(part.window, part.begin, part.end) for part in plan.parts] == [
        (0, 1, 2), (0, 2, 3), (0, 3, 4), (1, 2, 3), (1, 3, 4), (1, 4, 5),
    ]  # fmt: skip
    expected = [0, 1, 2, 3, 4, 5] if aggregation == "simple" else [0, 1, 2, 2, 3, 3]
    assert [part.segment for part in plan.parts] == expected


def test_a_piece_has_the_label_that_the_window_which_owns_it_gives() -> None:
    """Of the windows 0…4 and 2…6; `known` is of both. The other window always says SIGN, and is surer."""
    options = EntityOptions(labels=LABELS, aggregation="simple")
    plan = plan_entities(note((0, 4), (2, 6)), options=options)
    outside, begin, inside, other = [4, 0, 0, 0, 0], [0, 4, 0, 0, 0], [0, 0, 4, 0, 0], [0, 0, 0, 9, 0]
    logits = [[other, outside, begin, inside, other, other], [other, other, outside, outside, begin, other]]
    parts = [PartOutput(part.segment, 1, np.array(logits[part.window][part.begin], float)) for part in plan.parts]
    entities = merge_entities(plan.segments, parts, options=options)
    assert [TEXT[entity.begin : entity.end] for entity in entities] == ["un kn", "rin"]


def segments_of(text: str, pieces: Sequence[Range], ids: Sequence[int] = (), **options: Any) -> list[str]:
    """The words of a text that is one pre-token, in these pieces."""
    begins, ends = np.array(pieces, np.int32).T
    columns = Pieces(np.array(ids or range(len(pieces)), np.int32), begins, ends, np.zeros(len(pieces), np.int32))
    note = TokenizedNote(columns, ((0, len(pieces)),), (), text=text)
    plan = plan_entities(note, options=EntityOptions(labels=LABELS, **options))
    assert [part.begin for part in plan.parts] == list(range(1, 1 + len(pieces)))
    return [text[begin:end] for begin, end in plan.segments]


@pytest.mark.parametrize(
    ("text", "pieces", "words"),
    [
        pytest.param(
            "heart  failure", [(0, 5), (5, 6), (7, 14)], ["heart", "", "failure"], id="a piece of white space"
        ),
        pytest.param("heart failure", [(0, 5), (5, 13)], ["heart", "failure"], id="a space in front"),
        pytest.param("heart failure", [(0, 5), (6, 10), (10, 13)], ["heart", "failure"], id="two pieces"),
        pytest.param("hernia.\nNo", [(0, 6), (6, 7), (8, 10)], ["hernia.\nNo"], id="a line break"),
        pytest.param("🩺x", [(0, 1), (0, 1), (1, 2)], ["🩺", "🩺x"], id="bytes of the first character"),
    ],
)
def test_a_word_of_transformers_ends_at_a_space(text: str, pieces: list[Range], words: list[str]) -> None:
    assert segments_of(text, pieces, aggregation="first") == words


@pytest.mark.parametrize(("unknown_id", "words"), [(8, ["he", "rnia"]), (None, ["hernia"]), (5, ["hernia"])])
def test_an_unknown_piece_begins_a_word_of_transformers(unknown_id: int | None, words: list[str]) -> None:
    pieces = [(0, 2), (2, 6)]
    assert segments_of("hernia", pieces, [7, 8], aggregation="first", unknown_id=unknown_id) == words
    assert segments_of("hernia", pieces, [7, 8], unknown_id=unknown_id) == ["hernia"]


@pytest.mark.parametrize(
    ("text", "pieces", "words"),
    [
        pytest.param("heartfailure", [(0, 5), (5, 12)], ["heartfailure"], id="letters"),
        pytest.param("heart.", [(0, 5), (5, 6)], ["heart", "."], id="letters before punctuation"),
        pytest.param("-old", [(0, 1), (1, 4)], ["-", "old"], id="letters behind punctuation"),
        pytest.param("--", [(0, 1), (1, 2)], ["-", "-"], id="punctuation"),
        pytest.param("a\u0301b", [(0, 1), (1, 2), (2, 3)], ["a\u0301b"], id="a mark that combines"),
        pytest.param("🩺x", [(0, 1), (0, 1), (1, 2)], ["🩺", "x"], id="bytes of a character"),
        pytest.param("é", [(0, 1), (0, 1)], ["é"], id="bytes of a letter"),
        pytest.param("a b", [(0, 1), (2, 3)], ["a", "b"], id="a space"),
        pytest.param("a b", [(0, 1), (1, 3)], ["a", "b"], id="a space in front"),
        pytest.param("a  b", [(0, 1), (1, 2), (3, 4)], ["a", "b"], id="a piece of white space"),
    ],
)
def test_a_pre_token_is_cut_at_white_space_and_punctuation(text: str, pieces: list[Range], words: list[str]) -> None:
    assert segments_of(text, pieces) == words


def test_a_mark_joins_two_pre_tokens() -> None:
    """Some tokenizers cut before a separate accent."""
    columns = ([0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3, 4], [0, 1, 2, 3])
    pieces = Pieces(*(np.array(column, np.int32) for column in columns))
    note = TokenizedNote(pieces, ((0, 4),), (), text="e\u0301fg")
    plan = plan_entities(note, options=EntityOptions(labels=LABELS))
    assert plan.segments == [(0, 3), (3, 4)]


@pytest.mark.parametrize(
    ("begin", "end", "expected"), [(0, 7, (1, 5)), (1, 5, (1, 5)), (5, 7, (5, 6)), (0, 1, (0, 1)), (6, 7, (7, 7))]
)
def test_punctuation_and_white_space_are_taken_off(begin: int, end: int, expected: Range) -> None:
    assert without_punctuation("(a-bc) ", begin, end) == expected


def test_an_entity_of_white_space_only_is_left_out() -> None:
    """Its score would be of nothing that can be seen."""
    options = EntityOptions(labels=("O", "DRUG"), aggregation="simple")
    drug = np.array([0.0, 9.0])
    parts = [PartOutput(index, 1, drug if index != 1 else -drug) for index in range(3)]
    [entity] = merge_entities([(2, 2), (3, 4), (5, 7)], parts, options=options)
    assert (entity.begin, entity.end) == (5, 7)
    assert entity.vector is not None
    assert entity.vector.dtype == np.float32


PROSE = "Hernia, heart-failure (IL-2/G6PD) with 5'-AMP: Parkinson's 6.5% \"sepsis\".\nNSTEMI; naïve 🩺... \nDIAGNOSIS:,"
TOKENIZERS: dict[str, Callable[[], str]] = {
    "byte-level BPE": lambda: train_tokenizer([PROSE]),
    "SentencePiece": lambda: train_unigram([PROSE], vocab_size=90),
    "WordPiece": lambda: train_wordpiece([PROSE]),
    "RoBERTa's": roberta_tokenizer_json,
    "BigBird's": bigbird_tokenizer_json,
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def encoder(request: pytest.FixtureRequest) -> PieceEncoder:
    return PieceEncoder(TOKENIZERS[request.param]())


def tokenized(text: str, encoder: PieceEncoder) -> TokenizedNote:
    [note] = tokenize([text], [()], encoder=encoder, options=WindowOptions(max_pieces=4000, stride=0))
    return note


def words_of(text: str, encoder: PieceEncoder) -> list[str]:
    plan = plan_entities(tokenized(text, encoder), options=EntityOptions(labels=LABELS))
    return [text[begin:end] for begin, end in plan.segments if begin < end]


def entities_of(text: str, labels: dict[str, str], encoder: PieceEncoder) -> list[str]:
    """Return the entities found by default if the first piece of each word has its label in `labels`, or else O, and
    all other pieces are sure to be signs, as of a model that never learned labels for them."""
    note, options = tokenized(text, encoder), EntityOptions(labels=LABELS)
    plan = plan_entities(note, options=options)
    begins = {match.start(): match.group() for match in re.finditer(r"[^\W_]+|[^\w\s]", text)}
    taken, parts = set(), []
    for part, begin, end in zip(plan.parts, note.pieces.begins.tolist(), note.pieces.ends.tolist(), strict=True):
        is_first = begin < end and begin in begins and begin not in taken
        taken |= {begin} if is_first else set()
        label = labels.get(begins[begin], "O") if is_first else "B-SIGN"
        parts.append(PartOutput(part.segment, 1, np.where(np.array(LABELS) == label, 9.0, 0.0)))
    return [text[entity.begin : entity.end] for entity in merge_entities(plan.segments, parts, options=options)]


def test_letters_and_punctuation_never_share_a_word(encoder: PieceEncoder) -> None:
    words = words_of(PROSE, encoder)
    assert [word for word in words if is_mixed(word)] == []
    assert letters("".join(words)) == letters(PROSE)
    assert {"Hernia", "heart", "failure", "Parkinson", "sepsis", "NSTEMI", "naïve", "DIAGNOSIS"} <= set(words)


def test_a_combining_mark_is_part_of_its_word(encoder: PieceEncoder) -> None:
    assert words_of("heart cafe\u0301s.", encoder)[:-1] == ["heart", "cafe\u0301s"]


def is_mixed(word: str) -> bool:
    return 0 < len(letters(word)) < len(word)


def letters(text: str) -> str:
    """Return the letters and digits of a text."""
    return "".join(filter(str.isalnum, text))


@pytest.mark.parametrize("tokenizer_json", [roberta_tokenizer_json, bigbird_tokenizer_json])
def test_letters_and_punctuation_of_real_notes_never_share_a_word(tokenizer_json: Callable[[], str]) -> None:
    encoder = PieceEncoder(tokenizer_json())
    for text in mtsamples(50):
        words = words_of(text, encoder)
        assert sum(map(is_mixed, words)) == 0
        assert letters("".join(words)) == letters(text)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("He has a hernia. It hurts.", {"hernia": "B-SIGN"}, ["hernia"]),
        ("DIAGNOSIS:, (hernia), well", {"hernia": "B-SIGN"}, ["hernia"]),
        ("acute heart-failure.", {"heart": "B-SIGN", "-": "I-SIGN", "failure": "I-SIGN"}, ["heart-failure"]),
        ("5'-AMP.", {"5": "B-DRUG", "'": "I-DRUG", "-": "I-DRUG", "AMP": "I-DRUG"}, ["5'-AMP"]),
        ("aspirin/heparin", {"aspirin": "B-DRUG", "heparin": "B-DRUG"}, ["aspirin", "heparin"]),
        ("fever\n  chills", {"fever": "B-SIGN", "chills": "B-SIGN"}, ["fever", "chills"]),
    ],
)
def test_an_entity_ends_before_punctuation_and_goes_on_over_a_hyphen(
    text: str, labels: dict[str, str], expected: list[str], encoder: PieceEncoder
) -> None:
    assert entities_of(text, labels, encoder) == expected


def test_a_piece_of_letters_and_punctuation_is_a_word_without_its_punctuation() -> None:
    """Such a piece cannot be cut. RoBERTa's tokenizer makes `'s` one, BigBird's none of ASCII."""
    text = "(own). x"
    pieces = Pieces(*(np.array(column, np.int32) for column in ([0, 1, 2], [0, 2, 7], [2, 6, 8], [0, 0, 1])))
    note = TokenizedNote(pieces, ((0, 3),), (), text=text)
    plan = plan_entities(note, options=EntityOptions(labels=LABELS))
    assert [text[begin:end] for begin, end in plan.segments] == ["own", "x"]
    assert without_punctuation("a ).  b", 1, 6) == (2, 4)


def test_a_piece_of_white_space_does_not_end_an_entity() -> None:
    """Byte-level BPE makes pieces of spaces and line breaks; theirs is not the label of a word."""
    text = "heart  \n failure"
    encoder = PieceEncoder(train_tokenizer([text]))
    assert entities_of(text, {"heart": "B-SIGN", "failure": "I-SIGN"}, encoder) == [text]


def test_a_note_without_pieces_has_no_entities() -> None:
    options = EntityOptions(labels=LABELS)
    empty = TokenizedNote(Pieces(*(np.empty(0, np.int32) for _ in range(4))), (), ())
    plan = plan_entities(empty, options=options)
    assert merge_entities(plan.segments, [], options=options) == []


def test_labels_are_taken_apart() -> None:
    assert Tag.of("B-DRUG") == Tag("DRUG", begins=True, ends=False)
    assert Tag.of("S-DRUG-X") == Tag("DRUG-X", begins=True, ends=True)
    assert Tag.of("HTTP-CODE") == Tag("HTTP-CODE", begins=False, ends=False)
    assert Tag.of("E-DRUG") == Tag("DRUG", begins=False, ends=True)
    assert Tag.of("I-DRUG") == Tag.of("DRUG") == Tag("DRUG", begins=False, ends=False)
    assert Tag.of("B") == Tag("B", begins=False, ends=False)
    assert kinds_of(LABELS) == ("DRUG", "SIGN")


def test_words_are_pre_tokens_if_nothing_is_said() -> None:
    assert EntityOptions(labels=LABELS) == EntityOptions(labels=LABELS, aggregation="word", unknown_id=None)


def test_an_unknown_aggregation_is_refused() -> None:
    with pytest.raises(
        OptionError,
        match="unknown aggregation of entities, 'median': expected one of word, simple, first, max, average",
    ):
        EntityOptions(labels=LABELS, aggregation="median")
