"""embed(), find_entities() and encode() of notes of each kind, with the shipped models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

import sparkclin
from sparkclin.errors import InputError, ModelError, OptionError
from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.tasks import embed as inner
from sparkclin.tasks import entities
from testkit.demo import DEMO_NOTES, MODEL, NER_MODEL, SHORT

pytestmark = pytest.mark.usefixtures("spark")

LONG = "\n".join(json.loads(line)["text"] for line in DEMO_NOTES.read_text(encoding="utf-8").splitlines()[:9])
TEXTS: list[str | None] = [SHORT, None, "Fever and cough.", " \n", LONG, "Pain \ud800 in the chest."]
READ = [0, 2, 4]
STATUSES = ["ok", "null", "ok", "empty", "ok", "not_utf8"]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return sparkclin.ModelRepository(DEMO_MODELS).find(MODEL)


@pytest.fixture(scope="module")
def frame(spark: SparkSession) -> DataFrame:
    rows = [(f"n{place}", TEXTS[place]) for place in READ]
    return spark.createDataFrame(rows, "note_id string, text string")


@pytest.fixture(scope="module")
def expected(frame: DataFrame, bundle: Bundle) -> dict[str, Any]:
    """By the task's own function."""
    rows = inner.embed(frame, bundle=bundle, options=inner.EmbedOptions()).collect()
    return {row.note_id: np.array(row.vector, np.float32) for row in rows}


def test_a_list_gives_a_vector_for_each_text(expected: dict[str, Any]) -> None:
    found = sparkclin.embed(TEXTS)
    assert [vector is not None for vector in found] == [place in READ for place in range(len(TEXTS))]
    for place in READ:
        assert found[place].dtype == np.float32
        np.testing.assert_allclose(found[place], expected[f"n{place}"], atol=1e-6)


def test_pandas_gives_rows_in_the_order_of_the_notes_and_with_their_index(expected: dict[str, Any]) -> None:
    notes = pd.DataFrame({"hadm": [f"n{place}" for place in range(6)], "note": TEXTS}, index=[9, 3, 5, 1, 7, 0])
    found = sparkclin.embed(notes, id_column="hadm", text_column="note")
    assert found.note_id.tolist() == notes.hadm.tolist()
    assert found.index.tolist() == notes.index.tolist()
    assert found.status.tolist() == STATUSES
    assert [type(vector) for vector in found.vector if vector is not None] == [np.ndarray] * 3
    for place in READ:
        assert found.vector.iloc[place].dtype == np.float32
        np.testing.assert_allclose(found.vector.iloc[place], expected[f"n{place}"], atol=1e-6)
    joined = notes.assign(vector=found.vector)
    assert joined.vector.loc[3] is None


def test_spark_gives_spark_and_nothing_is_computed(frame: DataFrame, expected: dict[str, Any]) -> None:
    renamed = frame.withColumnRenamed("note_id", "odd`id").withColumnRenamed("text", "note.text")
    found = sparkclin.embed(renamed, id_column="odd`id", text_column="note.text")
    assert isinstance(found, DataFrame)
    assert {row.note_id: len(row.vector) for row in found.collect()} == dict.fromkeys(expected, 192)


def test_the_columns_are_those_of_a_run_whatever_the_kind(frame: DataFrame, bundle: Bundle) -> None:
    of_run = inner.embed(frame, bundle=bundle, options=inner.EmbedOptions(level="token")).columns
    assert sparkclin.embed(frame, level="token").columns == of_run
    of_pandas = sparkclin.embed(pd.DataFrame({"text": TEXTS[:3]}), level="token")
    assert list(of_pandas.columns) == of_run


