"""Pieces are the reference tokenizer's, and each one's offsets and word point to its own text."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from sparkclin.text.pieces import NO_WORD, PieceEncoder, Pieces, combine, named_ids, trimmed
from testkit.material import mtsamples, roberta_tokenizer_json
from testkit.tokenizers import train_tokenizer, train_unigram, train_wordpiece, word_tokenizer

HARD = "He's had 120/80 </s><mask> <s>\r\n\r\n\té e\u0301 😀👩🏽‍⚕️\u00a0 \u2028x\ufeff  <pad>."
TRAINED = train_tokenizer([HARD, "The patient was seen. Fever and chills."] * 5)
TOKENIZER = Tokenizer.from_str(TRAINED)
ENCODER = PieceEncoder(TRAINED)
UNTRIMMED = PieceEncoder(TRAINED.replace('"trim_offsets":true', '"trim_offsets":false'))
# str.strip() also removes these, but Unicode and the tokenizers do not count them as white space.
SEPARATORS = "\x1c\x1d\x1e\x1f"

texts = st.lists(
    st.one_of(
        st.sampled_from(["</s>", "<mask>", "<s>", "\r\n", "\n\n", "  ", "e\u0301", "😀", "\u00a0", "'s", "mg"]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters=SEPARATORS)),
    )
).map("".join)


def characters_of_bytes() -> dict[str, int]:
    """GPT-2's table: a printable character for each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


BYTES = characters_of_bytes()


def characters_by_bytes(text: str, pieces: Pieces) -> list[tuple[int, int]]:
    """Return the range of characters that each piece has bytes of, found by counting bytes."""
    parts = [bytes(BYTES[c] for c in TOKENIZER.id_to_token(piece) or "") for piece in pieces.ids.tolist()]
    assert b"".join(parts) == text.encode()
    owner = [index for index, character in enumerate(text) for _ in character.encode()]
    edges = pairwise(accumulate(map(len, parts), initial=0))
    return [(owner[begin], owner[end - 1] + 1) for begin, end in edges]


@pytest.mark.parametrize("encoder", [ENCODER, UNTRIMMED], ids=["trimmed", "untrimmed"])
@given(text=texts)
def test_all_of_a_text_comes_back_and_offsets_point_to_it(encoder: PieceEncoder, text: str) -> None:
    [pieces] = encoder.encode([text])
    for index, (begin, end) in enumerate(characters_by_bytes(text, pieces)):
        found = pieces.begins[index], pieces.ends[index]
        own = text[begin:end]
        if not own.isspace():
            assert found == (begin + len(own) - len(own.lstrip()), end - len(own) + len(own.rstrip()))
        elif pieces.words[index] == NO_WORD:
            assert found == (begin, end)
        else:  # the space before a word does not belong to it
            assert found == (end, end)


@pytest.mark.parametrize("encoder", [ENCODER, UNTRIMMED], ids=["trimmed", "untrimmed"])
@given(text=texts)
def test_words_are_the_pre_tokens_that_have_more_than_white_space(encoder: PieceEncoder, text: str) -> None:
    [pieces] = encoder.encode([text])
    words: dict[int, list[int]] = {}
    for index, word in enumerate(pieces.words.tolist()):
        words.setdefault(word, []).append(index)
    blank = words.pop(NO_WORD, [])
    assert all(not text[pieces.begins[index] : pieces.ends[index]].strip() for index in blank)
    assert list(words) == list(range(len(words)))
    pre_tokens = TOKENIZER.pre_tokenizer.pre_tokenize_str(text)
    expected = [stripped for _, (begin, end) in pre_tokens if (stripped := text[begin:end].strip())]
    assert [text[pieces.begins[own[0]] : pieces.ends[own[-1]]] for own in words.values()] == expected


