"""Texts -> tokenized notes: pieces, windows, sentences and a status each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sparkclin.schema import (
    STATUS_EMPTY,
    STATUS_NOT_UTF8,
    STATUS_NULL,
    STATUS_OK,
    STATUS_PAIR_TOO_LONG,
    STATUS_TOO_LONG,
)
from sparkclin.text.pieces import NO_PIECES, NO_WORD, Ints, PieceEncoder, Pieces, combine
from sparkclin.text.windows import Range, WindowOptions, cut

Text = str | bytes | None
"""As it comes: bytes are what is not UTF-8, and so no text."""


@dataclass(frozen=True, eq=False)
class PairIds:
    """What each of a note's windows is read with, such as a question: the ids that stand before the window's own pieces
    and behind them, with the separators between the two."""

    before: Ints = field(default_factory=lambda: np.empty(0, np.int32))
    behind: Ints = field(default_factory=lambda: np.empty(0, np.int32))

    def __len__(self) -> int:
        return len(self.before) + len(self.behind)


NO_PAIR = PairIds()


@dataclass(frozen=True, eq=False)
class TokenizedNote:
    """A note's pieces, its windows as ranges of them, and its sentences as ranges of code points.

    `text` is empty where the note came by a column of pieces. `pair` is what its windows are read with.
    """

    pieces: Pieces
    windows: Sequence[Range]
    sentences: Sequence[Range]
    status: str = STATUS_OK
    text: str = field(default="", repr=False)
    pair: PairIds = NO_PAIR


def tokenize(
    texts: Sequence[Text],
    sentences: Sequence[tuple[Range, ...]],
    *,
    encoder: PieceEncoder,
    options: WindowOptions,
) -> list[TokenizedNote]:
    """Tokenizes notes whole, or each of their sentences (ranges of code points) alone."""
    parts = [_parts(text, ranges, options.context) for text, ranges in zip(texts, sentences, strict=True)]
    encoded = iter(encoder.encode([part for note_parts in parts for _, part in note_parts]))
    pieces = [[(offset, next(encoded)) for offset, _ in note_parts] for note_parts in parts]
    return [
        _note(text, note_pieces, ranges, options) if isinstance(text, str) else _without_text(text)
        for text, note_pieces, ranges in zip(texts, pieces, sentences, strict=True)
    ]


def _parts(text: Text, sentences: tuple[Range, ...], context: str) -> list[tuple[int, str]]:
    """What of a note is tokenized by itself, each part with its offset."""
    if not isinstance(text, str):
        return []
    return [(begin, text[begin:end]) for begin, end in sentences] if context == "sentence" else [(0, text)]


def _without_text(text: bytes | None) -> TokenizedNote:
    return _without_pieces(STATUS_NULL if text is None else STATUS_NOT_UTF8)


def _without_pieces(status: str) -> TokenizedNote:
    return TokenizedNote(NO_PIECES, (), (), status)


def _note(
    text: str, parts: list[tuple[int, Pieces]], sentences: tuple[Range, ...], options: WindowOptions
) -> TokenizedNote:
    pieces = combine(parts)
    if pieces.words.max(initial=NO_WORD) == NO_WORD:
        return _without_pieces(STATUS_EMPTY)
    if options.max_note_pieces is not None and len(pieces) > options.max_note_pieces:
        return _without_pieces(STATUS_TOO_LONG)
    windows: list[Range] = []
    for _, part in parts:
        before = windows[-1][1] if windows else 0
        windows += [(before + begin, before + end) for begin, end in cut(len(part), options.max_pieces, options.stride)]
    return TokenizedNote(pieces, tuple(windows), sentences, STATUS_OK, text)


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """How a model reads two texts in a row: `separators` are the ids between them; `first` says that the pair stands
    before the note's window, as a question does, and not behind it."""

    separators: tuple[int, ...]
    first: bool = False

    def ids(self, pair: Pieces) -> PairIds:
        between = np.array(self.separators, np.int32)
        if self.first:
            return PairIds(before=np.concatenate([pair.ids, between]))
        return PairIds(behind=np.concatenate([between, pair.ids]))


def tokenize_pairs(
    texts: Sequence[Text],
    pairs: Sequence[Text],
    *,
    encoder: PieceEncoder,
    options: WindowOptions,
    pairing: PairOptions,
) -> list[TokenizedNote]:
    """Tokenizes notes that are read with another text each. A pair takes its part of every window, whole.

    Where either cannot be read, such as null, that is the note's status; where a pair leaves no room for a window that
    is longer than the stride, it is STATUS_PAIR_TOO_LONG.
    """
    notes = tokenize(texts, [()] * len(texts), encoder=encoder, options=options)
    encoded = tokenize(pairs, [()] * len(pairs), encoder=encoder, options=replace(options, max_note_pieces=None))
    return [_read_with(note, pair, options, pairing) for note, pair in zip(notes, encoded, strict=True)]


def _read_with(note: TokenizedNote, pair: TokenizedNote, options: WindowOptions, pairing: PairOptions) -> TokenizedNote:
    for read in (note, pair):
        if read.status != STATUS_OK:
            return _without_pieces(read.status)
    ids = pairing.ids(pair.pieces)
    room = options.max_pieces - len(ids)
    if room <= options.stride:
        return _without_pieces(STATUS_PAIR_TOO_LONG)
    return replace(note, windows=cut(len(note.pieces), room, options.stride), pair=ids)
