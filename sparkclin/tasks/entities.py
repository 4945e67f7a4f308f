"""Notes -> entities: `find_entities()`, a function from DataFrame to DataFrame, and the columns that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.schema import ENTITIES, NOTE_ID, STATUS, STATUS_NO_ENTITIES, STATUS_OK, TEXT, VECTORS, check_note_columns
from sparkclin.spark.failures import step
from sparkclin.stages.columns import MADE_BY, made_by_columns
from sparkclin.tasks.reading import ReadingOptions
from sparkclin.tasks.rows import schema_of, selected
from sparkclin.tasks.segment_outputs import SegmentTask, segment_outputs
from sparkclin.text.entities import WORD, EntityOptions, kinds_of, merge_entities, plan_entities
from sparkclin.text.labels import LOGITS
from sparkclin.text.pieces import PieceEncoder
from sparkclin.wire.batches import NoteColumns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

INDEX = "entity"

OUTPUT = (
    T.StructField(INDEX, T.IntegerType()),
    T.StructField("begin", T.IntegerType()),
    T.StructField("end", T.IntegerType()),
    T.StructField("text", T.StringType()),
    T.StructField("label", T.StringType()),
    T.StructField("score", T.FloatType()),
    T.StructField(STATUS, T.StringType()),
    *MADE_BY,
)
"""What the output has after `note_id`, which keeps its type. Offsets are code points, ends exclusive; `score` is a
probability, 0…1. A note without entities has one row with the status STATUS_NO_ENTITIES."""


def output_schema(note_id: T.DataType) -> T.StructType:
    """The schema of the output."""
    return schema_of(OUTPUT, note_id)


@dataclass(frozen=True, kw_only=True)
class NerOptions(ReadingOptions):
    """The options of find_entities(). `aggregation` is as in EntityOptions."""

    aggregation: str = WORD

    def labels(self, manifest: Manifest) -> tuple[str, ...]:
        """The model's; raises ModelError for one that was exported for another task."""
        manifest.check_task(ENTITIES)
        return manifest.labels

    def settings(self, manifest: Manifest) -> Mapping[str, Any]:
        """Return the settings for a run's report, those that the model decides included."""
        own = {"aggregation": self.aggregation, "labels": list(self.labels(manifest))}
        return {**own, **super().settings(manifest)}


@step("in find_entities()")
def find_entities(
    notes: DataFrame,
    *,
    bundle: Bundle,
    options: NerOptions,
    observe: Callable[[DataFrame], DataFrame] | None = None,
) -> DataFrame:
    """(note_id, text) -> a row per entity; every note is in it, one without entities with one row of nulls.

    A note may have any length: of two windows that share a piece, the one that sees more around it gives its label, so
    an entity where they meet is found once and whole. `observe` may add an observation to the notes (a row per note,
    with n_pieces, n_windows, status). Other columns of `notes` are left out. Raises InputError where note_id or text is
    missing, ModelError for a model of another task, OptionError where the model reads fewer pieces than
    `options.max_pieces`, and SetupError for a session whose Arrow batches are too large.
    """
    check_note_columns(notes.columns)
    manifest = bundle.manifest
    entities = EntityOptions(
        labels=options.labels(manifest),
        aggregation=options.aggregation,
        unknown_id=PieceEncoder(bundle.tokenizer_json()).unknown_id,
    )
    task = SegmentTask(
        columns=NoteColumns(text=TEXT),
        carried=(NOTE_ID,),
        windows=options.windows(manifest),
        plan=partial(plan_entities, options=entities),
        wanted=(LOGITS,),
        merge=partial(merge_entities, options=entities),
        with_text=True,
    )
    found = segment_outputs(notes.select(NOTE_ID, TEXT), bundle=bundle, task=task)
    return _rows(observe(found) if observe else found, entities, made_by=bundle.made_by)


def _rows(found: DataFrame, options: EntityOptions, *, made_by: Mapping[str, str]) -> DataFrame:
    """A row per entity, in the order and types of the schema."""
    from pyspark.sql import functions as F

    kinds = F.array(*(F.lit(kind) for kind in kinds_of(options.labels)))
    made = {
        INDEX: F.col("entry.index"),
        "begin": F.col("entry.begin"),
        "end": F.col("entry.end"),
        TEXT: F.col("entry.text"),
        "label": F.get(kinds, F.get("entry.vector", F.lit(0)).cast("int")),
        "score": F.get("entry.vector", F.lit(1)),
        STATUS: F.when((F.col(STATUS) == STATUS_OK) & F.col("entry").isNull(), STATUS_NO_ENTITIES).otherwise(
            F.col(STATUS)
        ),
        **made_by_columns(made_by),
    }
    return selected(found.withColumn("entry", F.explode_outer(VECTORS)), OUTPUT, made)
