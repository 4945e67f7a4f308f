"""The vocabulary of a host annotator: every id that is sent is where the graph expects it; and when one is loaded."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import ModelError
from sparkclin.models import hosts
from sparkclin.models.bundle import Bundle
from sparkclin.models.hosts import WORDPIECE_SPECIALS, host_vocabulary, load_ahead, load_host
from sparkclin.models.pretrained import load
from sparkclin.models.repository import ModelRepository
from sparkclin.wire import codes
from sparkclin.wire.tags import HOST_IDS, Vocabulary
from testkit.bundles import manifest_of, stage

VOCABULARY = Vocabulary(size=100, cls_id=0, sep_id=2, pad_id=1)


@pytest.mark.parametrize("specials", [WORDPIECE_SPECIALS, codes.SPECIAL_PIECES])
def test_codes_have_their_ids_and_special_pieces_follow_those_of_positions(
    specials: tuple[str, ...],
) -> None:
    code_words = [codes.encode(index) for index in range(VOCABULARY.n_codes)]
    words = host_vocabulary(VOCABULARY, specials, code_words=code_words)
    assert len(words) == len(set(words)) == VOCABULARY.n_codes == 300 + HOST_IDS
    sent = [*range(VOCABULARY.n_tagged), *range(VOCABULARY.first_request, VOCABULARY.n_codes)]
    assert [words[index] for index in sent] == [codes.encode(index) for index in sent]
    assert words.index(specials[0]) == VOCABULARY.n_tagged


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where what is loaded lies."""
    loaded: list[str] = []

    def noted(bundle: Bundle) -> object:
        loaded.append(bundle.location)
        return load(bundle)

    monkeypatch.setattr(hosts, "load", noted)
    return loaded


def test_a_host_that_is_being_loaded_is_waited_for(
    spark: SparkSession, echo_models: Path, tmp_path: Path, loads: list[str]
) -> None:
    root = tmp_path / "models"
    root.symlink_to(echo_models)
    bundle = ModelRepository(root).find("clinical_longformer")
    load_ahead(spark, bundle)
    load_ahead(spark, bundle)
    assert load_host(spark, bundle) is load_host(spark, bundle)
    assert loads == [bundle.location]


def test_what_went_wrong_is_raised_by_who_needs_the_host_and_tried_again(
    spark: SparkSession, tmp_path: Path, loads: list[str]
) -> None:
    root = tmp_path / uuid4().hex
    staged = stage(root)
    ModelRepository(root).register(staged, manifest_of(staged, name="tiny", engine="tensorflow"))
    bundle = ModelRepository(root).find("tiny")
    load_ahead(spark, bundle)
    for _ in range(2):
        with pytest.raises(ModelError, match="Spark NLP cannot load"):
            load_host(spark, bundle)
    assert len(loads) in (2, 3)  # the first load_host() may still find the one ahead at work


def test_nothing_is_loaded_ahead_for_an_engine_in_the_workers(spark: SparkSession, tmp_path: Path) -> None:
    staged = stage(tmp_path / "models")
    manifest = manifest_of(staged, name="tiny", engine="openvino")
    ModelRepository(tmp_path / "models").register(staged, manifest)
    before = dict(hosts._hosts)
    load_ahead(spark, ModelRepository(tmp_path / "models").find("tiny"))
    assert hosts._hosts == before
