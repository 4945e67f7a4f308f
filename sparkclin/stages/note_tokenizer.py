"""NoteTokenizer: a column of notes -> what a Spark NLP model was trained to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.ml import Transformer
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasInputCol
from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import types as T

from sparkclin.errors import InputError, OptionError
from sparkclin.schema import N_PIECES, N_WINDOWS, PIECES, STATUS, column_problems
from sparkclin.spark.failures import in_task
from sparkclin.stages.columns import ANNOTATIONS, PIECES_TYPE
from sparkclin.text.pieces import Ints
from sparkclin.text.sentences import DEFAULT_SPLITTER, SPARK_NLP
from sparkclin.text.tokenization import PairOptions, TokenizedNote
from sparkclin.text.windows import CONTEXTS, WindowOptions, default_stride
from sparkclin.wire.annotations import (
    DOCUMENT,
    QUESTION_DOCUMENT,
    TOKEN,
    annotation_columns,
    annotator_type,
    code_words,
    text_documents,
)
from sparkclin.wire.batches import NoteColumns, PairColumn, SharedTokenizer, encoder_of, shared, tokenized_batches
from sparkclin.wire.pieces_column import pieces_column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DEFAULT_MAX_PIECES = 4094
_TOKENIZER_FOLDER = "tokenizer"


class NoteTokenizer(Transformer, HasInputCol, MLReadable["NoteTokenizer"], MLWritable):
    """Notes -> `document` and `token` annotations for a Spark NLP model of this package, and what to find them by.

    Adds the columns documentCol and tokenCol (Spark NLP annotations that carry transport codes), piecesCol (offsets in
    code points, words, windows, sentences: see docs/architecture.md), `n_pieces`, `n_windows` and `status` (`ok`;
    `empty` for a note of white space only; `null`). A note longer than maxPieces pieces becomes several windows, each
    with `stride` pieces of the one before: nothing is cut. Special pieces typed in a note (`</s>`) are text.

    With cls the code of the first special piece goes before each window, so that its vector comes back too; it is one
    of the window's maxPieces. The embeddings stage needs a maxSentenceLength of maxPieces + 2 or more. Where it has
    less, VectorPooler raises an error; but where it is short by just one, Spark NLP gives the last piece of a full
    window the vector of `</s>`, and nothing can tell.

    piecesCol has the sentences, which nupunkt finds, or Spark NLP's with sentenceCol (a Spark NLP sentence column of
    the same text). With context "sentence" each is tokenized alone. Text that is in no sentence becomes a sentence of
    its own.

    With questionCol each window is read with that note's question, which takes its part of it. documentCol then has the
    windows' codes as text, and questionDocumentCol the question's: what stock annotators of questions read, a row per
    window (`sparkclin.stages.stock_answers`). A question that leaves no room gives the status `pair_too_long`.
    `separators` are the ids that the model has between two texts.

    `tokenizer` is the text of the model's tokenizer.json. It is no param, since it is megabytes long, but it is saved
    and loaded with the stage.
    """

    documentCol: Param[str] = Param(
        Params._dummy(), "documentCol", "output: a document annotation per window", TypeConverters.toString
    )
    tokenCol: Param[str] = Param(
        Params._dummy(), "tokenCol", "output: a token annotation per piece", TypeConverters.toString
    )
    piecesCol: Param[str] = Param(
        Params._dummy(), "piecesCol", "output: offsets, words, windows, sentences", TypeConverters.toString
    )
    maxPieces: Param[int] = Param(
        Params._dummy(), "maxPieces", "most pieces in a window, with cls", TypeConverters.toInt
    )
    stride: Param[int] = Param(Params._dummy(), "stride", "pieces that two windows share", TypeConverters.toInt)
    cls: Param[bool] = Param(
        Params._dummy(), "cls", "ask for the first special piece's vector", TypeConverters.toBoolean
    )
    clsId: Param[int] = Param(Params._dummy(), "clsId", "id of the first special piece", TypeConverters.toInt)
    sentenceCol: Param[str] = Param(
        Params._dummy(), "sentenceCol", "input: Spark NLP's sentences; empty: nupunkt's", TypeConverters.toString
    )
    context: Param[str] = Param(Params._dummy(), "context", " | ".join(CONTEXTS), TypeConverters.toString)
    questionCol: Param[str] = Param(
        Params._dummy(), "questionCol", "input: a question about each note, or empty", TypeConverters.toString
    )
    questionDocumentCol: Param[str] = Param(
        Params._dummy(), "questionDocumentCol", "output: the question, for each window", TypeConverters.toString
    )
    separators: Param[list[int]] = Param(
        Params._dummy(), "separators", "ids between a question and a text", TypeConverters.toListInt
    )

    def __init__(
        self,
        *,
        tokenizer: str | None = None,
        inputCol: str = "text",
        documentCol: str = DOCUMENT,
        tokenCol: str = TOKEN,
        piecesCol: str = PIECES,
        maxPieces: int = DEFAULT_MAX_PIECES,
        stride: int = default_stride(DEFAULT_MAX_PIECES),
        cls: bool = False,
        clsId: int = 0,
        sentenceCol: str = "",
        context: str = "note",
        questionCol: str = "",
        questionDocumentCol: str = QUESTION_DOCUMENT,
        separators: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self._set(
            inputCol=inputCol,
            documentCol=documentCol,
            tokenCol=tokenCol,
            piecesCol=piecesCol,
            maxPieces=maxPieces,
            stride=stride,
            cls=cls,
            clsId=clsId,
            sentenceCol=sentenceCol,
            context=context,
            questionCol=questionCol,
            questionDocumentCol=questionDocumentCol,
            separators=list(separators),
        )

    @classmethod
    def pretrained(cls, name: str, language: str | None = None) -> NoteTokenizer:
        """Return the tokenizer of a model of active_repository(), with the model's own limit on pieces.

        Raise ModelError, listing the models, for an unknown name, and for one in several languages without `language`.
        """
        from sparkclin.models.pretrained import active_repository

        bundle = active_repository().find(name, language)
        windows = bundle.manifest.windows()
        return cls(
            tokenizer=bundle.tokenizer_json(),
            maxPieces=windows.max_pieces,
            stride=windows.stride,
            clsId=bundle.manifest.cls_id,
            separators=bundle.manifest.separators,
        )

    def setInputCol(self, value: str) -> NoteTokenizer:
        return self._set(inputCol=value)

    def setDocumentCol(self, value: str) -> NoteTokenizer:
        return self._set(documentCol=value)

    def setTokenCol(self, value: str) -> NoteTokenizer:
        return self._set(tokenCol=value)

    def setPiecesCol(self, value: str) -> NoteTokenizer:
        return self._set(piecesCol=value)

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

    def setQuestionCol(self, value: str) -> NoteTokenizer:
        return self._set(questionCol=value)

    def setQuestionDocumentCol(self, value: str) -> NoteTokenizer:
        return self._set(questionDocumentCol=value)

    def write(self) -> MLWriter:
        return _Writer(self)

    @classmethod
    def read(cls) -> MLReader[NoteTokenizer]:
        return _Reader()

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Raises InputError for missing or clashing columns, OptionError for settings that do not go together."""
        options = self._window_options()
        added = self._added()
        self._check_columns(dataset, added)
        tokenize = partial(
            tokenize_batches,
            tokenizer=shared(dataset.sparkSession, _needed(self.tokenizer)),
            columns=self._columns(),
            options=options,
            cls_id=self.getOrDefault(self.clsId) if self.getOrDefault(self.cls) else None,
            added=[field.name for field in added],
        )
        return dataset.mapInArrow(in_task(tokenize), T.StructType([*dataset.schema.fields, *added]))

    def _columns(self) -> NoteColumns:
        get = self.getOrDefault
        question = get(self.questionCol) or None
        if question and (get(self.sentenceCol) or get(self.cls)):
            raise OptionError("questionCol goes with neither sentenceCol nor cls.")
        if question and not get(self.separators):
            raise OptionError("questionCol needs separators: make the tokenizer by NoteTokenizer.pretrained(name).")
        separators: Any = get(self.separators)  # its stub knows no list
        how = PairOptions(separators=tuple(separators), first=True)
        return NoteColumns(
            text=self.getInputCol(),
            splitter=SPARK_NLP if get(self.sentenceCol) else DEFAULT_SPLITTER,
            sentences=get(self.sentenceCol),
            pair=PairColumn(name=question, options=how) if question else None,
        )

    def _window_options(self) -> WindowOptions:
        get = self.getOrDefault
        return WindowOptions(
            max_pieces=get(self.maxPieces) - int(get(self.cls)), stride=get(self.stride), context=get(self.context)
        )

    def _added(self) -> list[T.StructField]:
        get = self.getOrDefault
        questions = T.StructField(get(self.questionDocumentCol), ANNOTATIONS, metadata=annotator_type(DOCUMENT))
        return [
            *([questions] if get(self.questionCol) else []),
            T.StructField(get(self.documentCol), ANNOTATIONS, metadata=annotator_type(DOCUMENT)),
            T.StructField(get(self.tokenCol), ANNOTATIONS, metadata=annotator_type(TOKEN)),
            T.StructField(get(self.piecesCol), PIECES_TYPE),
            T.StructField(N_PIECES, T.IntegerType()),
            T.StructField(N_WINDOWS, T.IntegerType()),
            T.StructField(STATUS, T.StringType()),
        ]

    def _check_columns(self, dataset: DataFrame, added: Iterable[T.StructField]) -> None:
        get = self.getOrDefault
        text, sentences, question = self.getInputCol(), get(self.sentenceCol), get(self.questionCol)
        types = dict(dataset.dtypes)
        needed = [name for name in (text, sentences, question) if name]
        problems = column_problems(list(types), needed=needed, added=[field.name for field in added])
        strings = [name for name in (text, question) if types.get(name, "string") != "string"]
        problems += [f"column {name} is {types[name]}, expected a string per note" for name in strings]
        if sentences in types and not _are_annotations(dataset.schema[sentences]):
            problems.append(f"column {sentences} is {types[sentences]}, expected Spark NLP annotations")
        if problems:
            raise InputError(
                f"{'; '.join(problems)}. Rename columns, or set inputCol, sentenceCol, questionCol, documentCol, "
                "questionDocumentCol, tokenCol or piecesCol."
            )


