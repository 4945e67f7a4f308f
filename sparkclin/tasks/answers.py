"""Questions to notes -> answers: `answer()`, a function from DataFrame to DataFrame, and the columns that it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import types as T

from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.schema import ANSWER, NOTE_ID, QUESTION, STATUS, STATUS_NO_ANSWER, TEXT, VECTORS, check_note_columns
from sparkclin.spark.failures import in_udf, step
from sparkclin.stages.columns import MADE_BY, made_by_columns
from sparkclin.tasks.reading import ReadingOptions
from sparkclin.tasks.rows import schema_of, selected
from sparkclin.tasks.segment_outputs import SegmentTask, segment_outputs
from sparkclin.text.answers import NO_ANSWER, Answer, AnswerOptions, best_answers, merge_answers, plan_answers
from sparkclin.text.labels import LOGITS
from sparkclin.text.windows import WindowOptions
from sparkclin.wire.batches import NoteColumns, PairColumn

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

INDEX = "rank"

OUTPUT = (
    T.StructField(INDEX, T.IntegerType()),
    T.StructField("begin", T.IntegerType()),
    T.StructField("end", T.IntegerType()),
    T.StructField("text", T.StringType()),
    T.StructField("score", T.FloatType()),
    T.StructField(STATUS, T.StringType()),
    *MADE_BY,
)
"""What the output has after `note_id`, which keeps its type: a row per answer, the best of rank 0. Offsets are code
points, ends exclusive. The answer that there is none has the status `no_answer`, its score, and neither offsets nor
text. A note that was not asked has one row, which says why in its status."""

_RANGE = [T.StructField("begin", T.IntegerType()), T.StructField("end", T.IntegerType())]
_TEXT_AND_SCORE = [T.StructField(TEXT, T.StringType()), T.StructField("score", T.FloatType())]
_ANSWERS = T.ArrayType(T.StructType([*_RANGE, *_TEXT_AND_SCORE]))


def output_schema(note_id: T.DataType) -> T.StructType:
    """The schema of the output."""
    return schema_of(OUTPUT, note_id)


@dataclass(frozen=True, kw_only=True)
class QuestionOptions(ReadingOptions):
    """How notes are asked. `question` is the column of the questions, each of which is a part of its note's windows;
    `answers` is what is wanted of them."""

    question: str = QUESTION
    answers: AnswerOptions = field(default_factory=AnswerOptions)

    def windows(self, manifest: Manifest) -> WindowOptions:
        """How a model's notes are cut; raises ModelError for a model of another task or without rows of two texts, and
        OptionError where it cannot read such windows."""
        manifest.check_task(ANSWER)
        manifest.pairing(first=True)
        return super().windows(manifest)

    def settings(self, manifest: Manifest) -> Mapping[str, Any]:
        """For a run's report, with what the model decides filled in."""
        return {
            "answers": self.answers.answers,
            "max_answer_pieces": self.answers.max_answer_pieces,
            "may_be_missing": self.answers.may_be_missing,
            **super().settings(manifest),
        }


@step("in answer()")
def answer(
    notes: DataFrame,
    *,
    bundle: Bundle,
    options: QuestionOptions,
    observe: Callable[[DataFrame], DataFrame] | None = None,
) -> DataFrame:
    """(note_id, text, question) -> a row per answer; every note is in it.

    A note may have any length: its windows are asked one by one, and the best answers of all are kept. `observe` may
    add an observation to the notes (a row per note, with n_pieces, n_windows, status). Other columns of `notes` are
    left out. Raises InputError where a column is missing, ModelError for a model of another task, OptionError where the
    model reads fewer pieces than `options.max_pieces`, and SetupError for a session whose Arrow batches are too large.
    """
    check_note_columns(notes.columns, also=(options.question,))
    manifest = bundle.manifest
    task = SegmentTask(
        columns=NoteColumns(text=TEXT, pair=PairColumn(name=options.question, options=manifest.pairing(first=True))),
        carried=(NOTE_ID, TEXT),
        windows=options.windows(manifest),
        plan=plan_answers,
        wanted=(LOGITS,),
        merge=partial(merge_answers, options=options.answers),
    )
    found = segment_outputs(notes.select(NOTE_ID, TEXT, options.question), bundle=bundle, task=task)
    return _rows(observe(found) if observe else found, options.answers, made_by=bundle.made_by)


def _rows(found: DataFrame, options: AnswerOptions, *, made_by: Mapping[str, str]) -> DataFrame:
    """A row per answer, in the order and types of the schema."""
    from pyspark.sql import functions as F

    choose = F.udf(in_udf(partial(_chosen, options=options)), _ANSWERS)
    chosen = found.withColumn("answers", choose(TEXT, VECTORS))
    # Without the text: Spark would copy it into the row of every answer.
    exploded = chosen.select(NOTE_ID, STATUS, F.posexplode_outer("answers").alias(INDEX, "answer"))
    is_answer = F.col("answer.begin") != NO_ANSWER[0]
    made = {
        "begin": F.when(is_answer, F.col("answer.begin")),
        "end": F.when(is_answer, F.col("answer.end")),
        TEXT: F.when(is_answer, F.col("answer.text")),
        "score": F.col("answer.score"),
        STATUS: F.when(~is_answer, STATUS_NO_ANSWER).otherwise(F.col(STATUS)),
        **made_by_columns(made_by),
    }
    return selected(exploded, OUTPUT, made)


def _chosen(text: str | None, entries: Sequence[T.Row] | None, *, options: AnswerOptions) -> list[tuple[Any, ...]]:
    """Candidates of a note -> its answers, as rows of _ANSWERS."""
    if text is None or not entries:
        return []
    candidates = [Answer(begin=entry.begin, end=entry.end, score=entry.vector[0]) for entry in entries]
    best = best_answers(text, candidates, options=options)
    return [(found.begin, found.end, text[found.begin : found.end], found.score) for found in best]
