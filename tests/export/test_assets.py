import json

import pytest
from tokenizers import Tokenizer

from sparkclin.export import assets
from sparkclin.export.errors import CheckpointError
from sparkclin.wire import codes
from testkit.checkpoints import TEXTS
from testkit.tokenizers import train_tokenizer

TOKENIZER = train_tokenizer(TEXTS)


@pytest.fixture(scope="module")
def built() -> assets.Assets:
    return assets.with_codes(assets.byte_level_bpe(TOKENIZER, vocab_size=450))


def test_ordinary_pieces_keep_their_ids(built: assets.Assets) -> None:
    tokenizer = Tokenizer.from_str(TOKENIZER)
    size = tokenizer.get_vocab_size()
    assert built.vocabulary[:size] == tuple(tokenizer.id_to_token(index) for index in range(size))
    assert len(built.vocabulary) == len(set(built.vocabulary)) == 2 * 450


def test_every_code_is_one_piece_at_id_plus_v(built: assets.Assets) -> None:
    ranks = {merge: rank for rank, merge in enumerate(built.merges)}
    for index in range(450):
        (piece,) = assets.bpe(codes.in_bytes(codes.encode(index)), ranks)
        assert built.vocabulary[450 + index] == "Ġ" + piece


def test_ordinary_words_are_split_as_before(built: assets.Assets) -> None:
    ranks = {merge: rank for rank, merge in enumerate(built.merges)}
    before = {assets.as_pair(merge): rank for rank, merge in enumerate(json.loads(TOKENIZER)["model"]["merges"])}
    for word in ("clinic", "pressure", "բարեւ", "Մέnière"):
        if not set(word) & {*codes.LOWER, *codes.UPPER}:
            assert assets.bpe(codes.in_bytes(word), ranks) == assets.bpe(codes.in_bytes(word), before)


def test_merges_across_code_letters_are_found() -> None:
    tokenizer = json.loads(TOKENIZER)
    last_byte, first_byte = codes.in_bytes(codes.UPPER[0])[1], codes.in_bytes(codes.LOWER[5])[0]
    tokenizer["model"]["merges"].insert(0, [last_byte, first_byte])
    with pytest.raises(CheckpointError, match=r"tear .* transport codes apart"):
        assets.with_codes(assets.byte_level_bpe(json.dumps(tokenizer), vocab_size=450))


def test_missing_special_pieces_are_named() -> None:
    with pytest.raises(CheckpointError, match="lacks the special pieces <mask>, which RoBERTa's has"):
        assets.byte_level_bpe(TOKENIZER.replace("<mask>", "<other>"), vocab_size=450)


def test_another_kind_of_tokenizer_is_refused() -> None:
    tokenizer = json.loads(TOKENIZER)
    tokenizer["model"]["type"] = "WordPiece"
    with pytest.raises(CheckpointError, match="not a byte-level BPE"):
        assets.byte_level_bpe(json.dumps(tokenizer), vocab_size=450)


def test_a_tokenizer_that_spark_nlp_cannot_run_gets_codes_only() -> None:
    ordinary = assets.no_ordinary_pieces(vocab_size=30, cls_id=7, sep_id=8, pad_id=0)
    assert (ordinary.vocabulary[7], ordinary.vocabulary[8], ordinary.vocabulary[0]) == ("<s>", "</s>", "<pad>")
    assert ordinary.merges == ()
    built = assets.with_codes(ordinary)
    ranks = {merge: rank for rank, merge in enumerate(built.merges)}
    pieces = [assets.bpe(codes.in_bytes(codes.encode(index)), ranks) for index in range(30)]
    assert built.vocabulary[30:] == tuple("Ġ" + piece for [piece] in pieces)
    assert len(set(built.vocabulary)) == 60
