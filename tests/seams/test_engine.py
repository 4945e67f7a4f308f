"""An engine is added from outside: it is exported for, found in its place of preference, and embeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

import sparkclin
from sparkclin.engines import ENGINES, ONNX
from sparkclin.errors import ModelError
from sparkclin.export.convert import ExportOptions, convert
from sparkclin.export.engines import EXPORTERS, SPARK_NLP_EXPORTERS
from sparkclin.models.pretrained import load
from sparkclin.models.repository import ModelRepository
from testkit.checkpoints import TEXTS, random_checkpoint

pytestmark = pytest.mark.slow
TOY = replace(ONNX, name="toy")


@pytest.fixture(autouse=True)
def _toy_is_an_engine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES, TOY.name, TOY)
        patch.setitem(EXPORTERS, TOY.name, replace(SPARK_NLP_EXPORTERS[ONNX.name], engine=TOY))
        yield


def test_it_exports_and_embeds(spark: SparkSession, tmp_path: Path) -> None:
    checkpoint, models = str(random_checkpoint(tmp_path / "checkpoint")), tmp_path / "models"
    for engine in (TOY.name, ONNX.name):
        convert(ExportOptions(checkpoint=checkpoint, name="tiny", models=models, engine=engine), spark=spark)
    repository = ModelRepository(models)
    assert repository.find("tiny").manifest.engine == ONNX.name  # the table's order is the order of preference
    notes = spark.createDataFrame(list(enumerate(TEXTS)), "note_id int, text string")
    vectors = {}
    for engine in (TOY.name, ONNX.name):
        bundle = repository.find("tiny", engine=engine)
        rows = sparkclin.embed(notes, model=bundle, pooling="max").collect()
        vectors[engine] = {row.note_id: row.vector for row in rows}
    for note_id in range(len(TEXTS)):
        np.testing.assert_array_equal(vectors[TOY.name][note_id], vectors[ONNX.name][note_id])

    # A context of its own: pytest undoes its own monkeypatch after the fixture above, and the toy would be back.
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(ENGINES, TOY.name)
        with pytest.raises(ModelError, match=r"engine 'toy' .* this sparkclin runs openvino, onnx"):
            load(repository.find("tiny", engine="toy"))
