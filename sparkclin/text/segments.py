"""Which pieces make which result: the plan of pooling, the same whether vectors are pooled here or inside the graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sparkclin.errors import OptionError
from sparkclin.schema import LEVELS
from sparkclin.text.pieces import NO_WORD, Ints
from sparkclin.text.windows import Range, Window, own

SPAN_POOLINGS = ("mean", "cls", "max", "mean_max")
TOKEN_POOLINGS = ("mean", "first")
POOLINGS = ("mean", "cls", "max", "mean_max", "first")


def check_pooling(level: str, pooling: str) -> None:
    """Raises OptionError for a level or pooling that is not known, or not at that level."""
    allowed = TOKEN_POOLINGS if level == "token" else SPAN_POOLINGS
    if level not in LEVELS or pooling not in allowed:
        raise OptionError(
            f"level {level!r} with pooling {pooling!r}: expected one of {', '.join(LEVELS)}, and at level "
            f"{level} one of {', '.join(allowed)}."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class NotePieces:
    """A note as the column `pieces` describes it: begins, ends, words (pieces,), ranges of windows and sentences."""

    begins: Ints
    ends: Ints
    words: Ints
    windows: Sequence[Range]
    sentences: Sequence[Range]

    def __len__(self) -> int:
        return len(self.begins)


@dataclass(frozen=True)
class Part:
    """A run of places of a window that goes into a result, end exclusive.

    Place 0 of a window is its first special piece, its own pieces are at 1, 2, …
    """

    window: int
    begin: int
    end: int
    result: int

    def __len__(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True, eq=False)
class SpanPlan:
    """A note's results at a level, as ranges of code points, and their parts, by window and place.

    A result without parts has no vector.
    """

    results: Sequence[Range]
    parts: Sequence[Part]


def plan_spans(note: NotePieces, *, level: str, pooling: str) -> SpanPlan:
    """The plan of a note at a level; without results for a note without pieces.

    Every piece is in one part at most, in the window that owns it; at level window a window has all its own, at level
    token pieces of white space are in none. For cls a part is a window's first special piece, for first a word's first
    piece. Raises OptionError for cls of sentences where a window goes on in the next sentence.
    """
    if not len(note):
        return SpanPlan((), ())
    windows = own(note.windows)
    of_cls = pooling == "cls"
    match level:
        case "document":
            edge = (int(note.begins[0]), int(note.ends[-1]))
            owned = (_part(index, w, w.own_begin, w.own_end, 0) for index, w in enumerate(windows))
            return SpanPlan([edge], [_cls(part.window, 0) if of_cls else part for part in owned])
        case "window":
            edges = [(int(note.begins[w.begin]), int(note.ends[w.end - 1])) for w in windows]
            whole = (_part(index, w, w.begin, w.end, index) for index, w in enumerate(windows))
            return SpanPlan(edges, [_cls(part.window, part.result) if of_cls else part for part in whole])
        case "token":
            return _words(note, windows, first_only=pooling == "first")
        case _:
            parts = _cls_of_sentences(note, windows) if of_cls else _parts_of_sentences(note, windows)
            return SpanPlan(note.sentences, list(parts))


def _part(index: int, window: Window, begin: int, end: int, result: int) -> Part:
    """Of the note's pieces begin…end, which `window` holds."""
    return Part(index, 1 + begin - window.begin, 1 + end - window.begin, result)


def _cls(window: int, result: int) -> Part:
    return Part(window, 0, 1, result)


def _parts_of_sentences(note: NotePieces, windows: Sequence[Window]) -> Iterator[Part]:
    """The pieces that begin in a sentence, from the windows that own them."""
    edges = _piece_edges(note)
    sentence = 0
    for index, window in enumerate(windows):
        while sentence < len(edges) and edges[sentence][1] <= window.own_begin:
            sentence += 1
        for result in range(sentence, len(edges)):
            begin, end = max(edges[result][0], window.own_begin), min(edges[result][1], window.own_end)
            if edges[result][0] >= window.own_end:
                break
            if begin < end:
                yield _part(index, window, begin, end, result)


def _cls_of_sentences(note: NotePieces, windows: Sequence[Window]) -> Iterator[Part]:
    edges = _piece_edges(note)
    begins = [begin for begin, _ in edges]
    for index, window in enumerate(windows):
        result = int(np.searchsorted(begins, window.begin, side="right")) - 1
        if result < 0 or window.end > edges[result][1]:
            raise OptionError(
                "pooling cls at level sentence: the windows, and so their cls vectors, are not of one sentence each. "
                "Set context sentence on NoteTokenizer, or choose another pooling."
            )
        yield _cls(index, result)


def _words(note: NotePieces, windows: Sequence[Window], *, first_only: bool) -> SpanPlan:
    """A result a word. Its pieces are one part, unless a piece of white space or the edge of a window comes between."""
    pieces = np.flatnonzero(note.words != NO_WORD)
    is_first = np.diff(note.words[pieces], prepend=NO_WORD) != 0
    is_last = np.roll(is_first, -1)
    edges = list(zip(note.begins[pieces[is_first]].tolist(), note.ends[pieces[is_last]].tolist(), strict=True))
    results = np.cumsum(is_first) - 1
    owners = np.searchsorted([window.own_begin for window in windows], pieces, side="right") - 1
    if first_only:
        begins_part = ends_part = is_first
    else:
        begins_part = is_first | (np.diff(pieces, prepend=-1) != 1) | (np.diff(owners, prepend=-1) != 0)
        ends_part = np.roll(begins_part, -1)
    parts = zip(
        owners[begins_part].tolist(),
        pieces[begins_part].tolist(),
        (pieces[ends_part] + 1).tolist(),
        results[begins_part].tolist(),
        strict=True,
    )
    return SpanPlan(edges, [_part(owner, windows[owner], begin, end, result) for owner, begin, end, result in parts])


def _piece_edges(note: NotePieces) -> list[Range]:
    """Of each sentence: the range of the pieces that begin in it."""
    return [(first, after) for first, after in np.searchsorted(note.begins, np.array(note.sentences)).tolist()]
