"""An export is verified on every token that was added to the tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken

from sparkclin.export.convert import ExportOptions, convert
from sparkclin.export.engines import EXPORTERS
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.expected import SEED, Expected
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
