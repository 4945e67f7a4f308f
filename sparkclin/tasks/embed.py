"""Notes -> vectors: the whole way through Spark NLP as one function from DataFrame to DataFrame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sparkclin.errors import InputError, OptionError
from sparkclin.models.bundle import Bundle
from sparkclin.models.hosts import load_for_packs, pack_vocabulary
from sparkclin.schema import (
    EMBEDDINGS,
    NOTE_ID,
    STATUS,
    STATUS_NO_PIECES,
    STATUS_OK,
    TEXT,
    VECTORS,
    output_schema,
)
from sparkclin.spark.session import check_batch_setting
from sparkclin.stages.note_tokenizer import CONTEXTS
from sparkclin.stages.tokenization import Tokenization, shared
from sparkclin.text.segments import check_pooling
from sparkclin.text.windows import check_options
from sparkclin.wire.annotations import DOCUMENT, annotator_type
from sparkclin.wire.packing import NOTES, SPANS, Packing, pack_batches, packed_schema, pooled_schema, unpack_batches

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SENTENCES = "sentences"
INDEX_COLUMNS = {"window": "window", "sentence": "sentence", "token": "token_index"}


@dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """What vectors to make; raises OptionError for what does not go together."""

    level: str = "document"
    pooling: str = "mean"
    context: str = "note"
    max_pieces: int = 4094
    stride: int = 512

    def __post_init__(self) -> None:
        check_pooling(self.level, self.pooling)
        check_options(self.max_pieces, self.stride)
        if self.context not in CONTEXTS or (self.context == "sentence" and self.level != "sentence"):
            raise OptionError(
                f"context {self.context!r} with level {self.level!r}: 'sentence' goes with level sentence."
            )
        if self.pooling == "cls" and self.level == "sentence" and self.context == "note":
            raise OptionError("cls is a vector of a window: at level sentence it needs context sentence.")


def embed(
    notes: DataFrame,
    *,
    bundle: Bundle,
    options: EmbedOptions,
    observe: Callable[[DataFrame], DataFrame] | None = None,
) -> DataFrame:
    """(note_id, text) -> the output schema of the level; every note is in it, an empty or null one with a null vector.

    `observe` may add an observation to the pooled notes (a row a note, with n_pieces, n_windows, status).
    Other columns of `notes` are left out. Raises InputError where note_id or text is missing, OptionError where the
    model reads fewer pieces than `options.max_pieces`, and SetupError for a session whose Arrow batches are too large.
    """
    _check_columns(notes)
    check_batch_setting(notes.sparkSession)
    limit = bundle.manifest.max_pieces
    if options.max_pieces > limit:
        raise OptionError(f"max_pieces is {options.max_pieces}; {bundle.manifest.name} reads at most {limit}.")
    read = _with_sentences(notes.select(NOTE_ID, TEXT), options)
    pooled = _pooled(read, bundle, options)
    return _rows(observe(pooled) if observe else pooled, options, model=bundle.manifest.name)


def _pooled(notes: DataFrame, bundle: Bundle, options: EmbedOptions) -> DataFrame:
    """Pooled inside the graph: packs of windows go in, one vector a span comes out; see sparkclin.wire.packing."""
    from pyspark.sql import functions as F

    spark = notes.sparkSession
    # At level token a row shows its word, which is cut out of the text afterwards.
    carried = [notes.schema[name] for name in ((NOTE_ID, TEXT) if options.level == "token" else (NOTE_ID,))]
    how = Packing(
        carried=tuple(field.name for field in carried),
        tokenization=_tokenization(options),
        level=options.level,
        pooling=options.pooling,
        vocabulary=pack_vocabulary(bundle),
    )
    pack = partial(pack_batches, tokenizer=shared(spark, bundle.tokenizer_json()), how=how)
    # Spark drops a column's metadata, by which Spark NLP knows annotations, where Python hands it back.
    packs = notes.mapInArrow(pack, packed_schema(carried)).withMetadata(DOCUMENT, annotator_type(DOCUMENT))
    answered = load_for_packs(spark, bundle, output_col=EMBEDDINGS).transform(packs)
    answers = answered.select(SPANS, NOTES, F.col(f"{EMBEDDINGS}.embeddings").alias(VECTORS))
    pooled: DataFrame = answers.mapInArrow(partial(unpack_batches, pooling=options.pooling), pooled_schema(carried))
    return pooled


def _check_columns(notes: DataFrame) -> None:
    missing = [name for name in (NOTE_ID, TEXT) if name not in notes.columns]
    if missing:
        raise InputError(
            f"there is no column {', '.join(missing)}; the columns are {', '.join(notes.columns)}. Rename "
            "yours, or read them with sparkclin.runs.corpus.read_notes()."
        )


def _with_sentences(notes: DataFrame, options: EmbedOptions) -> DataFrame:
    """Spark NLP's sentence detection, where the level asks for it."""
    if options.level != "sentence":
        return notes
    from sparknlp.annotator import SentenceDetector
    from sparknlp.base import DocumentAssembler

    assembled = DocumentAssembler().setInputCol(TEXT).setOutputCol("_assembled").transform(notes)
    detector = SentenceDetector().setInputCols(["_assembled"]).setOutputCol(SENTENCES)
    detected: DataFrame = detector.transform(assembled).drop("_assembled")
    return detected


def _tokenization(options: EmbedOptions) -> Tokenization:
    return Tokenization(
        text_column=TEXT,
        sentence_column=SENTENCES if options.level == "sentence" else None,
        context=options.context,
        max_pieces=options.max_pieces,
        stride=options.stride,
        cls_id=None,  # a pack has it anyway
    )


def _rows(pooled: DataFrame, options: EmbedOptions, *, model: str) -> DataFrame:
    """A row a result, in the order and types of the level's schema."""
    from pyspark.sql import functions as F

    if options.level == "document":
        found = pooled.withColumn("entry", F.get(VECTORS, F.lit(0)))
    else:
        found = pooled.withColumn("entry", F.explode_outer(VECTORS))
    made: dict[str, Column] = {
        INDEX_COLUMNS.get(options.level, "index"): F.col("entry.index"),
        "begin": F.col("entry.begin"),
        "end": F.col("entry.end"),
        "vector": F.col("entry.vector"),
        STATUS: F.when((F.col(STATUS) == STATUS_OK) & F.col("entry.vector").isNull(), STATUS_NO_PIECES).otherwise(
            F.col(STATUS)
        ),
        "model": F.lit(model),
        "pooling": F.lit(options.pooling),
    }
    if options.level == "token":
        # Spark counts code points, as the offsets do.
        made["token"] = F.expr(f"substring({TEXT}, entry.begin + 1, entry.end - entry.begin)")
    schema = output_schema(options.level, pooled.schema[NOTE_ID].dataType)
    columns = (made.get(field.name, F.col(field.name)).cast(field.dataType).alias(field.name) for field in schema)
    return found.select(*columns)