def test_without_ids_the_index_has_them_and_offsets_are_whole_numbers() -> None:
    notes = pd.DataFrame({"text": TEXTS[:3]}, index=pd.Index(["x", "y", "z"], name="note_id"))
    found = sparkclin.embed(notes, level="token", model=MODEL)
    assert list(dict.fromkeys(found.note_id)) == ["x", "y", "z"]
    words = found[found.note_id == "z"]
    assert words.token_index.tolist() == [0, 1, 2, 3]
    assert words.token.tolist() == [TEXTS[2][row.begin : row.end] for row in words.itertuples()]  # type: ignore[index]
    assert found.loc["y", "begin"] is pd.NA
    assert len(found.merge(notes.reset_index(), on="note_id")) == len(found)


def test_a_list_gives_a_matrix_for_each_text_at_other_levels() -> None:
    rows = sparkclin.embed(pd.DataFrame({"text": TEXTS}), level="window", max_pieces=30, stride=4)
    found = sparkclin.embed(TEXTS, level="window", max_pieces=30, stride=4)
    for place, matrix in enumerate(found):
        of_note = rows[rows.note_id == place]
        if place not in READ:
            assert matrix is None
        else:
            assert matrix.dtype == np.float32
            np.testing.assert_array_equal(matrix, sparkclin.to_matrix(of_note))
    assert len(found[4]) > 20


def test_vectors_may_have_norm_1_and_half_precision(frame: DataFrame, expected: dict[str, Any]) -> None:
    unit = sparkclin.encode([TEXTS[place] for place in READ], normalize=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    for row, place in zip(unit, READ, strict=True):
        vector = expected[f"n{place}"]
        np.testing.assert_allclose(row, vector / np.linalg.norm(vector), atol=1e-6)
    notes = pd.DataFrame({"text": [TEXTS[place] for place in READ]})
    halves = sparkclin.embed(notes, vector_dtype="float16", normalize=True)
    assert {vector.dtype.name for vector in halves.vector} == {"float16"}
    bytes_of_spark = sparkclin.embed(frame, vector_dtype="float16", normalize=True).toPandas().sort_values("note_id")
    for vectors in (halves, bytes_of_spark):
        np.testing.assert_allclose(sparkclin.to_matrix(vectors), unit, atol=1e-3)
    (windows,) = sparkclin.embed(TEXTS[:1], level="window", vector_dtype="float16")
    assert (windows.dtype.name, windows.shape) == ("float16", (1, 192))


def test_rows_say_what_made_them(bundle: Bundle) -> None:
    found = sparkclin.embed(pd.DataFrame({"text": TEXTS[:2]}))
    made_by = ["model", "engine", "precision", "model_digest"]
    assert found[made_by].drop_duplicates().to_dict("records") == [bundle.made_by]


def test_nothing_gives_nothing() -> None:
    assert sparkclin.embed([]) == []
    found = sparkclin.embed(pd.DataFrame({"text": []}))
    assert len(found) == 0
    assert "vector" in found.columns


def test_encode_is_a_matrix_and_says_what_missing_texts_are(expected: dict[str, Any]) -> None:
    matrix = sparkclin.encode(pd.Series(TEXTS)[READ], model=MODEL)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix, [expected[f"n{place}"] for place in READ], atol=1e-6)
    with pytest.raises(InputError, match="1 of 2 vectors are null"):
        sparkclin.encode(TEXTS[:2])
    assert sparkclin.encode(TEXTS[:2], missing="drop").shape == (1, 192)


def test_entities_of_a_list_are_dicts_and_those_of_the_task(spark: SparkSession) -> None:
    texts = ["The patient has diabetes mellitus and takes aspirin.", None, "Nothing here."]
    found = sparkclin.find_entities(texts)
    assert found[1:] == [None, []]
    frame = spark.createDataFrame([("n", texts[0])], "note_id string, text string")
    bundle = sparkclin.ModelRepository(DEMO_MODELS).find(NER_MODEL)
    options = entities.NerOptions()
    rows = entities.find_entities(frame, bundle=bundle, options=options).orderBy("entity").collect()
    assert [tuple(entity.values()) for entity in found[0]] == [
        (row.begin, row.end, row.text, row.label, pytest.approx(row.score, abs=1e-5)) for row in rows
    ]
    assert {type(value) for value in found[0][0].values()} == {int, str, float}
    of_pandas = sparkclin.find_entities(pd.DataFrame({"text": texts}))
    assert of_pandas.status.tolist()[-2:] == ["null", "no_entities"]
    assert of_pandas.entity.tolist()[: len(rows)] == [row.entity for row in rows]


