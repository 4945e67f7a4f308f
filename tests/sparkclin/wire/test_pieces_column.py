"""The column `pieces`: what was written of a note is read again."""

from __future__ import annotations

import numpy as np

from sparkclin.text.pieces import NO_PIECES, NO_WORD, Pieces
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.wire.pieces_column import PIECES_TYPE, note_of, pieces_column

NOTE = TokenizedNote(
    Pieces(*(np.array(column, np.int32) for column in ([7, 8, 9], [0, 3, 5], [3, 4, 9], [0, NO_WORD, 1]))),
    windows=((0, 2), (1, 3)),
    sentences=((0, 4), (5, 9), (9, 10)),
)


def test_a_row_has_the_pieces_windows_and_sentences_of_its_note() -> None:
    column = pieces_column([NOTE, TokenizedNote(NO_PIECES, (), ())])
    assert column.type == PIECES_TYPE
    assert column.to_pylist() == [
        {
            "begin": [0, 3, 5],
            "end": [3, 4, 9],
            "word": [0, -1, 1],
            "windows": [{"begin": 0, "end": 2}, {"begin": 1, "end": 3}],
            "sentences": [{"begin": 0, "end": 4}, {"begin": 5, "end": 9}, {"begin": 9, "end": 10}],
        },
        {"begin": [], "end": [], "word": [], "windows": [], "sentences": []},
    ]


def test_a_row_is_read_again_without_ids() -> None:
    found = note_of(pieces_column([NOTE]))
    assert (found.pieces.begins.tolist(), found.pieces.ends.tolist()) == ([0, 3, 5], [3, 4, 9])
    assert (found.pieces.words.tolist(), len(found.pieces.ids)) == ([0, -1, 1], 0)
    assert (list(found.windows), list(found.sentences)) == ([(0, 2), (1, 3)], [(0, 4), (5, 9), (9, 10)])
