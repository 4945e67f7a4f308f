"""When the labels of two kinds of logits differ, and what is compared of a head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from transformers import BigBirdForQuestionAnswering, LongformerForTokenClassification

from sparkclin.export.errors import CheckpointError
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.heads import compare_logits, labels_differ, reference_logits, separators_of
from testkit.checkpoints import random_bigbird, random_checkpoint


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    folder = tmp_path_factory.mktemp("tagger")
    labels = {0: "O", 1: "B-DRUG", 2: "I-DRUG"}
    return TrainedModel.read(
        str(random_checkpoint(folder, model_class=LongformerForTokenClassification, id2label=labels))
    )


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    folder = tmp_path_factory.mktemp("reader")
    return TrainedModel.read(str(random_bigbird(folder, model_class=BigBirdForQuestionAnswering)))


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([[1.0, 2.0]], [[2.0, 1.0]], 1),
        ([[1.0, 2.0]], [[1.0, 2.0]], 0),
        ([[1.0, 2.0]], [[1.5, 1.0]], 0),  # theirs are not more than the limit apart
        ([[1.0, 2.0]], [[1.75, 1.0]], 1),
        ([[0.0, 2.0, 1.0]], [[0.0, 1.0, 2.0]], 1),
        ([[0.0, 2.0, 1.0]], [[-9.0, 1.75, 2.0]], 0),  # of three, the two largest count
        ([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0]], [[1.0, 2.0], [1.0, 2.0], [0.0, 1.0]], 2),
        ([[1.0], [2.0]], [[5.0], [-5.0]], 0),  # of one label none is another
    ],
)
def test_labels_differ_where_another_one_is_clearly_largest(
    ours: list[list[float]], theirs: list[list[float]], expected: int
) -> None:
    assert labels_differ(np.array(ours), np.array(theirs), limit=0.5) == expected


def test_logits_are_compared_at_every_position_and_length(tagger: TrainedModel) -> None:
    compared = list(compare_logits(tagger, np.random.default_rng(0), lengths=[2, 9]))
    assert [(each.length, each.ours.shape, each.theirs.shape) for each in compared] == [
        (2, (2, 3), (2, 3)),
        (9, (9, 3), (9, 3)),
    ]
    for each in compared:
        np.testing.assert_allclose(each.ours, each.theirs, atol=1e-4, rtol=0)


def test_our_logits_are_those_of_the_reference_that_is_given(tagger: TrainedModel) -> None:
    def nothing(ids: np.typing.NDArray[np.int32], _mask: np.typing.NDArray[np.int32]) -> np.typing.NDArray[np.float32]:
        return np.zeros((*ids.shape, tagger.config.width), np.float32)

    [compared] = compare_logits(tagger, np.random.default_rng(0), lengths=[4], reference=nothing)
    bias = tagger.head.expected(np.zeros((1, tagger.config.width)))["logits"]
    np.testing.assert_allclose(compared.ours, np.tile(bias, (4, 1)))
    assert np.abs(compared.theirs - compared.ours).max() > 1e-2


def test_the_question_that_a_class_leaves_out_is_not_compared(reader: TrainedModel) -> None:
    """A row of 40 has a question of 10 pieces behind its first special piece, and then the separator."""
    [compared] = compare_logits(reader, np.random.default_rng(0), lengths=[40])
    assert 0 < len(compared.ours) == len(compared.theirs) < 40
    assert compared.theirs.max(axis=1).min() > -1e5
    np.testing.assert_allclose(compared.ours, compared.theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("length", [3, 4, 5])
def test_rows_of_any_length_have_a_logit_per_position(reader: TrainedModel, tagger: TrainedModel, length: int) -> None:
    """BigBird's classes read rows of whole blocks only."""
    assert reference_logits(tagger, np.arange(5, 5 + length, dtype=np.int32)).shape == (length, 3)
    row = np.array([reader.config.cls_id, 9, reader.config.sep_id, 10, reader.config.sep_id], np.int32)
    assert reference_logits(reader, row).shape == (5, 2)


def test_only_a_head_that_reads_pairs_has_separators(tagger: TrainedModel, reader: TrainedModel) -> None:
    assert separators_of(tagger) == ()
    assert separators_of(reader) == reader.ends.separators != ()
    without = replace(reader, ends=replace(reader.ends, separators=()))
    with pytest.raises(CheckpointError, match=r"^The tokenizer has no rows of two texts, .* Check the post_processor"):
        separators_of(without)
