"""Spark NLP's annotation columns, made in Arrow: `document` and `token` annotations that carry transport codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sparkclin.text.pieces import Ints
from sparkclin.wire import codes
from sparkclin.wire.arrow import lists, repeated, struct

TEXT_STEP = len(" ") + codes.LENGTH
"""Characters per piece where codes are running text."""

DOCUMENT, TOKEN, QUESTION_DOCUMENT = "document", "token", "document_question"


def annotator_type(name: str) -> dict[str, Any]:
    """The metadata by which Spark NLP knows a column of annotations."""
    return {"annotatorType": name}


@dataclass(frozen=True, eq=False)
class AnnotationColumns:
    """A batch of notes as Spark NLP reads them, each an array of lists of annotations, one list per note."""

    documents: pa.ListArray
    tokens: pa.ListArray


def annotation_columns(notes: Sequence[Sequence[Ints]], *, words: pa.StringArray) -> AnnotationColumns:
    """Notes, each given as the piece ids of its windows, as annotations. `words` has the code of every id.

    `begin` and `end` count the tokens of the note from 1: Spark NLP gives a token to every document whose range holds
    it, so no two windows may overlap, and it takes a word at 0 for one without a space before it, which a code has.
    """
    windows = [window for note in notes for window in note]
    window_sizes = np.array([len(window) for window in windows], dtype=np.int64)
    note_windows = np.array([len(note) for note in notes], dtype=np.int64)
    note_tokens = np.array([sum(map(len, note)) for note in notes], dtype=np.int64)

    window_index = _counted(note_windows)
    positions = _counted(note_tokens) + 1
    last = _ends(note_tokens, window_sizes, note_windows)
    ids = np.concatenate(windows) if windows else np.empty(0, np.int32)
    return AnnotationColumns(
        documents=lists(
            note_windows,
            _annotations(DOCUMENT, last - window_sizes + 1, last, repeated("", len(windows)), window_index),
        ),
        tokens=lists(
            note_tokens,
            _annotations(TOKEN, positions, positions, words.take(pa.array(ids)), np.repeat(window_index, window_sizes)),
        ),
    )


def running_text(ids: Sequence[int] | Ints, words: pa.StringArray) -> str:
    """Piece ids as text: a space and a code each."""
    return "".join(" " + word for word in words.take(pa.array(ids, pa.int32())).to_pylist())


def text_documents(notes: Sequence[Sequence[Ints]], *, words: pa.StringArray) -> pa.ListArray:
    """Notes, each given as the piece ids of its windows, as document annotations with the windows' codes as text. Each
    begins at 0."""
    windows = [running_text(window, words) for note in notes for window in note]
    ends = np.array([len(window) - 1 for window in windows], dtype=np.int64)
    note_windows = np.array([len(note) for note in notes], dtype=np.int64)
    made = _annotations(DOCUMENT, 0 * ends, ends, pa.array(windows, pa.string()), _counted(note_windows))
    return lists(note_windows, made)


def document(text: str, *, begin: int) -> pa.ListArray:
    """One row with one document annotation of this text. Spark NLP hands `begin` back with what it makes of it."""
    edges = np.array([begin], np.int64)
    return lists([1], _annotations(DOCUMENT, edges, edges + len(text) - 1, pa.array([text]), np.zeros(1, np.int64)))


def no_document() -> pa.ListArray:
    """One row without an annotation."""
    nothing = np.empty(0, np.int64)
    return lists([0], _annotations(DOCUMENT, nothing, nothing, pa.array([], pa.string()), nothing))


@lru_cache(maxsize=4)
def code_words(n_ids: int) -> pa.StringArray:
    """The code of every id below `n_ids`."""
    return pa.array([codes.encode(index) for index in range(n_ids)], pa.string())


def _counted(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, … anew for each size: [2, 3] -> 0 1 0 1 2"""
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.arange(sizes.sum()) - starts


def _ends(
    note_tokens: NDArray[np.int64], window_sizes: NDArray[np.int64], note_windows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The position of the last token of each window, counted from 1 in its note."""
    before_note = np.repeat(np.cumsum(note_tokens) - note_tokens, note_windows)
    ends: NDArray[np.int64] = np.cumsum(window_sizes) - before_note
    return ends


def _annotations(
    kind: str,
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    results: pa.StringArray,
    sentences: NDArray[np.int64],
) -> pa.StructArray:
    size = len(begins)
    numbers = pa.array([str(index) for index in range(int(sentences.max(initial=0)) + 1)])
    one_each = pa.array(np.arange(size + 1, dtype=np.int32))
    metadata = pa.MapArray.from_arrays(one_each, repeated("sentence", size), numbers.take(pa.array(sentences)))
    no_embeddings = pa.ListArray.from_arrays(pa.array(np.zeros(size + 1, np.int32)), pa.array([], pa.float32()))
    return struct(
        {
            "annotatorType": repeated(kind, size),
            "begin": pa.array(begins.astype(np.int32)),
            "end": pa.array(ends.astype(np.int32)),
            "result": results,
            "metadata": metadata,
            "embeddings": no_embeddings,
        }
    )
