"""Notes -> labels: `classify()`, a function from DataFrame to DataFrame, and the columns that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from sparkclin.errors import OptionError
from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.schema import CLASSIFY, N_WINDOWS, NOTE_ID, STATUS, TEXT, VECTORS, check_note_columns
from sparkclin.spark.failures import step
from sparkclin.stages.columns import MADE_BY, made_by_columns
from sparkclin.tasks.reading import ReadingOptions
from sparkclin.tasks.rows import schema_of, selected
from sparkclin.tasks.segment_outputs import SegmentTask, segment_outputs
from sparkclin.text.labels import LOGITS, MULTI_LABEL, REGRESSION, SINGLE_LABEL, LabelOptions, merge_labels
from sparkclin.text.segments import plan_segments
from sparkclin.wire.batches import NoteColumns, PairColumn

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

INDEX = "label_index"

OUTPUT = (
    T.StructField(INDEX, T.IntegerType()),
    T.StructField("label", T.StringType()),
    T.StructField("score", T.FloatType()),
    T.StructField("predicted", T.BooleanType()),
    T.StructField(N_WINDOWS, T.IntegerType()),
    T.StructField(STATUS, T.StringType()),
    *MADE_BY,
)
"""The columns after `note_id`, which keeps its type: a row per note and label. `score` is a probability, 0…1, or the
number that a regression model predicts. `predicted` is true for the label with the largest score, or for each label
that reaches the threshold if the model's labels do not exclude each other; it is null for a regression. A note without
windows has one row with its status."""


def output_schema(note_id: T.DataType) -> T.StructType:
    """The schema of the output."""
    return schema_of(OUTPUT, note_id)


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions(ReadingOptions):
    """Options for labelling notes. `pair` is the column of the text that a note is read with, such as a statement to be
    checked; the note's windows come first in a row, as transformers' `text`, and the pair second, as `text_pair`;
    `pair_first` puts the pair first. `aggregation` is as in LabelOptions. `threshold` is a probability, by default
    THRESHOLD, for a model whose labels do not exclude each other.

    Raises OptionError for a threshold that is not a probability, and for `pair_first` without `pair`.
    """

    pair: str | None = None
    pair_first: bool = False
    aggregation: str = "mean"
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold is {self.threshold}, expected a probability, 0 to 1.")
        if self.pair_first and self.pair is None:
            raise OptionError(
                "pair_first has no effect without a text that notes are read with: name its column, or leave "
                "pair_first out."
            )

    def labels(self, manifest: Manifest) -> LabelOptions:
        """Return the options for this model. Raises ModelError for a model of another task, and OptionError for an
        unknown aggregation or a threshold that has no effect."""
        manifest.check_task(CLASSIFY)
        return LabelOptions(
            problem_type=manifest.problem_type or SINGLE_LABEL, aggregation=self.aggregation, threshold=self.threshold
        )

    def settings(self, manifest: Manifest) -> Mapping[str, Any]:
        """Return the options for a run's report, with the model's defaults filled in. Raises what classify() raises."""
        labels = self.labels(manifest)
        if self.pair is not None:
            manifest.pairing(first=self.pair_first)
        return {
            **({"pair_first": self.pair_first} if self.pair is not None else {}),
            "aggregation": labels.aggregation,
            "problem_type": labels.problem_type,
            **({} if labels.threshold is None else {"threshold": labels.threshold}),
            "labels": list(manifest.labels),
            **super().settings(manifest),
        }


@step("in classify()")
def classify(
    notes: DataFrame,
    *,
    bundle: Bundle,
    options: ClassifyOptions,
    observe: Callable[[DataFrame], DataFrame] | None = None,
) -> DataFrame:
    """(note_id, text, and the pair's column) -> a row per note and label; every note is in it.

    A note may have any length: each of its windows is labelled, with the whole pair, and `options.aggregation` makes
    one of them. `observe` may add an observation to the notes (a row per note, with n_pieces, n_windows, status). Other
    columns of `notes` are left out. Raises InputError where a column is missing, ModelError for a model of another task
    or without rows of two texts, OptionError where the model reads fewer pieces than `options.max_pieces`, and
    SetupError for a session whose Arrow batches are too large.
    """
    manifest = bundle.manifest
    pair = None
    if options.pair is not None:
        pair = PairColumn(name=options.pair, options=manifest.pairing(first=options.pair_first))
    needed = (options.pair,) if options.pair is not None else ()
    check_note_columns(notes.columns, also=needed)
    labels = options.labels(manifest)
    task = SegmentTask(
        columns=NoteColumns(text=TEXT, pair=pair),
        carried=(NOTE_ID,),
        windows=options.windows(manifest),
        plan=partial(plan_segments, level="document", pooling="cls"),
        wanted=(LOGITS,),
        merge=partial(merge_labels, options=labels),
    )
    found = segment_outputs(notes.select(NOTE_ID, TEXT, *needed), bundle=bundle, task=task)
    return _rows(observe(found) if observe else found, bundle, labels)


def _rows(found: DataFrame, bundle: Bundle, labels: LabelOptions) -> DataFrame:
    """A row per label, in the order and types of the schema."""
    from pyspark.sql import functions as F

    scores = found.withColumn("scores", F.get(VECTORS, F.lit(0)).getField("vector"))
    exploded = scores.select("*", F.posexplode_outer("scores").alias(INDEX, "score"))
    predicted = {
        SINGLE_LABEL: F.col(INDEX) == F.expr("array_position(scores, array_max(scores)) - 1"),
        MULTI_LABEL: F.col("score") >= F.lit(labels.threshold),
        REGRESSION: F.lit(None).cast(T.BooleanType()),
    }
    made: dict[str, Column] = {
        "label": F.get(F.array(*map(F.lit, bundle.manifest.labels)), F.col(INDEX)),
        "predicted": predicted[labels.problem_type],
        **made_by_columns(bundle.made_by),
    }
    return selected(exploded, OUTPUT, made)
