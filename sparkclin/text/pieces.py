"""Text -> the pieces (subword tokens) that the model was trained on, each with its id, its position and its word."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sparkclin.schema import named

if TYPE_CHECKING:
    from tokenizers import Encoding

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
NO_WORD = -1
"""The word of a piece that is white space only."""

SHOWN_IDS = 5
"""In a message."""

# Unicode's White_Space, which is what the tokenizers' \s is; str.isspace() adds the ASCII separators U+001C-001F.
WHITE_SPACE = "".join(chr(point) for point in range(0x3001) if chr(point).isspace() and not 0x1C <= point <= 0x1F)
_WHITE = np.array([chr(point) in WHITE_SPACE for point in range(0x3001)] + [False])


@dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of a text, in order. All arrays are int32, (pieces,).

    `begins` and `ends` are offsets in code points, end exclusive, without the white space around a piece that has more
    than that. `words` numbers the tokenizer's pre-tokens, those of white space left out (NO_WORD).
    """

    ids: Ints
    begins: Ints
    ends: Ints
    words: Ints

    def __len__(self) -> int:
        return len(self.begins)


class PieceEncoder:
    """A model's own fast tokenizer, set up so that every character of a note is text and nothing is cut."""

    def __init__(self, tokenizer_json: str) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer_json)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # All it would do here is to trim offsets, in some files and not in others; that is done below, for all alike.
        self._tokenizer.post_processor = None
        # `</s>` or `<mask>` typed in a note is text; the name is Hugging Face's for split_special_tokens=True.
        self._tokenizer.encode_special_tokens = True

    @cached_property
    def n_ids(self) -> int:
        """One more than the highest piece id."""
        return 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    def beyond(self, n_ids: int) -> dict[int, str]:
        """Return the ids from `n_ids` on, in order, each with its piece: those that a model of `n_ids` ids lacks."""
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        return dict(sorted((index, repr(piece)) for piece, index in vocabulary.items() if index >= n_ids))

    @cached_property
    def unknown_id(self) -> int | None:
        """The id of what the vocabulary has no piece for; None for a tokenizer that has a piece for everything."""
        model = json.loads(self._tokenizer.to_str())["model"]
        if model["type"] == "Unigram":
            return model["unk_id"]  # type: ignore[no-any-return]
        return self._tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else None

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """The pieces of each text, special ones not added."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [_pieces(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]


def named_ids(pieces: Mapping[int, str]) -> str:
    """Return the first ids with their pieces, as a message names them."""
    return named([f"{piece} (id {index})" for index, piece in pieces.items()], most=SHOWN_IDS)


def trimmed(text: str, begin: int, end: int) -> tuple[int, int]:
    """A range of a text without the white space at its ends; an empty one where there is nothing else."""
    found = text[begin:end]
    begin += len(found) - len(found.lstrip(WHITE_SPACE))
    return begin, max(begin, end - len(found) + len(found.rstrip(WHITE_SPACE)))


def combine(parts: Iterable[tuple[int, Pieces]]) -> Pieces:
    """The pieces of a text from those of parts of it, given with the offset of each part; words are numbered anew."""
    moved, n_words = [NO_PIECES], 0
    for offset, pieces in parts:
        words = np.where(pieces.words == NO_WORD, NO_WORD, pieces.words + n_words)
        moved.append(Pieces(pieces.ids, pieces.begins + offset, pieces.ends + offset, words))
        n_words += int(pieces.words.max(initial=NO_WORD)) + 1
    columns = ([getattr(part, name) for part in moved] for name in ("ids", "begins", "ends", "words"))
    return Pieces(*(np.concatenate(column).astype(np.int32) for column in columns))


def _pieces(text: str, encoding: Encoding) -> Pieces:
    if not encoding.ids:
        return NO_PIECES
    offsets = np.array(encoding.offsets, dtype=np.int32)
    begins, ends = offsets[:, 0].copy(), offsets[:, 1].copy()
    shown = _visible_positions(text)
    first, after = np.searchsorted(shown, begins), np.searchsorted(shown, ends)
    visible = first < after
    begins[visible], ends[visible] = shown[first[visible]], shown[after[visible] - 1] + 1
    words = _words(np.array(encoding.word_ids, dtype=np.int32), visible)
    before_word = ~visible & (words != NO_WORD)  # a space of its own that leads a word
    begins[before_word] = ends[before_word]
    return Pieces(ids=np.array(encoding.ids, dtype=np.int32), begins=begins, ends=ends, words=words)


def _visible_positions(text: str) -> NDArray[np.intp]:
    """Return the positions of `text` that are not white space."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    return np.flatnonzero(~_WHITE[np.minimum(points, len(_WHITE) - 1)])


def _words(word_ids: Ints, visible: NDArray[np.bool_]) -> Ints:
    """Word of each piece: runs of equal `word_ids` numbered from 0, those that hold white space only left out."""
    begins_word = np.diff(word_ids, prepend=-1) != 0
    word_visible = np.logical_or.reduceat(visible, np.flatnonzero(begins_word))
    numbers = np.where(word_visible, np.cumsum(word_visible) - 1, NO_WORD)
    of_pieces: Ints = numbers[np.cumsum(begins_word) - 1].astype(np.int32)
    return of_pieces


NO_PIECES = Pieces(*(np.empty(0, dtype=np.int32) for _ in range(4)))
