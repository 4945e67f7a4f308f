"""Notes -> what the model's head gives of their segments: the path that every task takes, whatever the engine.

A task says which segments a note has, which outputs it wants of them and how those of a segment's parts are merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pyspark import TaskContext
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_type, to_arrow_schema

from sparkclin.engines import InWorkers
from sparkclin.inference.model import ModelFiles, processor_name, worker_model
from sparkclin.inference.partition import InferenceOptions, infer_notes
from sparkclin.models.bundle import Bundle
from sparkclin.models.hosts import load_host
from sparkclin.models.pretrained import engine_of
from sparkclin.schema import EMBEDDINGS, N_PIECES, N_WINDOWS, STATUS, VECTORS
from sparkclin.spark.failures import in_task
from sparkclin.spark.session import check_batch_setting
from sparkclin.spark.shared_folder import SharedFolder, share_folder
from sparkclin.spark.tally import Tally, tally
from sparkclin.stages.columns import ANNOTATIONS, entry_type
from sparkclin.text.vectors import FLOAT32
from sparkclin.text.windows import WindowOptions
from sparkclin.wire.annotations import DOCUMENT, annotator_type
from sparkclin.wire.batches import NoteColumns, SharedTokenizer, encoder_of, shared
from sparkclin.wire.chunks import ChunkOptions, Merger, Planner
from sparkclin.wire.packing import (
    BATCH,
    BATCH_FIELDS,
    BEGINS,
    NOTES,
    PART_FIELDS,
    PARTS,
    PackingOptions,
    UnpackingOptions,
    notes_type,
    pack_batches,
    unpack_batches,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame


@dataclass(frozen=True, kw_only=True)
class SegmentTask:
    """What is asked of a model. `columns` say where text and sentences are, `carried` which columns notes keep.

    `plan` and `merge` run in the workers, so they must be picklable. `wanted` are the outputs that `merge` takes,
    and `dtype` is of the vectors that it makes. `with_text` and `divisible` are as in ChunkOptions: cutting a text out
    of a note is for the workers, because Spark counts the characters of the whole note for each.
    """

    columns: NoteColumns
    carried: tuple[str, ...]
    windows: WindowOptions
    plan: Planner
    wanted: tuple[str, ...]
    merge: Merger
    dtype: str = FLOAT32
    with_text: bool = False
    divisible: bool = False


def segment_outputs(notes: DataFrame, *, bundle: Bundle, task: SegmentTask) -> DataFrame:
    """A row per note: the carried columns, n_pieces, n_windows, status, and `vectors`, an entry per segment. If the
    task is divisible, a note of very many segments has more rows, with nulls in n_pieces, n_windows and status.

    Raises ModelError for an output that the model does not have, and for a bundle that is not as it was exported
    (`Bundle.check()`), and SetupError for a session whose Arrow batches would not fit a Python worker.
    """
    spark = notes.sparkSession
    check_batch_setting(spark)
    engine = engine_of(bundle)
    bundle.check()
    options = ChunkOptions(
        carried=to_arrow_schema(T.StructType([notes.schema[name] for name in task.carried])),
        columns=task.columns,
        windows=task.windows,
        plan=task.plan,
        vocabulary=bundle.manifest.vocabulary,
        with_text=task.with_text,
        divisible=task.divisible,
    )
    tokenizer = shared(spark, bundle.tokenizer_json())
    if engine.in_workers:
        return _in_workers(notes, bundle, task, options, tokenizer=tokenizer, engine=engine.in_workers)
    return _in_spark_nlp(notes, bundle, task, options, tokenizer=tokenizer)


def _in_workers(
    notes: DataFrame,
    bundle: Bundle,
    task: SegmentTask,
    options: ChunkOptions,
    *,
    tokenizer: SharedTokenizer,
    engine: InWorkers,
) -> DataFrame:
    """In one step, in the Python workers."""
    spark, row_limits = notes.sparkSession, bundle.manifest.row_limits
    bundle.manifest.segment_outputs.check(task.wanted)
    infer = partial(
        _infer,
        tokenizer=tokenizer,
        folder=share_folder(spark, bundle.location),
        engine=engine,
        files=bundle.model_files(threads=int(spark.sparkContext.getConf().get("spark.task.cpus", "1"))),
        options=InferenceOptions(
            notes=options, wanted=task.wanted, merge=task.merge, row_limits=row_limits, dtype=task.dtype
        ),
        tasks=tally(spark),
    )
    inferred: DataFrame = notes.mapInArrow(in_task(infer), output_schema(notes, task))
    return inferred


def _infer(
    batches: Iterator[pa.RecordBatch],
    *,
    tokenizer: SharedTokenizer,
    folder: SharedFolder,
    engine: InWorkers,
    files: ModelFiles,
    options: InferenceOptions,
    tasks: Tally,
) -> Iterator[pa.RecordBatch]:
    model = worker_model(engine, replace(files, folder=folder.on_this_machine()))
    yield from infer_notes(batches, encoder=encoder_of(tokenizer), model=model, options=options)
    if model.ran:
        tasks.add(Counter([f"{model.ran}, {processor_name()}"]))


def _in_spark_nlp(
    notes: DataFrame, bundle: Bundle, task: SegmentTask, options: ChunkOptions, *, tokenizer: SharedTokenizer
) -> DataFrame:
    """By packed batches: Python workers, the JVM, and Python workers again."""
    outputs = bundle.manifest.segment_outputs
    packing = PackingOptions(notes=options, request=outputs.request(task.wanted))
    unpacking = UnpackingOptions(outputs=outputs, wanted=task.wanted, merge=task.merge, dtype=task.dtype)
    pack = partial(_pack, tokenizer=tokenizer, options=packing)
    # Spark drops a column's metadata, by which Spark NLP knows annotations, where Python hands it back.
    packed = notes.mapInArrow(in_task(pack), packed_schema(packing)).withMetadata(DOCUMENT, annotator_type(DOCUMENT))
    host = load_host(notes.sparkSession, bundle)
    came_back = host.transform(packed).select(
        BATCH,
        PARTS,
        NOTES,
        F.col(f"{EMBEDDINGS}.begin").alias(BEGINS),
        F.col(f"{EMBEDDINGS}.embeddings").alias(VECTORS),
    )
    unpack = partial(_unpack, options=unpacking)
    unpacked: DataFrame = came_back.mapInArrow(in_task(unpack), output_schema(notes, task))
    return unpacked


def _pack(
    batches: Iterator[pa.RecordBatch], *, tokenizer: SharedTokenizer, options: PackingOptions
) -> Iterator[pa.RecordBatch]:
    return pack_batches(batches, encoder=encoder_of(tokenizer), options=options, partition=_partition())


def _unpack(batches: Iterator[pa.RecordBatch], *, options: UnpackingOptions) -> Iterator[pa.RecordBatch]:
    return unpack_batches(batches, options=options, partition=_partition())


def _partition() -> int:
    context = TaskContext.get()
    assert context is not None  # this runs in a task
    return context.partitionId()


def packed_schema(options: PackingOptions) -> T.StructType:
    """A row per packed batch."""

    def ints(names: tuple[str, ...]) -> T.StructType:
        return T.StructType([T.StructField(name, T.IntegerType()) for name in names])

    return T.StructType(
        [
            T.StructField(DOCUMENT, ANNOTATIONS, metadata=annotator_type(DOCUMENT)),
            T.StructField(BATCH, ints(BATCH_FIELDS)),
            T.StructField(PARTS, T.ArrayType(ints(PART_FIELDS))),
            T.StructField(NOTES, from_arrow_type(notes_type(options.notes.carried))),
        ]
    )


def output_schema(notes: DataFrame, task: SegmentTask) -> T.StructType:
    """Return the schema of segment_outputs()."""
    carried = [notes.schema[name] for name in task.carried]
    counts = [T.StructField(N_PIECES, T.IntegerType()), T.StructField(N_WINDOWS, T.IntegerType())]
    vectors = T.StructField(VECTORS, T.ArrayType(entry_type(task.dtype, with_text=task.with_text)))
    return T.StructType([*carried, *counts, T.StructField(STATUS, T.StringType()), vectors])
