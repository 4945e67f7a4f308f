"""Transport codes: how a piece id travels through Spark NLP unharmed.

Spark NLP's byte-level BPE always runs on the words it is given. A code is a word that it can read in one way only:
four Armenian letters, lower, upper, lower, upper (38 of each), so 38⁴ = 2,085,136 ids can be written. Merges join the
two bytes of a letter, then a lower with an upper letter, then the two pairs of one code; nothing else can happen first
(`sparkclin.export.assets` checks this for every id of every vocabulary it writes).

Armenian was chosen because clinical vocabularies have no merges across its letters, and because case matters to the
code: a model that carries codes must be case sensitive.
"""

from __future__ import annotations

from collections.abc import Iterator

LOWER = tuple(chr(c) for c in range(0x0561, 0x0587))
UPPER = tuple(chr(c) for c in range(0x0531, 0x0557))
PAIRS = tuple(low + up for low in LOWER for up in UPPER)
MAX_IDS = len(PAIRS) ** 2
LENGTH = 4
"""In characters."""

_PAIR_INDEX = {pair: index for index, pair in enumerate(PAIRS)}


def encode(piece_id: int) -> str:
    """The code word of a piece id.

    Raises ValueError for an id that no code can carry.
    """
    if not 0 <= piece_id < MAX_IDS:
        raise ValueError(f"piece id {piece_id} is outside 0…{MAX_IDS - 1}, the ids that a transport code can carry")
    high, low = divmod(piece_id, len(PAIRS))
    return PAIRS[high] + PAIRS[low]


def decode(code: str) -> int:
    """The piece id of a code word; raises ValueError for anything that is not one."""
    high, low = _PAIR_INDEX.get(code[:2]), _PAIR_INDEX.get(code[2:])
    if high is None or low is None:
        raise ValueError("not a transport code: expected four Armenian letters, lower, upper, lower, upper")
    return high * len(PAIRS) + low


CLS, SEP, PAD, UNK, MASK = SPECIAL_PIECES = ("<s>", "</s>", "<pad>", "<unk>", "<mask>")
"""Spark NLP's BPE looks these up by name, whatever a model's own special pieces are called."""

SPACE = "Ġ"
"""How byte-level BPE writes a space."""


def in_bytes(text: str) -> str:
    """Text as byte-level BPE writes it: one printable character per UTF-8 byte (Radford et al., 2019)."""
    return "".join(_BYTE_CHARACTERS[byte] for byte in text.encode("utf-8"))


def merges(n_ids: int) -> Iterator[tuple[str, str]]:
    """The merges that make one piece of the code of every id: bytes to letters, letters to pairs, pairs to codes, in
    this order of rank."""
    for letter in (*LOWER, *UPPER):
        both = in_bytes(letter)
        yield both[0], both[1]
    for pair in PAIRS:
        yield in_bytes(pair[0]), in_bytes(pair[1])
    for index in range(n_ids):
        code = encode(index)
        yield in_bytes(code[:2]), in_bytes(code[2:])


def _byte_characters() -> tuple[str, ...]:
    """GPT-2's table: a printable Latin-1 byte is itself, the others follow from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printable)
    shifted = {byte: chr(0x100 + index) for index, byte in enumerate(others)}
    return tuple(shifted.get(byte, chr(byte)) for byte in range(256))


_BYTE_CHARACTERS = _byte_characters()