def _are_annotations(field: T.StructField) -> bool:
    kind = field.dataType
    if not isinstance(kind, T.ArrayType) or not isinstance(kind.elementType, T.StructType):
        return False
    return {"begin", "end", "result"} <= set(kind.elementType.names)


def tokenize_batches(
    batches: Iterator[pa.RecordBatch],
    *,
    tokenizer: SharedTokenizer,
    columns: NoteColumns,
    options: WindowOptions,
    cls_id: int | None,
    added: Sequence[str],
) -> Iterator[pa.RecordBatch]:
    """Adds NoteTokenizer's columns, under the names `added`, to Arrow batches, a few notes at a time.

    `cls_id` is None where the first special piece's vector is not asked for.
    """
    encoder = encoder_of(tokenizer)
    words = code_words(encoder.n_ids)
    for batch, notes in tokenized_batches(batches, encoder=encoder, columns=columns, options=options):
        made = [*batch.columns, *_made_columns(notes, words, cls_id, columns.pair)]
        yield pa.RecordBatch.from_arrays(made, names=[*batch.schema.names, *added])


def _made_columns(
    notes: Sequence[TokenizedNote], words: pa.StringArray, cls_id: int | None, pair: PairColumn | None
) -> list[pa.Array]:
    annotations = annotation_columns([_sent_windows(note, cls_id) for note in notes], words=words)
    return [
        *([annotations.documents] if pair is None else _texts(notes, words, pair.options.separators)),
        annotations.tokens,
        pieces_column(notes),
        pa.array([len(note.pieces) for note in notes], pa.int32()),
        pa.array([len(note.windows) for note in notes], pa.int32()),
        pa.array([note.status for note in notes], pa.string()),
    ]


