"""Texts -> tokenized notes: pieces, windows, sentences and a status each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sparkclin.schema import STATUS_EMPTY, STATUS_NULL, STATUS_OK
from sparkclin.text.pieces import NO_PIECES, NO_WORD, PieceEncoder, Pieces, combine
from sparkclin.text.windows import Range, WindowOptions, cut


@dataclass(frozen=True, eq=False)
class TokenizedNote:
    """A note's pieces, its windows as ranges of them, and its sentences as ranges of code points.

    `text` is empty where the note came by a column of pieces.
    """

    pieces: Pieces
    windows: Sequence[Range]
    sentences: Sequence[Range]
    status: str = STATUS_OK
    text: str = field(default="", repr=False)


def tokenize(
    texts: Sequence[str | None],
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
        _without_pieces(STATUS_NULL) if text is None else _note(text, note_pieces, ranges, options)
        for text, note_pieces, ranges in zip(texts, pieces, sentences, strict=True)
    ]


def _parts(text: str | None, sentences: tuple[Range, ...], context: str) -> list[tuple[int, str]]:
    """What of a note is tokenized by itself, each part with its offset."""
    if text is None:
        return []
    return [(begin, text[begin:end]) for begin, end in sentences] if context == "sentence" else [(0, text)]


def _without_pieces(status: str) -> TokenizedNote:
    return TokenizedNote(NO_PIECES, (), (), status)


def _note(
    text: str, parts: list[tuple[int, Pieces]], sentences: tuple[Range, ...], options: WindowOptions
) -> TokenizedNote:
    pieces = combine(parts)
    if pieces.words.max(initial=NO_WORD) == NO_WORD:
        return _without_pieces(STATUS_EMPTY)
    windows: list[Range] = []
    for _, part in parts:
        before = windows[-1][1] if windows else 0
        windows += [(before + begin, before + end) for begin, end in cut(len(part), options.max_pieces, options.stride)]
    return TokenizedNote(pieces, tuple(windows), sentences, STATUS_OK, text)
