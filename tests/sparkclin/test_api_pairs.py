"""classify() and answer() of notes of each kind, with small random models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from transformers import LongformerForQuestionAnswering, LongformerForSequenceClassification

import sparkclin
from sparkclin.errors import OptionError
from sparkclin.export.convert import ExportOptions, convert
from sparkclin.models.bundle import Bundle
from sparkclin.tasks import answers, labels
from sparkclin.text.answers import AnswerOptions
from testkit.checkpoints import TEXTS, random_checkpoint
from tests.sparkclin.log_state import log_state

pytestmark = [pytest.mark.slow, pytest.mark.export]

NOTES: list[str | None] = ["He's well.\n\nBP 120/80,  on aspirin (81mg)", None, " ".join(TEXTS) * 3]
QUESTIONS = ["was he seen?", "blood pressure", "which drugs?"]


def exported(folder: Path, model_class: Any, **settings: Any) -> Bundle:
    checkpoint = random_checkpoint(folder / "checkpoint", model_class=model_class, attention_window=8, **settings)
    options = ExportOptions(checkpoint=str(checkpoint), name="a_model", models=folder / "models", engine="openvino")
    return convert(options)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    named = {0: "calm", 1: "worse", 2: "better"}
    return exported(tmp_path_factory.mktemp("labels"), LongformerForSequenceClassification, id2label=named)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exported(tmp_path_factory.mktemp("answers"), LongformerForQuestionAnswering)


@pytest.fixture(scope="module")
def frame(spark: SparkSession) -> DataFrame:
    rows = list(zip(range(3), NOTES, QUESTIONS, strict=True))
    return spark.createDataFrame(rows, "note_id int, text string, asked string")


def listed(rows: list[Any], fields: tuple[str, ...]) -> list[list[tuple[Any, ...]]]:
    """The rows of the task's own function by note."""
    return [[tuple(row[name] for name in fields) for row in rows if row.note_id == note] for note in range(3)]


def values(found: list[list[dict[str, Any]] | None]) -> list[list[tuple[Any, ...]]]:
    """Of a list that came back; a note that was not read has one row of nothing in the others."""
    return [[tuple(of_one.values()) for of_one in of_note] if of_note is not None else [] for of_note in found]


def test_a_call_leaves_the_logs_of_the_session_as_they_were(
    spark: SparkSession, classifier: Bundle, reader: Bundle
) -> None:
    before = log_state(spark)
    sparkclin.classify(NOTES, model=classifier)
    sparkclin.answer(NOTES, question="was he seen?", model=reader)
    assert log_state(spark) == before


def test_labels_of_each_kind_are_those_of_the_task(frame: DataFrame, classifier: Bundle) -> None:
    options = labels.ClassifyOptions(pair="asked")
    rows = labels.classify(frame, bundle=classifier, options=options).orderBy("note_id", "label_index").collect()
    expected = listed(rows, ("label", "score", "predicted"))
    found = sparkclin.classify(NOTES, pair=QUESTIONS, model=classifier)
    assert found[1] is None
    assert values(found)[0] == [(name, pytest.approx(score, abs=1e-6), best) for name, score, best in expected[0]]
    assert {type(value) for value in found[0][0].values()} == {str, float, bool}
    table = pd.DataFrame({"text": NOTES, "asked": QUESTIONS})
    of_pandas = sparkclin.classify(table, pair_column="asked", model=classifier)
    assert of_pandas.note_id.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert of_pandas.predicted.tolist() == [row.predicted if row.predicted is not None else pd.NA for row in rows]
    of_spark = sparkclin.classify(frame, pair_column="asked", model=classifier)
    assert of_spark.orderBy("note_id", "label_index").collect() == rows


def test_a_note_may_be_classified_by_itself(frame: DataFrame, classifier: Bundle) -> None:
    rows = labels.classify(frame, bundle=classifier, options=labels.ClassifyOptions()).collect()
    scores = sorted(row.score for row in rows if row.note_id == 0)
    assert sorted(label["score"] for label in sparkclin.classify(NOTES, model=classifier)[0]) == pytest.approx(scores)


def test_a_threshold_without_effect_is_refused(frame: DataFrame, classifier: Bundle) -> None:
    for notes in (NOTES, pd.DataFrame({"text": NOTES}), frame):
        with pytest.raises(OptionError, match="a threshold has no effect on this model"):
            sparkclin.classify(notes, threshold=0.5, model=classifier)


