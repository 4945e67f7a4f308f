"""The column `pieces`: what NoteTokenizer says of a note beside its annotations, and VectorPooler plans by.

docs/architecture.md says what each field means. The ids are not in it: the annotations have them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from sparkclin.text.pieces import Ints, Pieces
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.wire.arrow import int_lists, range_lists, struct, to_range_lists

_INTS = pa.list_(pa.int32())
RANGES = pa.list_(pa.struct({"begin": pa.int32(), "end": pa.int32()}))
PIECES_TYPE = pa.struct({"begin": _INTS, "end": _INTS, "word": _INTS, "windows": RANGES, "sentences": RANGES})


def pieces_column(notes: Sequence[TokenizedNote]) -> pa.StructArray:
    """A row per note."""
    return struct(
        {
            "begin": int_lists([note.pieces.begins for note in notes]),
            "end": int_lists([note.pieces.ends for note in notes]),
            "word": int_lists([note.pieces.words for note in notes]),
            "windows": range_lists([note.windows for note in notes]),
            "sentences": range_lists([note.sentences for note in notes]),
        }
    )


def note_of(column: pa.StructArray) -> TokenizedNote:
    """The note of the only row, without ids."""

    def ints(name: str) -> Ints:
        values: Ints = column.field(name).flatten().to_numpy(zero_copy_only=False)
        return values

    [windows], [sentences] = (to_range_lists(column.field(name)) for name in ("windows", "sentences"))
    return TokenizedNote(
        pieces=Pieces(ids=np.empty(0, np.int32), begins=ints("begin"), ends=ints("end"), words=ints("word")),
        windows=windows,
        sentences=sentences,
    )