def _sent_windows(note: TokenizedNote, cls_id: int | None) -> list[Ints]:
    """The ids of each window, the first special piece's before them where it is asked for."""
    first = np.array([] if cls_id is None else [cls_id], dtype=np.int32)
    return [np.concatenate([first, note.pieces.ids[begin:end]]) for begin, end in note.windows]


def _texts(
    notes: Sequence[TokenizedNote], words: pa.StringArray, separators: Sequence[int]
) -> tuple[pa.ListArray, pa.ListArray]:
    """Questions and windows as running text, one of each per window; a window has a separator in front."""
    questions = [[note.pair.before[: -len(separators)]] * len(note.windows) for note in notes]
    windows = [[np.append(separators[-1:], window) for window in _sent_windows(note, None)] for note in notes]
    return text_documents(questions, words=words), text_documents(windows, words=words)


def _needed(tokenizer: str | None) -> str:
    if tokenizer is None:
        raise OptionError(
            "NoteTokenizer has no tokenizer: make it by NoteTokenizer.pretrained(name), or give it the text of the "
            "model's tokenizer.json."
        )
    return tokenizer


class _Writer(MLWriter):
    """The params as Spark ML saves them, and the tokenizer as a table of one row beside them."""

    def __init__(self, stage: NoteTokenizer) -> None:
        super().__init__()
        self._stage = stage

    def saveImpl(self, path: str) -> None:
        tokenizer = _needed(self._stage.tokenizer)
        DefaultParamsWriter.saveMetadata(self._stage, path, self.sc)
        table = self.sparkSession.createDataFrame([(tokenizer,)], "tokenizer string")
        table.coalesce(1).write.parquet(f"{path}/{_TOKENIZER_FOLDER}")


class _Reader(MLReader[NoteTokenizer]):
    def load(self, path: str) -> NoteTokenizer:
        metadata = DefaultParamsReader.loadMetadata(path, self.sc)
        [row] = self.sparkSession.read.parquet(f"{path}/{_TOKENIZER_FOLDER}").collect()
        stage = NoteTokenizer(tokenizer=row.tokenizer)
        stage._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(stage, metadata)
        return stage
