"""Notes in Arrow batches -> the same batches with what Spark NLP is fed and what its answer is read by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import types as T

from sparkclin.errors import InputError
from sparkclin.schema import STATUS_EMPTY, STATUS_NULL, STATUS_OK
from sparkclin.text.pieces import NO_WORD, Ints, PieceEncoder, Pieces, joined
from sparkclin.text.sentences import Sentence, cover
from sparkclin.text.windows import Range, cut
from sparkclin.wire.annotations import code_words, feed

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import SparkSession

NOTES_AT_ONCE = 16
"""Notes tokenized together, and in one batch on their way back: 16 long ones are some 20 MB of annotations."""

_INTS = T.ArrayType(T.IntegerType())
_RANGES = T.ArrayType(
    T.StructType([T.StructField("begin", T.IntegerType()), T.StructField("end", T.IntegerType())]),
)
PIECES_TYPE = T.StructType(
    [
        T.StructField("begin", _INTS),
        T.StructField("end", _INTS),
        T.StructField("word", _INTS),
        T.StructField("windows", _RANGES),
        T.StructField("sentences", _RANGES),
    ]
)
"""The column `pieces`; docs/architecture.md says what each field means."""


@dataclass(frozen=True, kw_only=True)
class Tokenization:
    """How notes are tokenized: what the tasks get.

    `max_pieces` counts a note's own pieces. `sentence_column` is None where there are no sentences, `cls_id` where the
    first special piece is not asked for.
    """

    text_column: str
    sentence_column: str | None
    context: str
    max_pieces: int
    stride: int
    cls_id: int | None


@dataclass(frozen=True, kw_only=True)
class SharedTokenizer:
    """A tokenizer.json on its way to the workers, which keep what they make of it under its hash."""

    sha256: str
    json: Broadcast[str]


def shared(spark: SparkSession, tokenizer_json: str) -> SharedTokenizer:
    return SharedTokenizer(
        sha256=hashlib.sha256(tokenizer_json.encode()).hexdigest(), json=spark.sparkContext.broadcast(tokenizer_json)
    )


@dataclass(frozen=True, eq=False)
class TokenizedNote:
    """A note's pieces, its windows as ranges of them, and its sentences as ranges of code points."""

    pieces: Pieces
    windows: tuple[Range, ...]
    sentences: tuple[Range, ...]
    status: str


_encoders: dict[str, PieceEncoder] = {}
"""What a worker makes of a tokenizer.json, and keeps: it takes longer to make than a note takes to tokenize."""


