"""The ids that all exports are held to."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from sparkclin.export import checkpoint
from sparkclin.export.verify.reference import reference_ids
from testkit.checkpoints import TEXTS, random_checkpoint

CLS, SEP = 0, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def test_ids_have_the_special_pieces_at_their_ends_and_are_never_cut(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(8)
    tokenizer.save(str(folder / "tokenizer.json"))
    long = " ".join(TEXTS) * 30
    short, cut, empty = reference_ids(checkpoint.read(str(folder)), [TEXTS[0], long, ""])
    for ids in (short, cut, empty):
        assert (ids[0], ids[-1]) == (CLS, SEP)
    assert len(cut) > 500
    assert empty == [CLS, SEP]


def test_special_pieces_in_a_text_are_text(folder: Path) -> None:
    [ids] = reference_ids(checkpoint.read(str(folder)), ["</s> or <s>"])
    assert (ids.count(CLS), ids.count(SEP)) == (1, 1)