@given(st.lists(texts, max_size=4))
def test_combined_parts_keep_their_positions_and_number_their_words_in_turn(parts: list[str]) -> None:
    offsets = list(accumulate(map(len, parts), initial=0))[:-1]
    encoded = ENCODER.encode(parts)
    whole = combine(zip(offsets, encoded, strict=True))
    assert whole.ids.tolist() == [piece for part in encoded for piece in part.ids.tolist()]
    text = "".join(parts)
    pairs = ((part, pieces) for part, pieces in zip(parts, encoded, strict=True))
    expected = [part[b:e] for part, p in pairs for b, e in zip(p.begins.tolist(), p.ends.tolist(), strict=True)]
    assert [text[b:e] for b, e in zip(whole.begins.tolist(), whole.ends.tolist(), strict=True)] == expected
    numbers = whole.words[whole.words != NO_WORD].tolist()
    assert sorted(set(numbers)) == list(range(sum(p.words.max(initial=-1) + 1 for p in encoded)))
    assert numbers == sorted(numbers)


def test_truncation_and_padding_of_the_file_are_ignored() -> None:
    tokenizer = Tokenizer.from_str(TRAINED)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    [pieces] = PieceEncoder(tokenizer.to_str()).encode([HARD])
    assert pieces.ids.tolist() == ENCODER.encode([HARD])[0].ids.tolist()
    assert len(pieces) > 4


def test_ascii_separators_are_text_as_they_are_to_the_tokenizer() -> None:
    [pieces] = ENCODER.encode([SEPARATORS])
    assert pieces.words.tolist() == [0] * len(SEPARATORS)


def test_n_ids_counts_added_pieces() -> None:
    tokenizer = Tokenizer.from_str(TRAINED)
    tokenizer.add_tokens(["[**Name**]"])
    assert PieceEncoder(tokenizer.to_str()).n_ids == ENCODER.n_ids + 1


def test_pieces_beyond_a_matrix_are_found_from_its_first_missing_row() -> None:
    tokenizer = Tokenizer.from_str(TRAINED)
    tokenizer.add_tokens(["[**Name**]", "[**Date**]"])
    encoder, n_ids = PieceEncoder(tokenizer.to_str()), ENCODER.n_ids
    assert encoder.beyond(n_ids) == {n_ids: "'[**Name**]'", n_ids + 1: "'[**Date**]'"}
    assert encoder.beyond(n_ids + 1) == {n_ids + 1: "'[**Date**]'"}
    assert encoder.beyond(n_ids + 2) == {}


def test_a_message_names_five_ids() -> None:
    assert named_ids({7: "'a'", 9: "'b'"}) == "'a' (id 7), 'b' (id 9)"
    assert named_ids(dict.fromkeys(range(5), "'a'")).endswith("(id 4)")
    assert named_ids(dict.fromkeys(range(7), "'a'")).endswith("(id 4), …")


@pytest.mark.parametrize(
    ("tokenizer_json", "unknown"),
    [
        (TRAINED, None),
        (word_tokenizer(["well"]), "<unk>"),
        (train_unigram([HARD]), "<unk>"),
        (train_wordpiece([HARD]), "[UNK]"),
    ],
    ids=["bytes", "words", "unigram", "wordpiece"],
)
def test_the_unknown_piece_is_the_models(tokenizer_json: str, unknown: str | None) -> None:
    expected = None if unknown is None else Tokenizer.from_str(tokenizer_json).token_to_id(unknown)
    assert PieceEncoder(tokenizer_json).unknown_id == expected
    assert (expected is None) == (unknown is None)


@given(texts, st.integers(0, 40), st.integers(0, 40))
def test_a_trimmed_range_is_the_stripped_text(text: str, begin: int, length: int) -> None:
    begin = min(begin, len(text))
    end = min(begin + length, len(text))
    first, after = trimmed(text, begin, end)
    assert text[first:after] == text[begin:end].strip()
    assert begin <= first <= after <= end


@pytest.mark.export
def test_ids_are_those_of_transformers_on_real_notes() -> None:
    transformers = pytest.importorskip("transformers")
    reference = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(roberta_tokenizer_json()), split_special_tokens=True
    )
    notes = [*mtsamples(150), HARD]
    expected = [reference(note, add_special_tokens=False)["input_ids"] for note in notes]
    assert [pieces.ids.tolist() for pieces in PieceEncoder(roberta_tokenizer_json()).encode(notes)] == expected