def tokenize_batches(
    batches: Iterator[pa.RecordBatch], *, tokenizer: SharedTokenizer, how: Tokenization, added: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Adds NoteTokenizer's six columns, under the names `added`, to Arrow batches, a few notes at a time."""
    encoder = encoder_of(tokenizer)
    words = code_words(encoder.n_ids)
    for batch, notes in tokenized_batches(batches, encoder=encoder, how=how):
        columns = [*batch.columns, *_columns(notes, words, how.cls_id)]
        yield pa.RecordBatch.from_arrays(columns, names=[*batch.schema.names, *added])


def tokenized_batches(
    batches: Iterator[pa.RecordBatch], *, encoder: PieceEncoder, how: Tokenization
) -> Iterator[tuple[pa.RecordBatch, list[TokenizedNote]]]:
    """Arrow batches, a few notes at a time, each with its notes tokenized."""
    for batch in batches:
        for start in range(0, batch.num_rows, NOTES_AT_ONCE):
            few = batch.slice(start, NOTES_AT_ONCE)
            yield few, _tokenized_batch(few, encoder, how)


def tokenize(
    texts: Sequence[str | None],
    sentences: Sequence[tuple[Range, ...]],
    *,
    encoder: PieceEncoder,
    how: Tokenization,
) -> list[TokenizedNote]:
    """Tokenizes notes whole, or each of their sentences (ranges of code points) alone."""
    parts = [_parts(text, ranges, how.context) for text, ranges in zip(texts, sentences, strict=True)]
    encoded = iter(encoder.encode([part for note_parts in parts for _, part in note_parts]))
    pieces = [[(offset, next(encoded)) for offset, _ in note_parts] for note_parts in parts]
    return [
        _null_note() if text is None else _note(note_pieces, ranges, how)
        for text, note_pieces, ranges in zip(texts, pieces, sentences, strict=True)
    ]


def _parts(text: str | None, sentences: tuple[Range, ...], context: str) -> list[tuple[int, str]]:
    """What of a note is tokenized by itself, each part with its offset."""
    if text is None:
        return []
    return [(begin, text[begin:end]) for begin, end in sentences] if context == "sentence" else [(0, text)]


def _null_note() -> TokenizedNote:
    return TokenizedNote(joined([]), (), (), STATUS_NULL)


def _note(parts: list[tuple[int, Pieces]], sentences: tuple[Range, ...], how: Tokenization) -> TokenizedNote:
    pieces = joined(parts)
    if pieces.words.max(initial=NO_WORD) == NO_WORD:
        return TokenizedNote(joined([]), (), (), STATUS_EMPTY)
    windows: list[Range] = []
    for _, part in parts:
        before = windows[-1][1] if windows else 0
        windows += [(before + begin, before + end) for begin, end in cut(len(part), how.max_pieces, how.stride)]
    return TokenizedNote(pieces, tuple(windows), sentences, STATUS_OK)


def encoder_of(tokenizer: SharedTokenizer) -> PieceEncoder:
    """The worker's own, made when it is first asked for."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # Spark gives a task one core
    if tokenizer.sha256 not in _encoders:
        _encoders[tokenizer.sha256] = PieceEncoder(tokenizer.json.value)
    return _encoders[tokenizer.sha256]


def _tokenized_batch(batch: pa.RecordBatch, encoder: PieceEncoder, how: Tokenization) -> list[TokenizedNote]:
    texts = _texts(batch.column(how.text_column))
    if how.sentence_column is None:
        return tokenize(texts, [()] * len(texts), encoder=encoder, how=how)
    annotated = _sentences(batch.column(how.sentence_column))
    ranges = [() if text is None else cover(text, found) for text, found in zip(texts, annotated, strict=True)]
    return tokenize(texts, ranges, encoder=encoder, how=how)


def _texts(column: pa.StringArray) -> list[str | None]:
    """Raises InputError, with a count, for text that is not UTF-8, which Spark lets through."""
    try:
        texts: list[str | None] = column.to_pylist()
    except UnicodeDecodeError:
        n_broken = sum(not _is_utf8(text) for text in column.cast(pa.binary()).to_pylist() if text is not None)
        raise InputError(
            f"{n_broken} of {len(column)} notes read together are not UTF-8, so their characters are not known. Read "
            "them with their own encoding, or mend them: decode(encode(text, 'UTF-8'), 'UTF-8') puts U+FFFD where a "
            "character cannot be read."
        ) from None
    return texts


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _sentences(column: pa.ListArray) -> list[list[Sentence]]:
    """The sentence annotations of each note; none of a note whose list is null."""
    flat = column.flatten()
    fields = (flat.field(name).to_pylist() for name in ("begin", "end", "result"))
    sentences = map(Sentence, *fields)
    return [[next(sentences) for _ in range(size or 0)] for size in column.value_lengths().to_pylist()]


def _columns(notes: Sequence[TokenizedNote], words: pa.StringArray, cls_id: int | None) -> list[pa.Array]:
    fed = feed([_fed_windows(note, cls_id) for note in notes], code_words=words)
    return [
        fed.documents,
        fed.tokens,
        _pieces_column(notes),
        pa.array([len(note.pieces) for note in notes], pa.int32()),
        pa.array([len(note.windows) for note in notes], pa.int32()),
        pa.array([note.status for note in notes], pa.string()),
    ]


def _fed_windows(note: TokenizedNote, cls_id: int | None) -> list[Ints]:
    """The ids of each window, the first special piece's before them where it is asked for."""
    first = np.array([] if cls_id is None else [cls_id], dtype=np.int32)
    return [np.concatenate([first, note.pieces.ids[begin:end]]) for begin, end in note.windows]


def _pieces_column(notes: Sequence[TokenizedNote]) -> pa.StructArray:
    columns = {
        "begin": _int_lists([note.pieces.begins for note in notes]),
        "end": _int_lists([note.pieces.ends for note in notes]),
        "word": _int_lists([note.pieces.words for note in notes]),
        "windows": range_lists([note.windows for note in notes]),
        "sentences": range_lists([note.sentences for note in notes]),
    }
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _int_lists(arrays: Sequence[Ints]) -> pa.ListArray:
    values = np.concatenate([np.empty(0, np.int32), *arrays])
    return pa.ListArray.from_arrays(_offsets(arrays), pa.array(values, pa.int32()))


def range_lists(ranges: Sequence[Sequence[Range]]) -> pa.ListArray:
    """A list of structs of begin and end for each list of ranges."""
    flat = np.array([edge for note in ranges for edge in note], dtype=np.int32).reshape(-1, 2)
    edges = [pa.array(np.ascontiguousarray(flat[:, index])) for index in (0, 1)]
    return pa.ListArray.from_arrays(_offsets(ranges), pa.StructArray.from_arrays(edges, names=["begin", "end"]))


def _offsets(lists: Sequence[Any]) -> pa.Int32Array:
    return pa.array(np.cumsum([0, *map(len, lists)]), pa.int32())
