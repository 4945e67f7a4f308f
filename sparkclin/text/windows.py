"""How a note's pieces are cut into windows, and which window owns a piece that two of them share.

Windows begin every `max_pieces - stride` pieces, as with `stride` in Hugging Face's tokenizers, until one reaches
the end of the note. A shared piece belongs to the window where it is farther from the nearest edge, since there the
model sees more of its context on both sides; ties go to the earlier window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sparkclin.errors import OptionError

Range = tuple[int, int]
"""Begin and end of a run of piece indices, end exclusive."""

CONTEXTS = ("note", "sentence")
MOST_SHARED = 512


def default_stride(max_pieces: int) -> int:
    """How many pieces two windows share where the user does not say: an eighth of a window, at most MOST_SHARED."""
    return min(MOST_SHARED, round(max_pieces / 8))


@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """How notes are cut into windows: at most `max_pieces` of a note's own pieces each, `stride` of them shared with
    the window before. With context "sentence" each sentence is tokenized and cut alone, with "note" the whole note.
    Notes of more than `max_note_pieces` pieces are not read.

    Raises OptionError unless 0 <= stride < max_pieces, max_note_pieces is at least 1 and the context one of CONTEXTS.
    """

    max_pieces: int
    stride: int
    context: str = "note"
    max_note_pieces: int | None = None

    def __post_init__(self) -> None:
        check_windows(self.max_pieces, self.stride)
        if self.context not in CONTEXTS:
            raise OptionError(
                f"there is no context {self.context!r} of windows: expected one of {', '.join(CONTEXTS)}."
            )
        if self.max_note_pieces is not None and self.max_note_pieces < 1:
            raise OptionError(f"max_note_pieces is {self.max_note_pieces}: expected 1 or more.")


@dataclass(frozen=True)
class Window:
    """What one forward pass sees, and what of it counts: ranges of piece indices of the note, ends exclusive."""

    begin: int
    end: int
    own_begin: int
    own_end: int


def cut(n_pieces: int, max_pieces: int, stride: int) -> tuple[Range, ...]:
    """The ranges of the windows of a note of `n_pieces` pieces; none where it has no pieces.

    A window has at most `max_pieces` pieces and shares `stride` of them with the one before.
    Raises OptionError unless 0 <= stride < max_pieces.
    """
    check_windows(max_pieces, stride)
    if n_pieces == 0:
        return ()
    # The last window begins where the one before leaves something over: it is never wholly part of that one.
    begins = range(0, max(n_pieces - stride, 1), max_pieces - stride)
    return tuple((begin, min(begin + max_pieces, n_pieces)) for begin in begins)


def own(ranges: Sequence[Range]) -> tuple[Window, ...]:
    """Windows from their ranges, which must leave no piece out; those that share no pieces own all of theirs.

    Of two windows that overlap, with ranges b…e and b'…e' (b < b', e < e'), piece p is e - 1 - p from the end of the
    first and p - b' from the begin of the second. The other two edges are farther, so only these decide: the first
    owns p as long as e - 1 - p >= p - b', that is up to (e + b' - 1) // 2.
    """
    borders = [(end + begin + 1) // 2 for (_, end), (begin, _) in pairwise(ranges)]
    own_begins = [*(begin for begin, _ in ranges[:1]), *borders]
    own_ends = [*borders, *(end for _, end in ranges[-1:])]
    return tuple(
        Window(begin, end, own_begin, own_end)
        for (begin, end), own_begin, own_end in zip(ranges, own_begins, own_ends, strict=True)
    )


def check_windows(max_pieces: int, stride: int) -> None:
    """Raises OptionError unless 0 <= stride < max_pieces."""
    if not 0 <= stride < max_pieces:
        raise OptionError(
            f"max_pieces is {max_pieces} and stride {stride}; a window needs at least one piece, and the stride, "
            "which is how many pieces two windows share, must be 0 or more and below max_pieces."
        )
