"""Notes -> vectors: `embed()`, a function from DataFrame to DataFrame, and the columns that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from sparkclin.errors import OptionError
from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.schema import NOTE_ID, TEXT, VECTORS, check_note_columns
from sparkclin.spark.failures import step
from sparkclin.spark.session import check_session
from sparkclin.stages.vector_rows import row_type, vector_rows
from sparkclin.tasks.reading import ReadingOptions
from sparkclin.tasks.rows import schema_of
from sparkclin.tasks.segment_outputs import SegmentTask, segment_outputs
from sparkclin.text.pooling import OUTPUTS_OF_POOLING
from sparkclin.text.segments import check_pooling, plan_segments
from sparkclin.text.sentences import DEFAULT_SPLITTER, SPARK_NLP, check_splitter
from sparkclin.text.vectors import AS_MADE, FLOAT16, FLOAT32, VectorFormat, merge_vectors
from sparkclin.text.windows import CONTEXTS, WindowOptions
from sparkclin.wire.batches import SENTENCES, NoteColumns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BYTES_PER_NUMBER = {FLOAT32: 3, FLOAT16: 1.5}
"""Of a vector in Parquet, which compresses its 4 or 2 bytes a little."""


def output_schema(level: str, note_id: T.DataType, *, form: VectorFormat = AS_MADE) -> T.StructType:
    """The schema of a level's output."""
    return schema_of(row_type(level, form=form).fields, note_id)


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(ReadingOptions):
    """What vectors to make. `normalize`: each vector, with pooling mean_max both halves together, is divided by its
    norm. `vector_dtype` is float32, or float16: then a vector is bytes, 2 per number, little-endian, for
    `numpy.frombuffer(value, "<f2")`. A number that float16 has not ends the run with OptionError. `splitter` is one of
    SPLITTERS, at level sentence only; None stands for DEFAULT_SPLITTER.

    Raises OptionError for what does not go together.
    """

    level: str = "document"
    pooling: str = "mean"
    context: str = "note"
    normalize: bool = False
    vector_dtype: str = FLOAT32
    splitter: str | None = None

    def __post_init__(self) -> None:
        check_pooling(self.level, self.pooling)
        if self.splitter is not None:
            check_splitter(self.splitter)
            if self.level != "sentence":
                raise OptionError(
                    f"a sentence splitter was chosen for level {self.level!r}, which has no sentences: leave "
                    "--splitter out, or choose level sentence."
                )
        _ = self.form
        if self.context not in CONTEXTS or (self.context == "sentence" and self.level != "sentence"):
            raise OptionError(
                f"context {self.context!r} with level {self.level!r}: 'sentence' goes with level sentence."
            )
        if self.pooling == "cls" and self.level == "sentence" and self.context == "note":
            raise OptionError("cls is a vector of a window: at level sentence it needs context sentence.")

    @property
    def form(self) -> VectorFormat:
        """How vectors are given."""
        return VectorFormat(normalize=self.normalize, dtype=self.vector_dtype)

    def width(self, manifest: Manifest) -> int:
        """How many numbers a model's vectors have."""
        return manifest.width * len(OUTPUTS_OF_POOLING[self.pooling])

    def least_bytes(self, manifest: Manifest) -> int:
        """Of a note in a run's output, which has one vector at the least."""
        return int(BYTES_PER_NUMBER[self.vector_dtype] * self.width(manifest))

    @property
    def needs_spark_nlp(self) -> bool:
        """Return whether the task needs Spark NLP, whatever the model's engine: for its sentence detector."""
        return self.splitter == SPARK_NLP

    @property
    def splits_by(self) -> str | None:
        """Return the splitter that runs; None at the other levels."""
        return (self.splitter or DEFAULT_SPLITTER) if self.level == "sentence" else None

    def windows(self, manifest: Manifest) -> WindowOptions:
        """How a model's notes are cut; raises OptionError where the model cannot read such windows."""
        return replace(super().windows(manifest), context=self.context)

    def settings(self, manifest: Manifest) -> Mapping[str, Any]:
        """For a run's report, with what the model decides filled in. Raises ModelError for a pooling of which the model
        has no outputs."""
        manifest.segment_outputs.check(OUTPUTS_OF_POOLING[self.pooling])
        names = ("level", "pooling", "context", "normalize", "vector_dtype")
        own = {name: getattr(self, name) for name in names}
        splitter = {"splitter": self.splits_by} if self.splits_by else {}
        return {**own, **splitter, **super().settings(manifest)}


@step("in embed()")
def embed(
    notes: DataFrame,
    *,
    bundle: Bundle,
    options: EmbedOptions,
    observe: Callable[[DataFrame], DataFrame] | None = None,
) -> DataFrame:
    """(note_id, text) -> the output schema of the level; every note is in it, an empty or null one with a null vector.

    `observe` may add an observation to the pooled notes (with n_pieces, n_windows and status, which are null in the
    rows that go on with a note).
    Other columns of `notes` are left out. Raises InputError where note_id or text is missing, OptionError where the
    model reads fewer pieces than `options.max_pieces`, and SetupError for a session whose Arrow batches are too large.
    """
    from pyspark.sql import functions as F

    check_note_columns(notes.columns)
    read = _with_sentences(notes.select(NOTE_ID, TEXT), options)
    pooled = segment_outputs(read, bundle=bundle, task=_task(options, bundle.manifest))
    rows = vector_rows(
        F.col(VECTORS),
        level=options.level,
        pooling=options.pooling,
        made_by=bundle.made_by,
        form=options.form,
        width=options.width(bundle.manifest),
    )
    return (observe(pooled) if observe else pooled).select(NOTE_ID, F.inline(rows))


def _task(options: EmbedOptions, manifest: Manifest) -> SegmentTask:
    return SegmentTask(
        columns=NoteColumns(text=TEXT, splitter=options.splits_by),
        carried=(NOTE_ID,),
        windows=options.windows(manifest),
        plan=partial(plan_segments, level=options.level, pooling=options.pooling),
        wanted=OUTPUTS_OF_POOLING[options.pooling],
        merge=partial(merge_vectors, pooling=options.pooling, normalize=options.normalize),
        dtype=options.vector_dtype,
        with_text=options.level == "token",
        divisible=True,
    )


def _with_sentences(notes: DataFrame, options: EmbedOptions) -> DataFrame:
    """Return the notes with Spark NLP's sentences, if they are asked for."""
    return detect_sentences(notes) if options.splits_by == SPARK_NLP else notes


def detect_sentences(notes: DataFrame) -> DataFrame:
    """Return the notes with the column SENTENCES, the annotations of Spark NLP's SentenceDetector. Raise SetupError for
    a session without Spark NLP."""
    check_session(notes.sparkSession)
    from sparknlp.annotator import SentenceDetector
    from sparknlp.base import DocumentAssembler

    assembled = DocumentAssembler().setInputCol(TEXT).setOutputCol("_assembled").transform(notes)
    detector = SentenceDetector().setInputCols(["_assembled"]).setOutputCol(SENTENCES)
    detected: DataFrame = detector.transform(assembled).drop("_assembled")
    return detected
