"""Transport codes: four Armenian letters for every id, and the merges that make one piece of them."""

from __future__ import annotations

from itertools import islice

import pytest

from sparkclin.wire.codes import LENGTH, LOWER, MAX_IDS, PAIRS, UPPER, decode, encode, in_bytes, merges


@pytest.mark.parametrize(
    ("piece_id", "code"),
    [(0, "աԱաԱ"), (1, "աԱաԲ"), (37, "աԱաՖ"), (38, "աԱբԱ"), (1443, "աԱֆՖ"), (1444, "աԲաԱ"), (2_085_135, "ֆՖֆՖ")],
)
def test_a_code_is_two_pairs_of_a_lower_and_an_upper_letter(piece_id: int, code: str) -> None:
    assert encode(piece_id) == code
    assert decode(code) == piece_id
    assert len(code) == LENGTH


def test_there_are_38_letters_of_each_case() -> None:
    assert (len(LOWER), len(UPPER), len(PAIRS), MAX_IDS) == (38, 38, 1444, 2_085_136)
    assert [letter.upper() for letter in LOWER] == list(UPPER)


@pytest.mark.parametrize("piece_id", [-1, 2_085_136])
def test_an_id_that_no_code_can_carry_is_refused(piece_id: int) -> None:
    with pytest.raises(ValueError, match=f"piece id {piece_id} is outside 0…2085135"):
        encode(piece_id)


@pytest.mark.parametrize("code", ["", "աԱ", "աԱա", "աԱաԱա", "ԱաաԱ", "աԱԱա", "fever", "ա Աա"])
def test_what_is_no_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="not a transport code: expected four Armenian letters"):
        decode(code)


def test_bytes_are_written_as_gpt_2_writes_them() -> None:
    assert in_bytes("a !~") == "aĠ!~"
    assert in_bytes("\0\n\x7f\xad") == "ĀĊġÂŃ"
    assert in_bytes("ա") == "Õ¡"
    assert in_bytes("é\xa0") == "Ã©Âł"


def test_merges_make_letters_then_pairs_then_codes() -> None:
    found = list(merges(3))
    assert len(found) == 76 + 1444 + 3
    assert found[:2] == [("Õ", "¡"), ("Õ", "¢")]
    assert found[38] == ("Ô", "±")
    assert found[76] == ("Õ¡", "Ô±")
    assert found[-3:] == [("Õ¡Ô±", "Õ¡Ô±"), ("Õ¡Ô±", "Õ¡Ô²"), ("Õ¡Ô±", "Õ¡Ô³")]
    assert list(islice(merges(0), 76 + 1444, None)) == []
