"""What is said of each position of a packed batch beside its piece id: its segment tag.

A position is sent as `tag · V + piece id`, V being the number of the model's piece ids. For example, with V = 50,265
the first piece of a segment, of id 11, is sent as 50,276. Transport codes can carry 2,085,136 ids.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkclin.errors import OptionError
from sparkclin.wire.codes import MAX_IDS

INSIDE, BEGIN, OUTSIDE = range(3)
"""Segment tags: a further piece of the segment before it; the first piece of a segment; read, but in no segment."""

SEGMENT_TAGS = 3
"""How many there are."""

HOST_SPECIALS, REQUESTS = 8, 32
"""Ids behind those of positions: for the host annotator's own special pieces, and for requests."""

HOST_IDS = HOST_SPECIALS + REQUESTS


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What packed batches need of a model: V, the ids of its special pieces, and how many separators stand between two
    texts in a row.

    Raises OptionError where the ids with all tags exceed what transport codes can carry.
    """

    size: int
    cls_id: int
    sep_id: int
    pad_id: int
    separators: int = 0

    def __post_init__(self) -> None:
        if self.n_tagged + HOST_IDS > MAX_IDS:
            raise OptionError(
                f"{self.size:,} piece ids with {SEGMENT_TAGS} tags make {self.n_tagged:,} ids; transport codes can "
                f"carry {MAX_IDS - HOST_IDS:,}. Use a model with fewer pieces."
            )

    @property
    def n_tagged(self) -> int:
        """Ids 0…n_tagged − 1 are those of positions. The host annotator's own special pieces follow; the first of them
        begins every packed batch, and by that the graph knows one."""
        return SEGMENT_TAGS * self.size

    @property
    def first_request(self) -> int:
        """The id of request 0 (`sparkclin.wire.outputs`); a packed batch's request stands before its positions."""
        return self.n_tagged + HOST_SPECIALS

    @property
    def n_codes(self) -> int:
        """Ids below this may be sent as codes."""
        return self.first_request + REQUESTS
