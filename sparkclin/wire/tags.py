"""What is said of each position of a packed batch, as one bit field beside the piece id.

    bits 0 and 1   segment tag: INSIDE (0), BEGIN (1), OUTSIDE (2)
    bit 2          TOKEN_TYPE: the position is of token type 1
    bit 3          GLOBAL: the position has global attention

A position is sent as `field · V + piece id`, V being the number of the model's piece ids. A model's manifest says how
many fields it reads: 3 for segment tags only, 8 with token types, 16 with both flags. Transport codes can carry
2,085,136 ids. For example, with V = 50,265 the first piece of a segment, of id 11, is sent as 50,276. A question's
piece of id 11 that stands before a window, in no segment and with global attention, is sent as
(2 + 8) · 50,265 + 11 = 502,661.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparkclin.errors import OptionError
from sparkclin.text.pieces import Ints
from sparkclin.wire.codes import MAX_IDS

INSIDE, BEGIN, OUTSIDE = range(3)
"""Segment tags: a further piece of the segment before it; the first piece of a segment; read, but in no segment."""

SEGMENT_TAGS = 4
"""A field modulo this is its segment tag."""

TOKEN_TYPE, GLOBAL = 4, 8
"""Flags. An attention or an embedding may read them; a model that reads neither is never sent one."""

N_FIELDS = {0: 3, TOKEN_TYPE: 8, GLOBAL: 16, TOKEN_TYPE | GLOBAL: 16}
"""How many fields a model reads that knows these flags."""

HOST_SPECIALS, REQUESTS = 8, 32
"""Ids behind those of positions: for the host annotator's own special pieces, and for requests."""

HOST_IDS = HOST_SPECIALS + REQUESTS


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What packed batches need of a model: V, the ids of its special pieces, and how many fields it reads.

    Raises OptionError where the ids of all fields exceed what transport codes can carry.
    """

    size: int
    cls_id: int
    sep_id: int
    pad_id: int
    n_fields: int = N_FIELDS[0]

    def __post_init__(self) -> None:
        if self.n_tagged + HOST_IDS > MAX_IDS:
            raise OptionError(
                f"{self.size:,} piece ids in {self.n_fields} kinds of positions make {self.n_tagged:,} ids; transport "
                f"codes can carry {MAX_IDS - HOST_IDS:,}. Use a model with fewer pieces or without these flags."
            )

    @property
    def n_tagged(self) -> int:
        """Ids 0…n_tagged − 1 are those of positions. The host annotator's own special pieces follow; the first of them
        begins every packed batch, and by that the graph knows one."""
        return self.n_fields * self.size

    @property
    def first_request(self) -> int:
        """The id of request 0 (`sparkclin.wire.outputs`); a packed batch's request stands before its positions."""
        return self.n_tagged + HOST_SPECIALS

    @property
    def n_codes(self) -> int:
        """Ids below this may be sent as codes."""
        return self.first_request + REQUESTS

    def check_fields(self, fields: Ints) -> None:
        """Raises OptionError for a flag that the model does not read."""
        highest = int(fields.max(initial=0))
        if highest >= self.n_fields:
            raise OptionError(
                f"a position has the field {highest}; this model reads fields below {self.n_fields}. Export the model "
                "with the flags that the task needs."
            )


def fields_of(segment_tags: Ints, flags: Ints) -> Ints:
    """Segment tags and flags of positions -> their fields."""
    fields: Ints = (segment_tags + flags).astype(np.int32)
    return fields
