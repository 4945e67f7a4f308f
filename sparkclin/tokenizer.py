"""NoteTokenizer: a column of notes -> what a Spark NLP model was trained to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark import keyword_only
from pyspark.ml import Transformer
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasInputCol
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import types as T

from sparkclin.annotations import ANNOTATIONS, DOCUMENT, TOKEN, annotator_type, code_words, feed
from sparkclin.errors import InputError, OptionError
from sparkclin.pieces import PieceEncoder, Pieces, joined
from sparkclin.schema import N_PIECES, N_WINDOWS, PIECES, STATUS, STATUS_EMPTY, STATUS_NULL, STATUS_OK
from sparkclin.sentences import Sentence, cover
from sparkclin.windows import Range, check_options, cut

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CONTEXTS = ("note", "sentence")
NOTES_AT_ONCE = 16
"""Notes tokenized together, and in one batch on their way back: 16 long ones are some 20 MB of annotations."""


@dataclass(frozen=True, kw_only=True)
class Tokenization:
    """How notes are tokenized; what the tasks get. `cls_id` is None where the first special piece is not asked for."""

    tokenizer_json: str
    text_column: str
    sentence_column: str | None
    context: str
    max_pieces: int
    stride: int
    cls_id: int | None


@dataclass(frozen=True, eq=False)
class TokenizedNote:
    """A note's pieces, its windows as ranges of them, and its sentences as ranges of code points."""

    pieces: Pieces
    windows: tuple[Range, ...]
    sentences: tuple[Range, ...]
    status: str


