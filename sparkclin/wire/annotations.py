"""Spark NLP's annotation columns, made in Arrow: `document` and `token` annotations that carry transport codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import types as T

from sparkclin.wire import codes

Ints = NDArray[np.int32]

ANNOTATION = T.StructType(
    [
        T.StructField("annotatorType", T.StringType()),
        T.StructField("begin", T.IntegerType(), nullable=False),
        T.StructField("end", T.IntegerType(), nullable=False),
        T.StructField("result", T.StringType()),
        T.StructField("metadata", T.MapType(T.StringType(), T.StringType())),
        T.StructField("embeddings", T.ArrayType(T.FloatType(), containsNull=False)),
    ]
)
"""One annotation, as Spark NLP's own annotators write it."""

ANNOTATIONS = T.ArrayType(ANNOTATION)
DOCUMENT, TOKEN = "document", "token"


def annotator_type(name: str) -> dict[str, Any]:
    """The metadata by which Spark NLP knows a column of annotations."""
    return {"annotatorType": name}


@dataclass(frozen=True, eq=False)
class Feed:
    """A batch of notes as Spark NLP reads them, each an array of lists of annotations, one list a note."""

    documents: pa.ListArray
    tokens: pa.ListArray


def feed(notes: Sequence[Sequence[Ints]], *, code_words: pa.StringArray) -> Feed:
    """Notes, each given as the piece ids of its windows, as annotations. `code_words` has the code of every id.

    `begin` and `end` count the tokens of the note from 1: Spark NLP gives a token to every document whose range holds
    it, so no two windows may overlap, and it takes a word at 0 for one without a space before it, which a code has.
    """
    windows = [window for note in notes for window in note]
    window_sizes = np.array([len(window) for window in windows], dtype=np.int64)
    note_windows = np.array([len(note) for note in notes], dtype=np.int64)
    note_tokens = np.array([sum(map(len, note)) for note in notes], dtype=np.int64)

    window_index = _counted(note_windows)
    places = _counted(note_tokens) + 1
    last = _ends(note_tokens, window_sizes, note_windows)
    ids = np.concatenate(windows) if windows else np.empty(0, np.int32)
    return Feed(
        documents=_lists(
            note_windows, _annotations(DOCUMENT, last - window_sizes + 1, last, _blank(len(windows)), window_index)
        ),
        tokens=_lists(
            note_tokens,
            _annotations(TOKEN, places, places, code_words.take(pa.array(ids)), np.repeat(window_index, window_sizes)),
        ),
    )


def documents(texts: Sequence[str]) -> pa.ListArray:
    """One row of document annotations with these texts."""
    places, sizes = np.arange(len(texts)), np.array([len(text) for text in texts], dtype=np.int64)
    annotations = _annotations(DOCUMENT, 0 * sizes, sizes - 1, pa.array(texts, pa.string()), places)
    return _lists(np.array([len(texts)]), annotations)


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
    """The place of the last token of each window, counted from 1 in its note."""
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
    metadata = pa.MapArray.from_arrays(one_each, _repeated("sentence", size), numbers.take(pa.array(sentences)))
    no_embeddings = pa.ListArray.from_arrays(pa.array(np.zeros(size + 1, np.int32)), pa.array([], pa.float32()))
    columns = {
        "annotatorType": _repeated(kind, size),
        "begin": pa.array(begins.astype(np.int32)),
        "end": pa.array(ends.astype(np.int32)),
        "result": results,
        "metadata": metadata,
        "embeddings": no_embeddings,
    }
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _repeated(text: str, times: int) -> pa.StringArray:
    return pa.array([text]).take(pa.array(np.zeros(times, np.int32)))


def _blank(times: int) -> pa.StringArray:
    """A document's text is not needed by the model, and is not copied into every window."""
    return _repeated("", times)


def _lists(sizes: NDArray[np.int64], values: pa.StructArray) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)
