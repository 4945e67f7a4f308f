"""An export is verified on every token that was added to the tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken
from transformers import LongformerForQuestionAnswering

from sparkclin.export.convert import ExportOptions, convert
from sparkclin.export.engines import EXPORTERS
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.expected import SEED, Expected, lengths_of, sample_texts
from sparkclin.export.verify.samples import Batch
from testkit.checkpoints import add_tokens, random_bigbird, random_checkpoint

TOKENS = (
    AddedToken("dose_1"),
    AddedToken("Dose {2}", normalized=True),
    AddedToken("[DOSE]", special=True, normalized=False),
    AddedToken("dose3", normalized=False, single_word=True, lstrip=True),
)
"""Of all kinds."""

MAKERS: dict[str, Callable[..., Path]] = {"longformer": random_checkpoint, "big_bird": random_bigbird}


@pytest.fixture(params=MAKERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A checkpoint with a row for each added token."""
    return add_tokens(MAKERS[request.param](tmp_path / "checkpoint", vocab_size=400), *TOKENS)


def test_ids_are_compared_on_every_added_token(checkpoint: Path) -> None:
    trained = TrainedModel.read(str(checkpoint))
    expected = Expected(trained=trained)
    text = "\n".join(expected.texts)
    assert all(token.content in text for token in TOKENS)
    found = {index for ids in expected.ids for index in ids}
    as_text = {trained.added_tokens["[DOSE]"]}  # a special piece that is typed in a note is text
    assert {trained.added_tokens[token.content] for token in TOKENS} - found == as_text


def test_vectors_are_compared_on_every_added_token(checkpoint: Path) -> None:
    trained = TrainedModel.read(str(checkpoint))
    ids = [trained.added_tokens[token.content] for token in TOKENS]
    batch = Batch.random(np.random.default_rng(SEED), length=20, config=trained.config, including=ids)
    assert set(ids) <= set(batch.ids[0].tolist())
    assert (batch.ids[0, 0], batch.ids[0, -1]) == (trained.config.cls_id, trained.config.sep_id)


@pytest.mark.slow
@pytest.mark.parametrize("engine", EXPORTERS)
def test_a_checkpoint_with_added_tokens_and_rows_for_them_is_exported(
    checkpoint: Path, engine: str, tmp_path: Path
) -> None:
    options = ExportOptions(checkpoint=str(checkpoint), name="dosed", models=tmp_path / "models", engine=engine)
    parity = convert(options).manifest.parity
    assert parity["id_rows_identical"] == parity["id_rows"] > 20


def test_sample_texts_end_with_all_of_them_ten_times_and_the_added_tokens_in_each_form() -> None:
    *texts, together = sample_texts()
    assert len(texts) > 10
    assert all(texts[:1])
    assert together == "\n".join(texts) * 10
    assert sample_texts(iter(["A", "B"])) == [
        *texts,
        together,
        "A\nB",
        "well A A.\nwell B B.",
        "(A), xAy\n(B), xBy",
    ]


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        (258, [1, 2, 255, 256]),
        (259, [1, 2, 255, 256, 257]),
        (260, [1, 2, 255, 256, 257, 258]),
        (262, [1, 2, 255, 256, 257, 258, 260]),
    ],
)
def test_the_lengths_end_with_the_longest_row(tmp_path: Path, positions: int, expected: list[int]) -> None:
    """The first position of a row is the second of the table, so that a row is two shorter than the table."""
    trained = TrainedModel.read(str(random_checkpoint(tmp_path, positions=positions)))
    assert trained.config.max_row == positions - 2
    assert lengths_of(trained) == expected


@pytest.mark.parametrize(("positions", "expected"), [(40, [38]), (260, [255, 256, 257, 258])])
def test_rows_of_a_question_and_a_text_are_not_shorter_than_both(
    tmp_path: Path, positions: int, expected: list[int]
) -> None:
    folder = random_checkpoint(
        tmp_path, positions=positions, model_class=LongformerForQuestionAnswering, sep_token_id=2
    )
    assert lengths_of(TrainedModel.read(str(folder))) == expected


def test_a_model_without_a_class_of_transformers_has_no_logits(tmp_path: Path) -> None:
    assert Expected(trained=TrainedModel.read(str(random_checkpoint(tmp_path, positions=40)))).logits == []


def test_ids_and_logits_are_those_of_the_checkpoint_and_are_computed_once(tmp_path: Path) -> None:
    folder = random_checkpoint(tmp_path, positions=40, model_class=LongformerForQuestionAnswering, sep_token_id=2)
    expected = Expected(trained=TrainedModel.read(str(folder)))
    assert [(each.length, each.ours.shape) for each in expected.logits] == [(38, (38, 2))]
    assert expected.logits is expected.logits
    assert expected.reference is expected.reference
    assert len(expected.ids) == len(expected.texts)
    assert {(ids[0], ids[-1]) for ids in expected.ids} == {(expected.trained.config.cls_id, 2)}
