"""Notes -> vectors: `embed()`, a function from DataFrame to DataFrame, and the columns that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from sparkclin.errors import OptionError
from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.schema import (
    N_PIECES,
    N_WINDOWS,
    NOTE_ID,
    STATUS,
    STATUS_NO_PIECES,
    STATUS_OK,
    TEXT,
    VECTORS,
    check_note_columns,
)
from sparkclin.spark.failures import step
from sparkclin.spark.session import check_session
from sparkclin.tasks.reading import ReadingOptions
from sparkclin.tasks.rows import cut_out, schema_of, selected
from sparkclin.tasks.segment_outputs import SegmentTask, segment_outputs
from sparkclin.text.pooling import OUTPUTS_OF_POOLING, merge_note
from sparkclin.text.segments import check_pooling, plan_segments
from sparkclin.text.windows import CONTEXTS, WindowOptions
from sparkclin.wire.batches import NoteColumns

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SENTENCES = "sentences"
INDEX_COLUMNS = {"window": "window", "sentence": "sentence", "token": "token_index"}

_VECTOR = T.StructField("vector", T.ArrayType(T.FloatType()))
_RANGE = [T.StructField("begin", T.IntegerType()), T.StructField("end", T.IntegerType())]
_MADE_BY = [T.StructField(name, T.StringType()) for name in (STATUS, "model", "pooling")]


def _index(name: str) -> T.StructField:
    return T.StructField(name, T.IntegerType())


OUTPUT: dict[str, tuple[T.StructField, ...]] = {
    "document": (_VECTOR, _index(N_PIECES), _index(N_WINDOWS), *_MADE_BY),
    "window": (_index("window"), *_RANGE, _VECTOR, *_MADE_BY),
    "sentence": (_index("sentence"), *_RANGE, _VECTOR, *_MADE_BY),
    "token": (_index("token_index"), T.StructField("token", T.StringType()), *_RANGE, _VECTOR, *_MADE_BY),
}
"""What each level's output has after `note_id`, which keeps its type. Offsets are code points, ends exclusive."""


def output_schema(level: str, note_id: T.DataType) -> T.StructType:
    """The schema of a level's output."""
    return schema_of(OUTPUT[level], note_id)


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(ReadingOptions):
    """What vectors to make; raises OptionError for what does not go together."""

    level: str = "document"
    pooling: str = "mean"
    context: str = "note"

    def __post_init__(self) -> None:
        check_pooling(self.level, self.pooling)
        if self.context not in CONTEXTS or (self.context == "sentence" and self.level != "sentence"):
            raise OptionError(
                f"context {self.context!r} with level {self.level!r}: 'sentence' goes with level sentence."
            )
        if self.pooling == "cls" and self.level == "sentence" and self.context == "note":
            raise OptionError("cls is a vector of a window: at level sentence it needs context sentence.")

    @property
    def needs_spark_nlp(self) -> bool:
        """Whatever the model's engine: sentences are Spark NLP's."""
        return self.level == "sentence"

    def windows(self, manifest: Manifest) -> WindowOptions:
        """How a model's notes are cut; raises OptionError where the model cannot read such windows."""
        return replace(super().windows(manifest), context=self.context)

    def settings(self, manifest: Manifest) -> Mapping[str, Any]:
        """For a run's report, with what the model decides filled in. Raises ModelError for a pooling of which the model
        has no outputs."""
        manifest.segment_outputs.check(OUTPUTS_OF_POOLING[self.pooling])
        own = {"level": self.level, "pooling": self.pooling, "context": self.context}
        return {**own, **super().settings(manifest)}


@step("in embed()")
def embed(
    notes: DataFrame,
    *,
    bundle: Bundle,
    options: EmbedOptions,
    observe: Callable[[DataFrame], DataFrame] | None = None,
) -> DataFrame:
    """(note_id, text) -> the output schema of the level; every note is in it, an empty or null one with a null vector.

    `observe` may add an observation to the pooled notes (a row per note, with n_pieces, n_windows, status).
    Other columns of `notes` are left out. Raises InputError where note_id or text is missing, OptionError where the
    model reads fewer pieces than `options.max_pieces`, and SetupError for a session whose Arrow batches are too large.
    """
    check_note_columns(notes.columns)
    read = _with_sentences(notes.select(NOTE_ID, TEXT), options)
    pooled = segment_outputs(read, bundle=bundle, task=_task(options, bundle.manifest))
    return _rows(observe(pooled) if observe else pooled, options, model=bundle.manifest.name)


def _task(options: EmbedOptions, manifest: Manifest) -> SegmentTask:
    return SegmentTask(
        columns=NoteColumns(text=TEXT, sentences=SENTENCES if options.level == "sentence" else None),
        # At level token a row shows its word, which is cut out of the text afterwards.
        carried=(NOTE_ID, TEXT) if options.level == "token" else (NOTE_ID,),
        windows=options.windows(manifest),
        plan=partial(plan_segments, level=options.level, pooling=options.pooling),
        wanted=OUTPUTS_OF_POOLING[options.pooling],
        merge=partial(merge_note, pooling=options.pooling),
    )


def _with_sentences(notes: DataFrame, options: EmbedOptions) -> DataFrame:
    """Spark NLP's sentence detection, where the level asks for it."""
    if not options.needs_spark_nlp:
        return notes
    check_session(notes.sparkSession)
    from sparknlp.annotator import SentenceDetector
    from sparknlp.base import DocumentAssembler

    assembled = DocumentAssembler().setInputCol(TEXT).setOutputCol("_assembled").transform(notes)
    detector = SentenceDetector().setInputCols(["_assembled"]).setOutputCol(SENTENCES)
    detected: DataFrame = detector.transform(assembled).drop("_assembled")
    return detected


def _rows(pooled: DataFrame, options: EmbedOptions, *, model: str) -> DataFrame:
    """A row per segment, in the order and types of the level's schema."""
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
        made["token"] = cut_out("entry.begin", "entry.end")
    return selected(found, OUTPUT[options.level], made)