def test_a_regression_predicts_numbers_and_no_labels(
    frame: DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> None:
    grader = exported(
        tmp_path_factory.mktemp("grades"), LongformerForSequenceClassification, num_labels=1, problem_type="regression"
    )
    (of_first, nothing, _) = sparkclin.classify(NOTES, model=grader)
    assert nothing is None
    assert (of_first[0]["label"], of_first[0]["predicted"]) == ("LABEL_0", None)
    assert of_first[0]["score"] != pytest.approx(1)
    table = sparkclin.classify(pd.DataFrame({"text": NOTES}), model=grader)
    assert table.predicted.isna().all()
    rows = sparkclin.classify(frame, model=grader).collect()
    assert {row.note_id: row.score for row in rows}[0] == pytest.approx(of_first[0]["score"], abs=1e-6)
    assert {row.predicted for row in rows} == {None}


def test_answers_of_each_kind_are_those_of_the_task(frame: DataFrame, reader: Bundle) -> None:
    options = answers.QuestionOptions(question="asked", answers=AnswerOptions(answers=2))
    rows = answers.answer(frame, bundle=reader, options=options).orderBy("note_id", "rank").collect()
    expected = listed(rows, ("begin", "end", "text", "score"))
    found = sparkclin.answer(NOTES, question=QUESTIONS, n_answers=2, model=reader)
    assert found[1] is None
    for place in (0, 2):
        exact = [(begin, end, text, pytest.approx(score, abs=1e-6)) for begin, end, text, score in expected[place]]
        assert values(found)[place] == exact
    by_column = sparkclin.answer(frame, question_column="asked", n_answers=2, model=reader)
    assert by_column.orderBy("note_id", "rank").collect() == rows
    the_same = sparkclin.answer(frame, question=QUESTIONS[0], n_answers=2, model=reader)
    first = the_same.filter("note_id = 0").orderBy("rank").collect()
    assert first == [row for row in rows if row.note_id == 0]
    of_pandas = sparkclin.answer(pd.DataFrame({"text": NOTES}), question=QUESTIONS, n_answers=2, model=reader)
    assert of_pandas.text.tolist()[:2] == [row.text for row in first]


def test_that_there_is_none_is_an_answer_too(reader: Bundle) -> None:
    (found,) = sparkclin.answer(NOTES[:1], question=QUESTIONS[0], n_answers=40, may_be_missing=True, model=reader)
    none = [one for one in found if one["begin"] is None]
    assert [(one["end"], one["text"]) for one in none] == [(None, None)]
    assert 0 < none[0]["score"] < 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "nothing was asked"),
        ({"question": ["a", "b"]}, "2 texts were given for 3 notes"),
        ({"question": " "}, "is empty"),
        ({"question_column": "asked"}, "a list of texts has no columns: leave out question_column"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], said: str, reader: Bundle) -> None:
    with pytest.raises(OptionError, match=said):
        sparkclin.answer(NOTES, model=reader, **options)


@pytest.mark.parametrize("kind", ["pandas", "spark", "list"])
@pytest.mark.parametrize("text", [QUESTIONS, QUESTIONS[0]], ids=["a list", "one text"])
def test_texts_and_a_column_of_texts_exclude_each_other(
    frame: DataFrame, classifier: Bundle, reader: Bundle, kind: str, text: Any
) -> None:
    table = pd.DataFrame({"text": NOTES, "asked": QUESTIONS})
    notes: Any = {"pandas": table, "spark": frame, "list": NOTES}[kind]
    with pytest.raises(OptionError, match="pair and pair_column were both given"):
        sparkclin.classify(notes, pair=text, pair_column="asked", model=classifier)
    with pytest.raises(OptionError, match="question and question_column were both given"):
        sparkclin.answer(notes, question=text, question_column="asked", model=reader)


def test_an_order_of_texts_without_a_pair_is_refused(classifier: Bundle) -> None:
    with pytest.raises(OptionError, match="pair_first has no effect without a text"):
        sparkclin.classify(NOTES, pair_first=True, model=classifier)


def test_a_spark_dataframe_takes_no_list(frame: DataFrame, reader: Bundle) -> None:
    with pytest.raises(OptionError, match="no order of rows"):
        sparkclin.answer(frame, question=QUESTIONS, model=reader)
