"""What one calls in a notebook: `embed()`, `find_entities()`, `classify()`, `answer()` and `encode()`.

`notes` are of one of three kinds, and what comes back is of the same:

- a **Spark DataFrame** gives a Spark DataFrame of the rows that a run writes. Nothing is computed before it is used,
  and each use computes all of it again: write it, or `cache()` it, where it is used more than once. Ids are not
  checked.
- a **pandas DataFrame** gives a pandas DataFrame of the same rows, now, in the order of the notes. Each row has its
  note's place in the index. Vectors are NumPy arrays, and None where there is none.
- a **list of texts** gives a list, now: what there is of each text, in their order, and None for one that is None,
  empty, or could not be read.

Ids are in the column `note_id`, or where `id_column` says; of a pandas DataFrame without that, its index has them. What
comes back always has them in `note_id`. Texts are in the column `text`, or where `text_column` says.

`model` is a name in the repository `models` (default: the one of use_models(), of $SPARKCLIN_MODELS, or the demo's), or
a Bundle; None is the repository's only model for the task. A name that exists in several languages needs `language`.
Without `engine` or `precision` it is the exact version, and then the fastest. `trust` lists the SHA-256 of the
manifests that may run, or files of them; if it is empty, all may.

Where notes are computed now and no session runs, one is started: without Spark NLP where the model does not need it.
Every such call prepares the model once, so give it many notes, not one at a time. `progress` shows a line of how far it
is, on a terminal and in a notebook.

`max_pieces` and `stride` are those of windows, and a note of more than `max_note_pieces` pieces is not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from sparkclin.errors import InputError, OptionError
from sparkclin.models.bundle import Bundle
from sparkclin.notes import Job, Layout, chosen, class_name, rows_of
from sparkclin.runs.tasks import answering, classifying, embedding, finding
from sparkclin.schema import PAIR, STATUS, STATUS_OK, TEXT, VECTOR
from sparkclin.tasks import answers, entities, labels
from sparkclin.tasks import embed as vectors
from sparkclin.text.answers import AnswerOptions
from sparkclin.text.entities import WORD
from sparkclin.vectors import NAN, RAISE, is_null, to_matrix

if TYPE_CHECKING:
    from sparkclin.notes import Notes
    from sparkclin.vectors import Matrix

ENTITY_FIELDS = ("begin", "end", "text", "label", "score")
LABEL_FIELDS = ("label", "score", "predicted")
ANSWER_FIELDS = ("begin", "end", "text", "score")
"""What a list has of an entity, a label and an answer."""


def embed(
    notes: Notes,
    *,
    model: str | Bundle | None = None,
    level: str = "document",
    pooling: str = "mean",
    context: str = "note",
    normalize: bool = False,
    vector_dtype: str = "float32",
    splitter: str | None = None,
    max_pieces: int | None = None,
    stride: int | None = None,
    max_note_pieces: int | None = None,
    id_column: str | None = None,
    text_column: str = TEXT,
    models: str | None = None,
    language: str | None = None,
    engine: str | None = None,
    precision: str | None = None,
    trust: str | Sequence[str] = (),
    progress: bool = True,
) -> Any:
    """Notes -> vectors; the module says what kinds of notes there are, and what is the same in all of these functions.

    `level` is document, window, sentence or token: what gets one vector; `pooling` is mean, cls, max or mean_max, and
    at level token mean or first. `context` "sentence" lets a sentence be read alone, without its note. With `normalize`
    vectors have the norm 1, so that their dot product is their cosine. `vector_dtype` is float32, or float16: of a
    Spark DataFrame they are bytes then, which to_matrix() reads. `splitter` finds the sentences at level sentence:
    nupunkt (default), or spark_nlp, which needs Spark NLP.

    A list gives a vector for each text at level document, and at the other levels a float32 matrix of (segments,
    width), with a row of NaN for a sentence without a vector. The offsets of segments are in the rows that DataFrames
    give.
    """
    options = vectors.EmbedOptions(
        level=level,
        pooling=pooling,
        context=context,
        normalize=normalize,
        vector_dtype=vector_dtype,
        splitter=splitter,
        max_pieces=max_pieces,
        stride=stride,
        max_note_pieces=max_note_pieces,
    )
    job = Job(
        task=embedding(options),
        model=chosen(model, models=models, language=language, engine=engine, precision=precision, trust=trust),
        layout=Layout(id_column=id_column, text_column=text_column),
        listed=partial(_vectors, options=options),
        progress=progress,
    )
    return rows_of(notes, job)


def find_entities(
    notes: Notes,
    *,
    model: str | Bundle | None = None,
    aggregation: str = WORD,
    max_pieces: int | None = None,
    stride: int | None = None,
    max_note_pieces: int | None = None,
    id_column: str | None = None,
    text_column: str = TEXT,
    models: str | None = None,
    language: str | None = None,
    engine: str | None = None,
    precision: str | None = None,
    trust: str | Sequence[str] = (),
    progress: bool = True,
) -> Any:
    """Notes -> entities; the module says what kinds of notes there are, and what is the same in all of these functions.

    `aggregation` is how labels of pieces become labels of words: word, or first, max, average or simple as in
    transformers. A list gives a list for each text: a dict for each entity, with begin, end, text, label and score.
    """
    options = entities.NerOptions(
        aggregation=aggregation, max_pieces=max_pieces, stride=stride, max_note_pieces=max_note_pieces
    )
    job = Job(
        task=finding(options),
        model=chosen(model, models=models, language=language, engine=engine, precision=precision, trust=trust),
        layout=Layout(id_column=id_column, text_column=text_column),
        listed=lambda rows: _dicts(rows[rows[STATUS] == STATUS_OK], ENTITY_FIELDS),
        progress=progress,
    )
    return rows_of(notes, job)


def classify(
    notes: Notes,
    *,
    model: str | Bundle | None = None,
    pair: str | Sequence[str | None] | None = None,
    pair_column: str | None = None,
    pair_first: bool = False,
    aggregation: str = "mean",
    threshold: float | None = None,
    max_pieces: int | None = None,
    stride: int | None = None,
    max_note_pieces: int | None = None,
    id_column: str | None = None,
    text_column: str = TEXT,
    models: str | None = None,
    language: str | None = None,
    engine: str | None = None,
    precision: str | None = None,
    trust: str | Sequence[str] = (),
    progress: bool = True,
) -> Any:
    """Notes -> labels; the module says what kinds of notes there are, and what is the same in all of these functions.

    `pair` is the text that each note is read with, such as a statement: one for all, or a list of one for each note;
    `pair_column` names a column of them. `pair_first` puts it before the note. `aggregation` is mean or max: how the
    scores of windows become one. `threshold` (default: 0.5) is for models whose labels do not exclude each other, and
    an error for all others. A list gives a list for each text: a dict for each label of the model, with label, score
    and predicted; a regression has no value in predicted.
    """
    paired = pair is not None or pair_column is not None
    options = labels.ClassifyOptions(
        pair=PAIR if paired else None,
        pair_first=pair_first,
        aggregation=aggregation,
        threshold=threshold,
        max_pieces=max_pieces,
        stride=stride,
        max_note_pieces=max_note_pieces,
    )
    job = Job(
        task=classifying(options),
        model=chosen(model, models=models, language=language, engine=engine, precision=precision, trust=trust),
        layout=Layout(id_column=id_column, text_column=text_column, pair=pair, pair_column=pair_column),
        listed=lambda rows: _dicts(rows, LABEL_FIELDS),
        progress=progress,
    )
    return rows_of(notes, job)


def answer(
    notes: Notes,
    *,
    question: str | Sequence[str | None] | None = None,
    question_column: str | None = None,
    model: str | Bundle | None = None,
    n_answers: int = 1,
    max_answer_pieces: int = 15,
    may_be_missing: bool = False,
    max_pieces: int | None = None,
    stride: int | None = None,
    max_note_pieces: int | None = None,
    id_column: str | None = None,
    text_column: str = TEXT,
    models: str | None = None,
    language: str | None = None,
    engine: str | None = None,
    precision: str | None = None,
    trust: str | Sequence[str] = (),
    progress: bool = True,
) -> Any:
    """Notes -> answers to a question; the module says what kinds of notes there are, and what is the same in all of
    these functions.

    `question` is one for all notes, or a list of one for each; `question_column` names a column of them. `n_answers`
    are wanted of each note, of at most `max_answer_pieces` pieces. With `may_be_missing`, for a model that was trained
    on questions without an answer, there being none is an answer too. A list gives a list for each text: a dict for
    each answer, the best first, with begin, end, text and score; begin, end and text are None of the answer that there
    is none.
    """
    if question is None and question_column is None:
        raise OptionError("nothing was asked: give the question, or name the question_column.")
    options = answers.QuestionOptions(
        question=PAIR,
        answers=AnswerOptions(answers=n_answers, max_answer_pieces=max_answer_pieces, may_be_missing=may_be_missing),
        max_pieces=max_pieces,
        stride=stride,
        max_note_pieces=max_note_pieces,
    )
    job = Job(
        task=answering(options),
        model=chosen(model, models=models, language=language, engine=engine, precision=precision, trust=trust),
        layout=Layout(
            id_column=id_column,
            text_column=text_column,
            pair=question,
            pair_column=question_column,
            pair_option="question",
        ),
        listed=lambda rows: _dicts(rows, ANSWER_FIELDS),
        progress=progress,
    )
    return rows_of(notes, job)


def encode(
    texts: Iterable[str | None],
    *,
    model: str | Bundle | None = None,
    pooling: str = "mean",
    normalize: bool = False,
    missing: str = RAISE,
    max_pieces: int | None = None,
    stride: int | None = None,
    max_note_pieces: int | None = None,
    models: str | None = None,
    language: str | None = None,
    engine: str | None = None,
    precision: str | None = None,
    trust: str | Sequence[str] = (),
    progress: bool = True,
) -> Matrix:
    """Texts -> a float32 matrix of (texts, width), a row for each in their order: embed() at level document, and
    to_matrix(), which says what `missing` does for texts without a vector.

    `texts` is a list, a pandas Series or anything else that gives texts one after the other. Raises InputError for what
    gives something else, as DataFrames and dicts give names, or gives them in no order.
    """
    if isinstance(texts, str):
        raise InputError("one text was given where a list of texts is expected: [text].")
    of_spark = type(texts).__module__.startswith("pyspark.")
    if of_spark or isinstance(texts, pd.DataFrame | Mapping | Set | bytes) or not isinstance(texts, Iterable):
        raise InputError(
            f"encode() takes no {class_name(texts)}: expected a list or a pandas Series of texts. Name the column of a "
            "table, as in frame['text'], or give a Spark DataFrame to embed()."
        )
    found = embed(
        list(texts),
        model=model,
        pooling=pooling,
        normalize=normalize,
        max_pieces=max_pieces,
        stride=stride,
        max_note_pieces=max_note_pieces,
        models=models,
        language=language,
        engine=engine,
        precision=precision,
        trust=trust,
        progress=progress,
    )
    return to_matrix(found, missing=missing)


def _vectors(rows: pd.DataFrame, *, options: vectors.EmbedOptions) -> Any:
    """Of the segments of a text."""
    if options.level == "document" or rows[VECTOR].isna().all():
        return rows[VECTOR].iat[0]
    return to_matrix(rows[VECTOR], missing=NAN).astype(options.vector_dtype, copy=False)


def _dicts(rows: pd.DataFrame, fields: Sequence[str]) -> list[dict[str, Any]]:
    """A dict for each row, of Python's own values, None where there is none."""
    columns = [[None if is_null(value) else value for value in rows[name].tolist()] for name in fields]
    return [dict(zip(fields, values, strict=True)) for values in zip(*columns, strict=True)]
