"""Arrow batches of notes -> the same batches, a few notes at a time, with the notes tokenized."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from sparkclin.hashing import sha256_of_text
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.sentences import Sentence, cover
from sparkclin.text.tokenization import PairOptions, Text, TokenizedNote, tokenize, tokenize_pairs
from sparkclin.text.windows import WindowOptions

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import SparkSession

NOTES_AT_ONCE = 16
"""Notes tokenized together, and in one batch on their way back: 16 long ones are some 20 MB of annotations."""


@dataclass(frozen=True, kw_only=True)
class PairColumn:
    """Where the text is that a note is read with, and how the two are read."""

    name: str
    options: PairOptions


@dataclass(frozen=True, kw_only=True)
class NoteColumns:
    """Where a note's text is, its sentences (Spark NLP annotations), and what it is read with; None where there are
    none."""

    text: str
    sentences: str | None = None
    pair: PairColumn | None = None


@dataclass(frozen=True, kw_only=True)
class SharedTokenizer:
    """A tokenizer.json on its way to the workers, which keep what they make of it under its hash."""

    sha256: str
    json: Broadcast[str]


def shared(spark: SparkSession, tokenizer_json: str) -> SharedTokenizer:
    return SharedTokenizer(sha256=sha256_of_text(tokenizer_json), json=spark.sparkContext.broadcast(tokenizer_json))


_encoders: dict[str, PieceEncoder] = {}
"""What a worker makes of a tokenizer.json, and keeps: it takes longer to make than a note takes to tokenize."""


def encoder_of(tokenizer: SharedTokenizer) -> PieceEncoder:
    """The worker's own, made when it is first asked for."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # Spark gives a task one core
    if tokenizer.sha256 not in _encoders:
        _encoders[tokenizer.sha256] = PieceEncoder(tokenizer.json.value)
    return _encoders[tokenizer.sha256]


def tokenized_batches(
    batches: Iterator[pa.RecordBatch], *, encoder: PieceEncoder, columns: NoteColumns, options: WindowOptions
) -> Iterator[tuple[pa.RecordBatch, list[TokenizedNote]]]:
    """Arrow batches, NOTES_AT_ONCE notes at a time, each with its notes tokenized."""
    for batch in batches:
        for start in range(0, batch.num_rows, NOTES_AT_ONCE):
            few = batch.slice(start, NOTES_AT_ONCE)
            yield few, _tokenized(few, encoder, columns, options)


def _tokenized(
    batch: pa.RecordBatch, encoder: PieceEncoder, columns: NoteColumns, options: WindowOptions
) -> list[TokenizedNote]:
    texts = _texts(batch.column(columns.text))
    if columns.pair is not None:
        pairs = _texts(batch.column(columns.pair.name))
        return tokenize_pairs(texts, pairs, encoder=encoder, options=options, pairing=columns.pair.options)
    if columns.sentences is None:
        return tokenize(texts, [()] * len(texts), encoder=encoder, options=options)
    annotated = _sentences(batch.column(columns.sentences))
    ranges = [cover(text, found) if isinstance(text, str) else () for text, found in zip(texts, annotated, strict=True)]
    return tokenize(texts, ranges, encoder=encoder, options=options)


def _texts(column: pa.StringArray) -> list[Text]:
    """Spark lets bytes through that are not UTF-8."""
    try:
        texts: list[Text] = column.to_pylist()
    except UnicodeDecodeError:
        return [_text_or_bytes(text) for text in column.cast(pa.binary()).to_pylist()]
    return texts


def _text_or_bytes(text: bytes | None) -> Text:
    try:
        return None if text is None else text.decode("utf-8")
    except UnicodeDecodeError:
        return text


def _sentences(column: pa.ListArray) -> list[list[Sentence]]:
    """The sentence annotations of each note; none of a note whose list is null."""
    flat = column.flatten()
    fields = (flat.field(name).to_pylist() for name in ("begin", "end", "result"))
    sentences = map(Sentence, *fields)
    return [[next(sentences) for _ in range(size or 0)] for size in column.value_lengths().to_pylist()]
