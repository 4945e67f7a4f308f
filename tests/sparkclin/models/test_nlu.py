"""nlu (John Snow Labs' short form of Spark NLP) finds the models of a local repository."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pyspark.sql import SparkSession

import sparkclin

pytest.importorskip("nlu", reason="needs nlu 5.4.1, from the test extra")


@pytest.fixture
def _no_databricks(monkeypatch: pytest.MonkeyPatch) -> None:
    """nlu's predict() imports one function of `johnsnowlabs`, a package that pins another pyspark and Spark NLP."""
    names = ("johnsnowlabs", "johnsnowlabs.utils", "johnsnowlabs.utils.env_utils")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules[names[-1]], "is_running_in_databricks_runtime", lambda: False, raising=False)


@pytest.mark.usefixtures("_no_databricks")
def test_nlu_loads_and_predicts_offline(spark: SparkSession, echo_models: Path) -> None:
    import nlu

    sparkclin.use_models(spark, echo_models)
    pipe = nlu.load("en.embed.longformer.clinical")
    # At its default level, sentence, nlu would fetch a sentence detector from the internet.
    predicted = pipe.predict("The patient has fever.", output_level="document", partition=1)
    (vectors,) = predicted["word_embedding_UNIQUE"]
    assert np.shape(vectors) == (5, 2)
    assert (vectors[:, 0] > 0).all()
