"""Questions through Spark NLP's stock annotators, such as LongformerForQuestionAnswering: a row per window, and back.

    windows = question_windows(NoteTokenizer.pretrained(name).setQuestionCol("question").transform(notes))
    spans = chosen_spans(sparkclin.pretrained(name).transform(windows))

Of each window comes its likeliest span. Spark NLP's own scores say nothing here, so spans of several windows cannot be
ranked by them: `sparkclin.answer` does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkclin.schema import PIECES
from sparkclin.wire.annotations import DOCUMENT, QUESTION_DOCUMENT, TEXT_STEP, annotator_type

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ANSWER_COLUMN, WINDOW = "answer", "window"


def question_windows(
    notes: DataFrame, *, document_col: str = DOCUMENT, question_document_col: str = QUESTION_DOCUMENT
) -> DataFrame:
    """A row per window of what NoteTokenizer made with a questionCol: `window` counts a note's from 0, and both columns
    of documents have one annotation. A note without windows has no row."""
    from pyspark.sql import functions as F

    documents = (question_document_col, document_col)
    numbered = notes.where(F.size(document_col) > 0).withColumn(
        WINDOW, F.explode(F.sequence(F.lit(0), F.size(document_col) - 1))
    )
    for name in documents:
        of_window = F.array(F.col(name)[F.col(WINDOW)])
        numbered = numbered.withColumn(name, of_window).withMetadata(name, annotator_type(DOCUMENT))
    return numbered


def chosen_pieces(answer_col: str) -> tuple[Column, Column]:
    """First and last piece of each window's likeliest span, numbered in the window from 0."""
    from pyspark.sql import functions as F

    metadata = F.col(answer_col)[0]["metadata"]
    # A window's text has a separator's code in front.
    first = F.floor(metadata["start"].cast("int") / TEXT_STEP) - 1
    last = F.floor((metadata["end"].cast("int") + 1) / TEXT_STEP) - 2
    return first.cast("int"), last.cast("int")


def chosen_spans(answered: DataFrame, *, answer_col: str = ANSWER_COLUMN, text_col: str = "text") -> DataFrame:
    """Adds `begin`, `end` and `answer_text` of each window's likeliest span: code points of the note, `end` exclusive,
    from the begin of its first piece to the end of its last."""
    from pyspark.sql import functions as F

    before = F.col(PIECES)["windows"][F.col(WINDOW)]["begin"]
    first, last = (before + piece for piece in chosen_pieces(answer_col))
    spans = answered.withColumn("begin", F.col(PIECES)["begin"][first]).withColumn("end", F.col(PIECES)["end"][last])
    return spans.withColumn("answer_text", F.col(text_col).substr(F.col("begin") + 1, F.col("end") - F.col("begin")))