class NoteTokenizer(Transformer, HasInputCol, DefaultParamsReadable["NoteTokenizer"], DefaultParamsWritable):
    """Notes -> `document` and `token` annotations for a Spark NLP model of this package, and what to find them by.

    Adds the columns documentCol and tokenCol (Spark NLP annotations that carry transport codes), piecesCol (offsets in
    code points, words, windows, sentences: see docs/architecture.md), `n_pieces`, `n_windows` and `status` (`ok`;
    `empty` for a note of white space only; `null`). A note longer than maxPieces pieces becomes several windows, each
    with `stride` pieces of the one before: nothing is cut. Special pieces typed in a note (`</s>`) are text.

    With cls the code of the first special piece goes before each window, so that its vector comes back too. With
    sentenceCol (a Spark NLP sentence column of the same text) sentences are handed on, and with context "sentence" each
    is tokenized alone.
    """

    tokenizer: Param[str] = Param(
        Params._dummy(), "tokenizer", "the text of the model's tokenizer.json", TypeConverters.toString
    )
    documentCol: Param[str] = Param(
        Params._dummy(), "documentCol", "output: a document annotation a window", TypeConverters.toString
    )
    tokenCol: Param[str] = Param(
        Params._dummy(), "tokenCol", "output: a token annotation a piece", TypeConverters.toString
    )
    piecesCol: Param[str] = Param(
        Params._dummy(), "piecesCol", "output: offsets, words, windows, sentences", TypeConverters.toString
    )
    maxPieces: Param[int] = Param(Params._dummy(), "maxPieces", "most pieces in a window", TypeConverters.toInt)
    stride: Param[int] = Param(Params._dummy(), "stride", "pieces that two windows share", TypeConverters.toInt)
    cls: Param[bool] = Param(
        Params._dummy(), "cls", "ask for the first special piece's vector", TypeConverters.toBoolean
    )
    clsId: Param[int] = Param(Params._dummy(), "clsId", "id of the first special piece", TypeConverters.toInt)
    sentenceCol: Param[str] = Param(
        Params._dummy(), "sentenceCol", "input: sentence annotations, or empty", TypeConverters.toString
    )
    context: Param[str] = Param(Params._dummy(), "context", "note or sentence", TypeConverters.toString)

    @keyword_only
    def __init__(
        self,
        *,
        tokenizer: str | None = None,
        inputCol: str = "text",
        documentCol: str = DOCUMENT,
        tokenCol: str = TOKEN,
        piecesCol: str = PIECES,
        maxPieces: int = 4094,
        stride: int = 512,
        cls: bool = False,
        clsId: int = 0,
        sentenceCol: str = "",
        context: str = "note",
    ) -> None:
        super().__init__()
        given = {name: value for name, value in self._input_kwargs.items() if value is not None}  # type: ignore[attr-defined]
        self._setDefault(
            inputCol="text", documentCol=DOCUMENT, tokenCol=TOKEN, piecesCol=PIECES, maxPieces=4094, stride=512,
            cls=False, clsId=0, sentenceCol="", context="note",
        )  # fmt: skip
        self._set(**given)

    @classmethod
    def pretrained(cls, name: str, language: str = "en") -> NoteTokenizer:
        """The tokenizer of a model of active_repository(), with the model's own limit on pieces.

        Raises ModelError, listing what there is, for a name that is not there.
        """
        from sparkclin.models import active_repository

        bundle = active_repository().find(name, language)
        limit = bundle.manifest.max_pieces
        return cls(
            tokenizer=bundle.tokenizer_json(),
            maxPieces=limit,
            stride=min(512, limit // 8),
            clsId=bundle.manifest.cls_id,
        )

    def setInputCol(self, value: str) -> NoteTokenizer:
        return self._set(inputCol=value)

    def setMaxPieces(self, value: int) -> NoteTokenizer:
        return self._set(maxPieces=value)

    def setStride(self, value: int) -> NoteTokenizer:
        return self._set(stride=value)

    def setCls(self, value: bool) -> NoteTokenizer:
        return self._set(cls=value)

    def setSentenceCol(self, value: str) -> NoteTokenizer:
        return self._set(sentenceCol=value)

    def setContext(self, value: str) -> NoteTokenizer:
        return self._set(context=value)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Raises InputError for missing or clashing columns, OptionError for settings that do not go together."""
        settings = self._settings()
        self._check_columns(dataset, settings)
        new = {
            self.getOrDefault(self.documentCol): (ANNOTATIONS, annotator_type(DOCUMENT)),
            self.getOrDefault(self.tokenCol): (ANNOTATIONS, annotator_type(TOKEN)),
            self.getOrDefault(self.piecesCol): (PIECES_TYPE, {}),
            N_PIECES: (T.IntegerType(), {}),
            N_WINDOWS: (T.IntegerType(), {}),
            STATUS: (T.StringType(), {}),
        }
        fields = [*dataset.schema.fields, *(T.StructField(name, kind) for name, (kind, _) in new.items())]
        tokenized = dataset.mapInArrow(partial(tokenize_batches, settings=settings), T.StructType(fields))
        # Arrow carries no column metadata, and Spark NLP knows its columns by theirs.
        metadata = {field.name: field.metadata for field in dataset.schema.fields} | {n: m for n, (_, m) in new.items()}
        for name, value in metadata.items():
            if value:
                tokenized = tokenized.withMetadata(name, value)
        return tokenized

    def _settings(self) -> Tokenization:
        if not self.isSet(self.tokenizer):
            raise OptionError(
                "NoteTokenizer has no tokenizer: make it by NoteTokenizer.pretrained(name), or give it the text of the "
                "model's tokenizer.json."
            )
        get = self.getOrDefault
        check_options(get(self.maxPieces), get(self.stride))
        if get(self.context) not in CONTEXTS or (get(self.context) == "sentence" and not get(self.sentenceCol)):
            raise OptionError(
                f"context is {get(self.context)!r}: expected 'note', or 'sentence' together with a sentenceCol."
            )
        return Tokenization(
            tokenizer_json=get(self.tokenizer),
            text_column=self.getInputCol(),
            sentence_column=get(self.sentenceCol) or None,
            context=get(self.context),
            max_pieces=get(self.maxPieces),
            stride=get(self.stride),
            cls_id=get(self.clsId) if get(self.cls) else None,
        )

    def _check_columns(self, dataset: DataFrame, settings: Tokenization) -> None:
        there = set(dataset.columns)
        outputs = {self.getOrDefault(p) for p in (self.documentCol, self.tokenCol, self.piecesCol)}
        outputs |= {N_PIECES, N_WINDOWS, STATUS}
        missing = {name for name in (settings.text_column, settings.sentence_column) if name} - there
        if missing or outputs & there:
            raise InputError(
                f"the columns are {', '.join(dataset.columns)}: missing {', '.join(sorted(missing)) or 'none'}; there "
                f"already, though NoteTokenizer adds them: {', '.join(sorted(outputs & there)) or 'none'}. Rename columns "
                "or set inputCol, sentenceCol, documentCol, tokenCol, piecesCol."
            )


_RANGES = T.ArrayType(
    T.StructType([T.StructField("begin", T.IntegerType()), T.StructField("end", T.IntegerType())]),
)
PIECES_TYPE = T.StructType(
    [
        T.StructField("begin", T.ArrayType(T.IntegerType())),
        T.StructField("end", T.ArrayType(T.IntegerType())),
        T.StructField("word", T.ArrayType(T.IntegerType())),
        T.StructField("windows", _RANGES),
        T.StructField("sentences", _RANGES),
    ]
)
"""The column `pieces`; docs/architecture.md says what each field means."""


def tokenize_batches(batches: Iterator[pa.RecordBatch], *, settings: Tokenization) -> Iterator[pa.RecordBatch]:
    """Adds NoteTokenizer's columns to Arrow batches, a few notes at a time."""
    for batch in batches:
        for start in range(0, batch.num_rows, NOTES_AT_ONCE):
            yield _tokenize_batch(batch.slice(start, NOTES_AT_ONCE), settings)


def _tokenize_batch(batch: pa.RecordBatch, settings: Tokenization) -> pa.RecordBatch:
    encoder = _encoder(settings.tokenizer_json)
    texts = batch.column(settings.text_column).to_pylist()
    annotated = batch.column(settings.sentence_column).to_pylist() if settings.sentence_column else [None] * len(texts)
    sentences = [_sentences(text, annotations) for text, annotations in zip(texts, annotated, strict=True)]
    notes = tokenize(texts, sentences, encoder=encoder, settings=settings)
    fed = feed([_fed_windows(note, settings.cls_id) for note in notes], code_words=_code_words(encoder.n_ids))
    added = [
        fed.documents,
        fed.tokens,
        _pieces_column(notes),
        pa.array([len(note.pieces) for note in notes], pa.int32()),
        pa.array([len(note.windows) for note in notes], pa.int32()),
        pa.array([note.status for note in notes], pa.string()),
    ]
    # By position: Spark reads the columns in the order of the schema.
    names = [*batch.schema.names, *(f"added_{index}" for index in range(len(added)))]
    return pa.RecordBatch.from_arrays([*batch.columns, *added], names=names)


def tokenize(
    texts: list[str | None],
    sentences: list[tuple[Range, ...]],
    *,
    encoder: PieceEncoder,
    settings: Tokenization,
) -> list[TokenizedNote]:
    """Tokenizes notes whole, or each of their sentences (ranges of code points) alone."""
    alone = settings.context == "sentence"
    parts = [_parts(text, ranges, alone=alone) for text, ranges in zip(texts, sentences, strict=True)]
    encoded = iter(encoder.encode([part for _, note_parts in parts for _, part in note_parts]))
    return [
        _tokenized(text, [(offset, next(encoded)) for offset, _ in note_parts], ranges, settings)
        for text, (_, note_parts), ranges in zip(texts, parts, sentences, strict=True)
    ]


def _parts(text: str | None, ranges: tuple[Range, ...], *, alone: bool) -> tuple[int, list[tuple[int, str]]]:
    """What is tokenized of a note, each part with its offset."""
    if text is None or not text.strip():
        return 0, []
    parts = [(begin, text[begin:end]) for begin, end in ranges] if alone else [(0, text)]
    return len(parts), parts


def _tokenized(
    text: str | None, parts: list[tuple[int, Pieces]], sentences: tuple[Range, ...], settings: Tokenization
) -> TokenizedNote:
    windows: list[Range] = []
    before = 0
    for _, pieces in parts:
        ranges = cut(len(pieces), settings.max_pieces, settings.stride)
        windows += [(before + begin, before + end) for begin, end in ranges]
        before += len(pieces)
    status = STATUS_OK if before else STATUS_NULL if text is None else STATUS_EMPTY
    return TokenizedNote(joined(parts), tuple(windows), sentences if before else (), status)


def _sentences(text: str | None, annotations: list[dict[str, Any]] | None) -> tuple[Range, ...]:
    if text is None or annotations is None:
        return ()
    return cover(text, [Sentence(found["begin"], found["end"], found["result"]) for found in annotations])


def _fed_windows(note: TokenizedNote, cls_id: int | None) -> list[np.ndarray[Any, Any]]:
    first = np.array([] if cls_id is None else [cls_id], dtype=np.int32)
    return [np.concatenate([first, note.pieces.ids[begin:end]]) for begin, end in note.windows]


def _pieces_column(notes: list[TokenizedNote]) -> pa.StructArray:
    columns = {
        "begin": _int_lists([note.pieces.begins for note in notes]),
        "end": _int_lists([note.pieces.ends for note in notes]),
        "word": _int_lists([note.pieces.words for note in notes]),
        "windows": _range_lists([note.windows for note in notes]),
        "sentences": _range_lists([note.sentences for note in notes]),
    }
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _int_lists(arrays: list[np.ndarray[Any, Any]]) -> pa.ListArray:
    values = np.concatenate([np.empty(0, np.int32), *arrays]).astype(np.int32)
    return pa.ListArray.from_arrays(_offsets(arrays), pa.array(values))


def _range_lists(ranges: list[tuple[Range, ...]]) -> pa.ListArray:
    flat = np.array([edge for note in ranges for edge in note], dtype=np.int32).reshape(-1, 2)
    values = pa.StructArray.from_arrays(
        [pa.array(flat[:, 0].copy()), pa.array(flat[:, 1].copy())], names=["begin", "end"]
    )
    return pa.ListArray.from_arrays(_offsets(ranges), values)


def _offsets(lists: list[Any]) -> pa.Int32Array:
    return pa.array(np.concatenate([[0], np.cumsum([len(part) for part in lists])]).astype(np.int32))


@lru_cache(maxsize=2)
def _encoder(tokenizer_json: str) -> PieceEncoder:
    """Built once a worker process, not once a task."""
    return PieceEncoder(tokenizer_json)


@lru_cache(maxsize=2)
def _code_words(n_ids: int) -> pa.StringArray:
    return code_words(n_ids)
