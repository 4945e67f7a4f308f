"""The segments of a note: what gets one output each (a vector today), and which positions of which windows it is made
of. The plan is the same whether outputs are made inside the graph or here.

For example, a note of 6 pieces in the windows 0…4 and 2…6, which share two pieces: its one segment at level document
has the parts (window 0, positions 1…4) and (window 1, positions 2…5). Position 0 of a window is its first special
piece; window 0 owns the note's pieces 0, 1 and 2, window 1 owns 3, 4 and 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sparkclin.errors import OptionError
from sparkclin.schema import LEVELS
from sparkclin.text.pieces import NO_WORD
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.text.windows import Range, Window, own

SEGMENT_POOLINGS = ("mean", "cls", "max", "mean_max")
TOKEN_POOLINGS = ("mean", "first")
POOLINGS = ("mean", "cls", "max", "mean_max", "first")


def check_pooling(level: str, pooling: str) -> None:
    """Raises OptionError for a level or pooling that is not known, or not at that level."""
    allowed = TOKEN_POOLINGS if level == "token" else SEGMENT_POOLINGS
    if level not in LEVELS or pooling not in allowed:
        raise OptionError(
            f"there are no vectors of level {level!r} with pooling {pooling!r}: expected one of the levels "
            f"{', '.join(LEVELS)}, and at level {level} one of the poolings {', '.join(allowed)}."
        )


@dataclass(frozen=True)
class SegmentPart:
    """The part of a segment that lies in one window: positions begin…end of that window, end exclusive.

    Position 0 of a window is its first special piece; its own pieces are at 1, 2, … `segment` is the index of the
    segment in the note.
    """

    window: int
    begin: int
    end: int
    segment: int

    def __len__(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True, eq=False)
class SegmentPlan:
    """A note's segments, as ranges of code points, and their parts, by window and position.

    A segment without parts has no output. `first` is the index of the first of these segments in the note: more than
    0 if the plan is a later slice of a longer one. The parts count segments from it.
    """

    segments: Sequence[Range]
    parts: Sequence[SegmentPart]
    first: int = 0


def sliced(plan: SegmentPlan, *, most_parts: int) -> Iterator[SegmentPlan]:
    """Yield a plan in slices of whole segments, each with about `most_parts` parts and at most twice as many.

    A slice ends at a window's edge if it can, because two slices that share a window run it twice. The parts of `plan`
    must be in the order of its segments.
    """
    begin, first = 0, 0
    for index, (before, part) in enumerate(pairwise(plan.parts), start=1):
        size, at_edge = index - begin, part.window != before.window
        if part.segment != before.segment and size >= most_parts and (at_edge or size >= 2 * most_parts):
            yield _slice(plan, plan.parts[begin:index], first, part.segment)
            begin, first = index, part.segment
    yield _slice(plan, plan.parts[begin:], first, len(plan.segments)) if first else plan


def _slice(plan: SegmentPlan, parts: Sequence[SegmentPart], first: int, after: int) -> SegmentPlan:
    """Return the segments first…after, with their parts."""
    moved = [replace(part, segment=part.segment - first) for part in parts]
    return SegmentPlan(plan.segments[first:after], moved, first)


def plan_segments(note: TokenizedNote, *, level: str, pooling: str) -> SegmentPlan:
    """The plan of a note at a level; without segments for a note without pieces.

    Every piece is in at most one part, in the window that owns it. At level window a window has all its own pieces, at
    level token pieces of white space are in no part. For pooling cls a part is a window's first special piece, for
    first a word's first piece. Raises OptionError for cls of sentences where a window goes on in the next sentence.
    """
    if not len(note.pieces):
        return SegmentPlan((), ())
    windows = own(note.windows)
    of_cls = pooling == "cls"
    begins, ends = note.pieces.begins, note.pieces.ends
    match level:
        case "document":
            edge = (int(begins[0]), int(ends[-1]))
            owned = (_part(index, w, w.own_begin, w.own_end, 0) for index, w in enumerate(windows))
            return SegmentPlan([edge], [_cls(part.window, 0) if of_cls else part for part in owned])
        case "window":
            edges = [(int(begins[w.begin]), int(ends[w.end - 1])) for w in windows]
            whole = (_part(index, w, w.begin, w.end, index) for index, w in enumerate(windows))
            return SegmentPlan(edges, [_cls(part.window, part.segment) if of_cls else part for part in whole])
        case "token":
            return _words(note, windows, first_only=pooling == "first")
        case _:
            parts = _cls_of_sentences(note, windows) if of_cls else _parts_of_sentences(note, windows)
            return SegmentPlan(note.sentences, list(parts))


def _part(index: int, window: Window, begin: int, end: int, segment: int) -> SegmentPart:
    """Of the note's pieces begin…end, which `window` holds."""
    return SegmentPart(index, 1 + begin - window.begin, 1 + end - window.begin, segment)


def _cls(window: int, segment: int) -> SegmentPart:
    return SegmentPart(window, 0, 1, segment)


def _parts_of_sentences(note: TokenizedNote, windows: Sequence[Window]) -> Iterator[SegmentPart]:
    """The pieces that begin in a sentence, from the windows that own them."""
    edges = _piece_edges(note)
    sentence = 0
    for index, window in enumerate(windows):
        while sentence < len(edges) and edges[sentence][1] <= window.own_begin:
            sentence += 1
        for segment in range(sentence, len(edges)):
            begin, end = max(edges[segment][0], window.own_begin), min(edges[segment][1], window.own_end)
            if edges[segment][0] >= window.own_end:
                break
            if begin < end:
                yield _part(index, window, begin, end, segment)


def _cls_of_sentences(note: TokenizedNote, windows: Sequence[Window]) -> Iterator[SegmentPart]:
    edges = _piece_edges(note)
    begins = [begin for begin, _ in edges]
    for index, window in enumerate(windows):
        segment = int(np.searchsorted(begins, window.begin, side="right")) - 1
        if segment < 0 or window.end > edges[segment][1]:
            raise OptionError(
                "pooling cls at level sentence: the windows, and so their cls vectors, are not of one sentence each. "
                "Set context sentence on NoteTokenizer, or choose another pooling."
            )
        yield _cls(index, segment)


def _words(note: TokenizedNote, windows: Sequence[Window], *, first_only: bool) -> SegmentPlan:
    """A segment per word. Its pieces are one part, unless white space or the edge of a window comes between them."""
    words, begins, ends = note.pieces.words, note.pieces.begins, note.pieces.ends
    pieces = np.flatnonzero(words != NO_WORD)
    is_first = np.diff(words[pieces], prepend=NO_WORD) != 0
    is_last = np.roll(is_first, -1)
    edges = list(zip(begins[pieces[is_first]].tolist(), ends[pieces[is_last]].tolist(), strict=True))
    segments = np.cumsum(is_first) - 1
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
        segments[begins_part].tolist(),
        strict=True,
    )
    return SegmentPlan(edges, [_part(owner, windows[owner], begin, end, index) for owner, begin, end, index in parts])


def _piece_edges(note: TokenizedNote) -> list[Range]:
    """Of each sentence: the range of the pieces that begin in it."""
    edges = np.searchsorted(note.pieces.begins, np.array(note.sentences))
    return [(first, after) for first, after in edges.tolist()]
