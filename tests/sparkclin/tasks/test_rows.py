"""What the rows of all tasks have in common."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pyspark.sql import types as T

from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from sparkclin.schema import LEVELS
from sparkclin.stages import vector_rows
from sparkclin.tasks import answers, entities, labels
from sparkclin.tasks.note_nlp import NOTE_NLP, nlp_system
from testkit.demo import MODEL

OUTPUTS = [*(vector_rows.OUTPUT[level] for level in LEVELS), entities.OUTPUT, labels.OUTPUT, answers.OUTPUT]
SAID = ["status", "model", "engine", "precision", "model_digest"]


@pytest.mark.parametrize("output", OUTPUTS)
def test_rows_of_every_task_say_what_made_them(output: Sequence[T.StructField]) -> None:
    names = [field.name for field in output]
    first = names.index("status")
    assert names[first : first + len(SAID)] == SAID
    assert all(field.dataType == T.StringType() for field in output[first : first + len(SAID)])


def test_versions_of_a_model_can_be_told_apart() -> None:
    versions = ModelRepository(DEMO_MODELS).bundles(MODEL)
    made_by = [bundle.made_by for bundle in versions]
    assert {len(values["model_digest"]) for values in made_by} == {16}
    assert len({values["model_digest"] for values in made_by}) == len(versions) == 3
    for bundle, values in zip(versions, made_by, strict=True):
        assert list(values) == SAID[1:]
        assert bundle.manifest_sha256.startswith(values["model_digest"])
        assert nlp_system(bundle).endswith(f"sha256 {values['model_digest']}")


def test_omops_table_has_the_standards_columns() -> None:
    assert len(NOTE_NLP) == 14
    assert not {"model_digest", "engine", "precision", "model"} & set(NOTE_NLP.names)