def test_the_model_is_a_name_or_a_bundle_or_the_only_one_for_the_task(bundle: Bundle) -> None:
    by_name, by_bundle, only = (sparkclin.encode(TEXTS[:1], **how) for how in ({"model": MODEL}, {"model": bundle}, {}))
    np.testing.assert_array_equal(by_name, by_bundle)
    np.testing.assert_array_equal(by_name, only)
    int8 = sparkclin.encode(TEXTS[:1], models=str(DEMO_MODELS), engine=bundle.manifest.engine, precision="int8")
    assert not np.array_equal(int8, by_name)
    with pytest.raises(OptionError, match="here is the bundle itself"):
        sparkclin.encode(TEXTS[:1], model=bundle, precision="int8")
    with pytest.raises(ModelError, match="no model 'unknown'"):
        sparkclin.encode(TEXTS[:1], model="unknown")
    with pytest.raises(ModelError, match="is a model for the task 'entities'"):
        sparkclin.encode(TEXTS[:1], model=NER_MODEL)


def test_only_a_trusted_model_runs(bundle: Bundle) -> None:
    assert sparkclin.encode(TEXTS[:1], model=bundle, trust=bundle.manifest_sha256).shape == (1, 192)
    for model in (bundle, MODEL):
        with pytest.raises(ModelError, match="not among the models that"):
            sparkclin.encode(TEXTS[:1], model=model, trust=["0" * 64])


@pytest.mark.parametrize(
    ("notes", "options", "said"),
    [
        ("Smith", {}, r"class str cannot be read.*\[text\]"),
        (pd.Series(["Smith"]), {}, "class pandas.*Series cannot be read"),
        (["Smith", 7], {}, "1 of 2 values of text are no texts, but of the class int"),
        (pd.DataFrame({"note": ["Smith"]}), {}, "no column text; it has note"),
        (pd.DataFrame({"text": ["Smith"]}), {"id_column": "id"}, "no column id; it has text"),
        (pd.DataFrame({"text": ["Smith"] * 3}, index=[1, 1, 2]), {}, "2 notes share 1 ids with others .such as 1"),
        (pd.DataFrame({"note_id": ["a", None], "text": ["Smith"] * 2}), {}, "1 notes have a null id"),
        (pd.DataFrame({"note_id": ["Smith has"] * 2, "text": ""}), {}, "2 notes share 1 ids with others;"),
        (pd.DataFrame({0: ["Smith"]}), {"text_column": 0}, "text_column is of the class int: expected the name"),
        (
            pd.DataFrame({"note_id": [["Smith"]], "text": ["x"]}),
            {},
            "ids of the DataFrame are of the class list: an id",
        ),
        (["Smith"], {"max_pieces": "7"}, "max_pieces is of the class str: expected a whole number"),
        (["Smith"], {"stride": 7.5}, "stride is of the class float: expected a whole number"),
        (["Smith"], {"max_note_pieces": True}, "max_note_pieces is of the class bool: expected a whole number"),
        (["Smith"], {"id_column": "id"}, "a list of texts has no columns: leave out id_column"),
        (["Smith"], {"text_column": "body"}, "a list of texts has no columns: leave out text_column"),
        (["Smith"], {"max_pieces": 9999}, "reads at most 4094"),
        (["Smith"], {"level": "page"}, "page"),
    ],
)
def test_what_cannot_be_is_an_error_without_note_text(notes: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises((InputError, OptionError), match=said) as refused:
        sparkclin.embed(notes, **options)
    assert "Smith" not in str(refused.value)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (
            pd.DataFrame({"note_id": ["a"], "text": ["Smith"]}),
            "no pandas.*DataFrame: expected a list or a pandas Series",
        ),
        ({"Smith": "Fever."}, "no dict: "),
        ({"Smith": "Fever."}.keys(), "no dict_keys: "),
        ({"Smith"}, "no set: "),
        (b"Smith", "no bytes: "),
        (None, "no NoneType: "),
        (7, "no int: "),
        ("Smith", r"one text was given .* \[text\]"),
        (np.array([["Smith", "Jones"]]), "1 of 1 values of text are no texts, but of the class numpy.ndarray"),
    ],
)
def test_encode_takes_no_names_of_columns_and_no_ids_for_texts(texts: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        sparkclin.encode(texts)
    assert "Smith" not in str(refused.value)


def test_encode_takes_nothing_of_spark(frame: DataFrame) -> None:
    for texts in (frame, frame.text):
        with pytest.raises(InputError, match=r"no pyspark\..*: expected a list"):
            sparkclin.encode(texts)  # type: ignore[arg-type]


def test_so_it_is_for_spark(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("a", 7)], "note_id string, text int")
    with pytest.raises(InputError, match="column text of the DataFrame is int, expected string"):
        sparkclin.embed(frame)
    with pytest.raises(InputError, match="no column id"):
        sparkclin.embed(frame, id_column="id")
    alike = spark.createDataFrame([("a", "b", "c")], "note_id string, text string, TEXT string")
    with pytest.raises(InputError, match=r"in case only \(TEXT\): Spark takes them for the same"):
        sparkclin.embed(alike)


