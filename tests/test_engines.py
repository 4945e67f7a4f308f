"""Pooling inside the graph gives what pooling of piece vectors gives, with each engine of the shipped model. Those in
Python workers give no vectors of pieces; tests/sparkclin/tasks/test_in_workers.py compares them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

import sparkclin
from sparkclin.engines import ENGINES
from sparkclin.models.pretrained import DEMO_MODELS, load
from sparkclin.schema import VECTORS
from sparkclin.stages.vector_rows import INDEX_COLUMNS
from testkit.demo import DEMO_NOTES, MODEL, SHORT

pytestmark = pytest.mark.slow

MAX_PIECES, STRIDE = 200, 60  # so that notes have several windows, which overlap
# mean_max is the mean and the maximum, side by side.
POOLINGS = [
    ("document", "mean_max", "note"),
    ("document", "cls", "note"),
    ("window", "mean_max", "note"),
    ("window", "cls", "note"),
    ("sentence", "mean_max", "note"),
    ("sentence", "mean_max", "sentence"),
    ("sentence", "cls", "sentence"),
    ("token", "mean", "note"),
    ("token", "first", "note"),
]

Results = dict[tuple[str, int], npt.NDArray[np.float32] | None]


@pytest.fixture(scope="module")
def notes(spark: SparkSession) -> DataFrame:
    lines = DEMO_NOTES.read_text(encoding="utf-8").splitlines()[:6]
    texts = [(note["note_id"], note["text"]) for note in map(json.loads, lines)]
    others = [("short", SHORT), ("one", "x"), ("empty", ""), ("blank", " \n\t"), ("null", None)]
    return spark.createDataFrame([*texts, *others], "note_id string, text string").repartition(2).cache()


def embedded(notes: DataFrame, level: str, pooling: str, context: str, **version: str) -> Results:
    bundle = sparkclin.ModelRepository(DEMO_MODELS).find(MODEL, **version)
    rows = sparkclin.embed(
        notes, model=bundle, level=level, pooling=pooling, context=context, max_pieces=MAX_PIECES, stride=STRIDE
    ).collect()
    index = INDEX_COLUMNS.get(level)
    return {
        (row.note_id, row[index] or 0 if index else 0): None if row.vector is None else np.array(row.vector, np.float32)
        for row in rows
    }


PieceVectors = Callable[[str, str], DataFrame]


@pytest.fixture(scope="module")
def piece_vectors(notes: DataFrame) -> PieceVectors:
    """engine, context -> notes with a vector per piece, as stock stages make them; an engine runs once per context."""

    @cache
    def made(engine: str, context: str) -> DataFrame:
        bundle = sparkclin.ModelRepository(DEMO_MODELS).find(MODEL, engine=engine)
        tokenizer = sparkclin.NoteTokenizer(
            tokenizer=bundle.tokenizer_json(), maxPieces=MAX_PIECES + 1, stride=STRIDE, cls=True, context=context
        )
        model = load(bundle).setInputCols(["document", "token"]).setOutputCol("embeddings")
        return PipelineModel([tokenizer, model._set(maxSentenceLength=MAX_PIECES + 3)]).transform(notes).cache()

    return made


def by_pieces(vectors: DataFrame, level: str, pooling: str) -> Results:
    pooler = sparkclin.VectorPooler(level=level, pooling=pooling, cls=True)
    index = INDEX_COLUMNS.get(level)
    return {
        (row.note_id, entry[index] or 0 if index else 0): None
        if entry["vector"] is None
        else np.array(entry["vector"], np.float32)
        for row in pooler.transform(vectors).select("note_id", VECTORS).collect()
        for entry in row[VECTORS]
    }


@pytest.mark.parametrize("engine", [name for name, engine in ENGINES.items() if engine.spark_nlp])
@pytest.mark.parametrize(("level", "pooling", "context"), POOLINGS)
def test_pooled_inside_is_pooled_outside(
    notes: DataFrame, piece_vectors: PieceVectors, level: str, pooling: str, context: str, engine: str
) -> None:
    inside = embedded(notes, level, pooling, context, engine=engine, precision="fp32")
    outside = by_pieces(piece_vectors(engine, context), level, pooling)
    without = [(name, 0) for name in ("empty", "blank", "null")]
    assert [found[key] for found in (inside, outside) for key in without] == [None] * 6
    assert inside.keys() == outside.keys()
    assert len(inside) > len(without)
    for key, vector in inside.items():
        expected = outside[key]
        assert (vector is None) == (expected is None)
        if vector is not None and expected is not None:
            np.testing.assert_allclose(vector, expected, atol=1e-5, rtol=0)


def test_int8_is_close(notes: DataFrame) -> None:
    exact = embedded(notes, "document", "mean", "note", engine="onnx", precision="fp32")
    small = embedded(notes, "document", "mean", "note", engine="onnx", precision="int8")
    assert exact.keys() == small.keys()
    pairs = [(a, b) for key, a in exact.items() if a is not None and (b := small[key]) is not None]
    assert len(pairs) == 8
    assert min(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in pairs) >= 0.995
    assert all((a != b).any() for a, b in pairs)  # it is another model
