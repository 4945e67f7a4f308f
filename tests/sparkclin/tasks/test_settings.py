"""What a task's settings are with a model: resolved for the report, and refused before Spark starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sparkclin.errors import ModelError, OptionError
from sparkclin.models.bundle import Manifest
from sparkclin.schema import ANSWER, CLASSIFY, EMBED, ENTITIES
from sparkclin.tasks.answers import QuestionOptions
from sparkclin.tasks.embed import EmbedOptions
from sparkclin.tasks.entities import NerOptions
from sparkclin.tasks.labels import ClassifyOptions
from sparkclin.tasks.reading import ReadingOptions
from sparkclin.text.labels import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from sparkclin.wire.outputs import Output
from testkit.bundles import manifest_of, stage


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return replace(manifest_of(stage(tmp_path), name="tiny", labels=("O", "B-Sign")), separators=(2, 2))


@pytest.mark.parametrize(
    ("options", "task", "more"),
    [
        (EmbedOptions(), EMBED, {}),
        (EmbedOptions(level="sentence"), EMBED, {"splitter": "nupunkt"}),
        (EmbedOptions(level="sentence", splitter="spark_nlp"), EMBED, {"splitter": "spark_nlp"}),
        (NerOptions(), ENTITIES, {}),
        (ClassifyOptions(), CLASSIFY, {}),
        (ClassifyOptions(pair="pair"), CLASSIFY, {"pair_first": False}),
        (QuestionOptions(), ANSWER, {}),
    ],
)
def test_no_setting_is_left_open(
    options: ReadingOptions, task: str, more: dict[str, object], manifest: Manifest
) -> None:
    settings = options.settings(replace(manifest, task=task))
    assert {"max_pieces": 4094, "stride": 512, **more}.items() <= settings.items()
    assert None not in settings.values()


def test_a_threshold_is_a_setting_where_labels_do_not_exclude_each_other(manifest: Manifest) -> None:
    multi = replace(manifest, task=CLASSIFY, problem_type=MULTI_LABEL)
    assert ClassifyOptions().settings(multi)["threshold"] == 0.5
    assert ClassifyOptions(threshold=0.3).settings(multi)["threshold"] == 0.3
    assert "threshold" not in ClassifyOptions().settings(replace(manifest, task=CLASSIFY))


@pytest.mark.parametrize("problem_type", [None, SINGLE_LABEL, REGRESSION])
def test_a_threshold_without_effect_is_refused(manifest: Manifest, problem_type: str | None) -> None:
    with pytest.raises(OptionError, match="a threshold has no effect on this model, whose problem_type is"):
        ClassifyOptions(threshold=0.5).settings(replace(manifest, task=CLASSIFY, problem_type=problem_type))


@pytest.mark.parametrize(("options", "task"), [(ClassifyOptions(pair="pair"), CLASSIFY), (QuestionOptions(), ANSWER)])
def test_a_model_without_rows_of_two_texts_is_refused(options: ReadingOptions, task: str, manifest: Manifest) -> None:
    with pytest.raises(ModelError, match="has no rows of two texts"):
        options.settings(replace(manifest, task=task, separators=()))


def test_a_pooling_that_the_model_has_no_outputs_for_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ModelError, match="the model gives mean per segment, not max"):
        EmbedOptions(pooling="max").settings(replace(manifest, outputs=(Output("mean", 2),)))