def test_columns_whose_names_are_numbers_are_named_as_texts() -> None:
    found = sparkclin.embed(pd.DataFrame({0: ["a", "b"], 1: TEXTS[:2]}), id_column="0", text_column="1")
    assert found.note_id.tolist() == ["a", "b"]
    assert found.status.tolist() == ["ok", "null"]


def test_a_session_without_arrow_gives_the_same(spark: SparkSession) -> None:
    notes = pd.DataFrame({"text": TEXTS})
    by_arrow = sparkclin.embed(notes)
    spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", "false")
    try:
        without = sparkclin.embed(notes)
    finally:
        spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", "true")
    pd.testing.assert_frame_equal(by_arrow.drop(columns="vector"), without.drop(columns="vector"))
    for one, other in zip(by_arrow.vector, without.vector, strict=True):
        assert (one is None and other is None) or (other.dtype == np.float32 and np.array_equal(one, other))


def test_progress_is_shown_and_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = sparkclin.notes.shown  # type: ignore[attr-defined]

    def spy(context: Any, work: Any) -> Any:
        asked.append((work.name, work.n_notes))
        return real(context, work)

    monkeypatch.setattr("sparkclin.notes.shown", spy)
    sparkclin.encode(TEXTS[:1], progress=False)
    assert asked == []
    sparkclin.encode(TEXTS[:1])
    assert asked == [("embed", 1)]


WITHOUT_SESSION = """
import sparkclin
from pyspark.sql import SparkSession
print(sparkclin.encode(["Fever and cough."], progress=False).shape)
print("started:", SparkSession.getActiveSession().sparkContext.appName)
"""


def test_where_no_session_runs_one_is_started(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SESSION], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("(1, 192)\nstarted: sparkclin embed\n"), done.stderr


def test_a_language_narrows_the_choice() -> None:
    assert sparkclin.embed(["fever"], model=MODEL, language="en")[0].shape == (192,)
    with pytest.raises(ModelError, match=rf"no model '{MODEL}' \(de\)"):
        sparkclin.embed(["fever"], model=MODEL, language="de")
    with pytest.raises(OptionError, match="language, engine and precision choose one"):
        sparkclin.embed(["fever"], model=sparkclin.ModelRepository(DEMO_MODELS).find(MODEL), language="en")
