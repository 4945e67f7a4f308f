"""A checkpoint whose tokenizer and weights do not fit is refused, whatever its family and the engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken

from sparkclin.export.convert import ExportOptions, convert
from sparkclin.export.engines import EXPORTERS
from sparkclin.export.errors import CheckpointError
from sparkclin.export.trained import TrainedModel
from sparkclin.models.repository import METADATA_FILE
from sparkclin.text.pieces import PieceEncoder
from testkit.checkpoints import TEXTS, add_tokens, random_bigbird, random_checkpoint
from testkit.tokenizers import train_tokenizer, train_unigram

ROWS = {
    "longformer": PieceEncoder(train_tokenizer(TEXTS)).n_ids,
    "big_bird": PieceEncoder(train_unigram(TEXTS)).n_ids,
}
"""Of a matrix that has a row for each token and no more."""

MAKERS: dict[str, Callable[..., Path]] = {"longformer": random_checkpoint, "big_bird": random_bigbird}


@pytest.fixture(params=MAKERS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def checkpoint(tmp_path: Path, family: str) -> Path:
    return MAKERS[family](tmp_path / "checkpoint", vocab_size=ROWS[family])


def test_tokens_without_a_row_are_named(checkpoint: Path, family: str) -> None:
    rows = ROWS[family]
    add_tokens(checkpoint, *(f"dose_{index}" for index in range(1, 9)))
    with pytest.raises(CheckpointError) as caught:
        TrainedModel.read(str(checkpoint))
    first = ", ".join(f"'dose_{index + 1}' (id {rows + index})" for index in range(5))
    assert str(caught.value) == (
        f"checkpoint has a tokenizer with more ids than its embedding matrix has rows. The matrix has {rows} rows; "
        f"tokens without a row (8): {first}, …. Call model.resize_token_embeddings({rows + 8}), train the new rows and "
        "save the model, or remove these tokens from the tokenizer."
    )


@pytest.mark.parametrize("engine", EXPORTERS)
def test_no_engine_registers_such_a_checkpoint(checkpoint: Path, engine: str, tmp_path: Path) -> None:
    add_tokens(checkpoint, "dose_1")
    with pytest.raises(CheckpointError, match=r"tokens without a row \(1\): 'dose_1'"):
        convert(ExportOptions(checkpoint=str(checkpoint), name="short", models=tmp_path / "models", engine=engine))
    assert not (tmp_path / "models" / METADATA_FILE).exists()


@pytest.mark.parametrize(
    "token",
    [
        AddedToken("[DOSE]", special=True),
        AddedToken("Dose_1", normalized=True),
        AddedToken("dose_1", normalized=False, single_word=True, lstrip=True),
    ],
    ids=["special", "normalized", "as it is"],
)
def test_every_kind_of_added_token_counts(checkpoint: Path, token: AddedToken) -> None:
    add_tokens(checkpoint, token)
    with pytest.raises(CheckpointError, match=r"tokens without a row \(1\)"):
        TrainedModel.read(str(checkpoint))


def test_a_matrix_may_have_more_rows_than_there_are_tokens(tmp_path: Path, family: str) -> None:
    """Such as one that is padded to a multiple of 64."""
    folder = MAKERS[family](tmp_path / "checkpoint", vocab_size=ROWS[family] + 64)
    trained = TrainedModel.read(str(add_tokens(folder, "dose_1")))
    assert trained.config.vocab_size == ROWS[family] + 64


def test_ids_count_and_not_tokens(tmp_path: Path) -> None:
    """In a vocabulary with holes the highest id may be more than the number of tokens."""
    tokenizer = json.loads(train_tokenizer(TEXTS))
    vocabulary = tokenizer["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.__getitem__)
    vocabulary[last] = 450
    folder = random_checkpoint(tmp_path / "checkpoint", tokenizer_json=json.dumps(tokenizer), vocab_size=450)
    with pytest.raises(CheckpointError, match=r"\(id 450\)\. Call model\.resize_token_embeddings\(451\)"):
        TrainedModel.read(str(folder))


def test_what_the_tokenizer_puts_around_a_text_counts(checkpoint: Path, family: str) -> None:
    """Its post-processor has ids of its own."""
    file = checkpoint / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    around = tokenizer["post_processor"]
    if family == "longformer":
        around["sep"][1] = 1000
    else:
        around["special_tokens"]["[SEP]"]["ids"] = [1000]
    file.write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"the piece (behind a text|between two texts) \(id 1000\)"):
        TrainedModel.read(str(checkpoint))


def test_padding_counts(checkpoint: Path) -> None:
    file = checkpoint / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | {"pad_token_id": 1000}
    file.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"pad_token_id 1000 is not one of the \d+ ids"):
        TrainedModel.read(str(checkpoint))
