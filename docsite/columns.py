"""The columns of every output, from the schemas, with the meaning of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import types as T

from docsite.markdown import table
from sparkclin.schema import LEVELS, NOTE_ID
from sparkclin.stages.vector_rows import OUTPUT
from sparkclin.tasks import answers, entities, labels

MEANINGS: Mapping[str, str] = {
    NOTE_ID: "the note's id, as it came, of the type that it came in",
    "begin": "where it begins in the note, in code points from 0",
    "end": "where it ends, exclusive: `text[begin:end]` in Python",
    "status": "`ok`, or why the note has no result: see [statuses](statuses.md)",
    "model": "the name of the model",
    "pooling": "how one vector was made of several",
    "vector": "as many numbers as the model is wide; twice as many with pooling `mean_max`; null without a result; "
    "with `--vector-dtype float16` it is `binary`, [2 bytes per number](../how-to/level_and_pooling.md#half-the-size)",
    "n_pieces": "pieces of the note",
    "n_windows": "windows that the note was read in",
    "window": "the window's number in its note, from 0",
    "sentence": "the sentence's number in its note, from 0",
    "token_index": "the word's number in its note, from 0",
    "token": "the word, as the note has it",
    "entity": "the entity's number in its note, from 0",
    "text": "what stands there",
    "label": "the label",
    "label_index": "the label's number in the checkpoint",
    "predicted": "whether the label is the likeliest, or reaches `--threshold` if labels do not exclude each other; "
    "null for a regression",
    "rank": "0 for the best answer",
    "engine": "what the model ran in",
    "precision": "the precision of the model: `fp32` is exact, `bf16` and `int8` are not",
    "model_digest": "the first 16 digits of what `sha256sum sparkclin.json` prints in the model's folder; two exports "
    "under one name have different ones",
}
"""By the name of a column."""

IN_ENTITIES = {
    "label": "its kind, without `B-` or `I-`",
    "score": "the probability of the label",
}
IN_LABELS = {
    "score": "by the model's problem type: the label's probability among all labels (`single_label_classification`), "
    "its own probability (`multi_label_classification`), or the predicted number (`regression`)",
}
IN_ANSWERS = {
    "score": "a probability; of an answer that is found in several windows, or with several ends, their sum",
}


def vector_columns() -> str:
    """Markdown: a table per level."""
    return "\n\n".join(f"### Level {level}\n\n{columns_table(OUTPUT[level])}" for level in LEVELS)


def entity_columns() -> str:
    return columns_table(entities.OUTPUT, IN_ENTITIES)


def label_columns() -> str:
    return columns_table(labels.OUTPUT, IN_LABELS)


def answer_columns() -> str:
    return columns_table(answers.OUTPUT, IN_ANSWERS)


def columns_table(columns: Sequence[T.StructField], here: Mapping[str, str] | None = None) -> str:
    """Name, type and meaning; `here` has meanings of this output alone. Raises KeyError for a column without any."""
    meanings = {**MEANINGS, **(here or {})}
    rows = [(f"`{NOTE_ID}`", "string or bigint", meanings[NOTE_ID])]
    rows += [(f"`{field.name}`", f"`{field.dataType.simpleString()}`", meanings[field.name]) for field in columns]
    return table(("column", "type", "meaning"), rows)
