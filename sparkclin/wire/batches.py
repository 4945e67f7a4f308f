"""Arrow batches of notes -> the same batches, a few notes at a time, with the notes tokenized."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from sparkclin.hashing import sha256_of_text
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.sentences import NUPUNKT, SPARK_NLP, Sentence, cover_annotations, split_sentences
from sparkclin.text.tokenization import PairOptions, Text, TokenizedNote, tokenize, tokenize_pairs
from sparkclin.text.windows import Range, WindowOptions

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import SparkSession

SENTENCES = "sentences"
"""The column of Spark NLP's sentence annotations."""

NOTES_AT_ONCE = 16
"""Notes tokenized together, and in one batch on their way back: 16 long ones are some 20 MB of annotations."""


@dataclass(frozen=True, kw_only=True)
class PairColumn:
    """Where the text is that a note is read with, and how the two are read."""

    name: str
    options: PairOptions


@dataclass(frozen=True, kw_only=True)
class NoteColumns:
    """Where a note's text is, what it is read with, and how its sentences are found; None for neither.

    `splitter` is one of SPLITTERS; for SPARK_NLP, `sentences` is the column of its annotations.
    """

    text: str
    splitter: str | None = None
    sentences: str = SENTENCES
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
    texts = texts_of(batch.column(columns.text))
    if columns.pair is not None:
        pairs = texts_of(batch.column(columns.pair.name))
        return tokenize_pairs(texts, pairs, encoder=encoder, options=options, pairing=columns.pair.options)
    return tokenize(texts, _sentences_of(texts, batch, columns), encoder=encoder, options=options)


def _sentences_of(texts: Sequence[Text], batch: pa.RecordBatch, columns: NoteColumns) -> list[tuple[Range, ...]]:
    """Return the sentences of each note; none of a note without text."""
    if columns.splitter == SPARK_NLP:
        annotated = zip(texts, _annotations(batch.column(columns.sentences)), strict=True)
        return [cover_annotations(text, found) if isinstance(text, str) else () for text, found in annotated]
    if columns.splitter == NUPUNKT:
        return [split_sentences(text) if isinstance(text, str) else () for text in texts]
    return [()] * len(texts)


def texts_of(column: pa.StringArray) -> list[Text]:
    """Return the texts of a column. Spark lets bytes through that are not UTF-8."""
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


def _annotations(column: pa.ListArray) -> list[list[Sentence]]:
    """Return the sentence annotations of each note; none of a note whose list is null."""
    flat = column.flatten()
    fields = (flat.field(name).to_pylist() for name in ("begin", "end", "result"))
    sentences = map(Sentence, *fields)
    return [[next(sentences) for _ in range(size or 0)] for size in column.value_lengths().to_pylist()]
