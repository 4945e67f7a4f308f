"""The heads of classification and question answering: their graphs against transformers' classes, at every path of the
attention, alone and batched, with every engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import (
    BigBirdForQuestionAnswering,
    BigBirdForSequenceClassification,
    LongformerForQuestionAnswering,
    LongformerForSequenceClassification,
    LongformerForTokenClassification,
    LongformerModel,
)

from sparkclin.export.engines import SPARK_NLP_EXPORTERS
from sparkclin.export.errors import CheckpointError
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.expected import lengths_of
from sparkclin.export.verify.heads import compare_logits
from sparkclin.export.verify.samples import Batch
from sparkclin.text.segments import SegmentPart
from sparkclin.wire.packed import concatenated, tagged
from testkit.checkpoints import random_bigbird, random_checkpoint
from tests.export.graphs import open_graph

LABELS = {0: "calm", 1: "worse", 2: "better"}

# Windows of 16: rows of up to 9 pieces see all, up to 26 dense attention, beyond go in blocks of 64.
MAKERS: dict[str, Callable[..., Path]] = {
    "longformer, classification": partial(
        random_checkpoint,
        model_class=LongformerForSequenceClassification,
        attention_window=16,
        id2label=LABELS,
        positions=420,
    ),
    "longformer, questions": partial(
        random_checkpoint,
        model_class=LongformerForQuestionAnswering,
        attention_window=[16, 8],
        sep_token_id=2,
        positions=420,
    ),
    "big_bird, classification": partial(
        random_bigbird, model_class=BigBirdForSequenceClassification, id2label=LABELS, max_position_embeddings=420
    ),
    "big_bird, questions": partial(
        random_bigbird, model_class=BigBirdForQuestionAnswering, max_position_embeddings=420
    ),
}
LENGTHS = (16, 24, 27, 28, 29, 64, 129, 200, 400)


@pytest.fixture(scope="module", params=MAKERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MAKERS[request.param](tmp_path_factory.mktemp("checkpoint"))


def reference_of(folder: Path, trained: TrainedModel) -> Callable[[Any], Any]:
    """A row's logits by transformers' own class, which knows by itself what has global attention; the row alone, by a
    model that has read nothing else."""

    def run(row: Any) -> Any:
        model = getattr(transformers, trained.spec.auto_class or "").from_pretrained(folder)
        model.train(False)
        with torch.inference_mode():
            return trained.spec.logits(model(torch.from_numpy(row[None]).long())).numpy()

    return run


@pytest.mark.parametrize("engine", SPARK_NLP_EXPORTERS)
def test_logits_are_those_of_transformers(checkpoint: Path, engine: str, tmp_path: Path) -> None:
    trained = TrainedModel.read(str(checkpoint))
    SPARK_NLP_EXPORTERS[engine].graphs().write(tmp_path, trained.body(), precision="fp32")
    run, reference = open_graph(tmp_path, engine=engine), reference_of(checkpoint, trained)
    generator = np.random.default_rng(0)
    of_first = len(reference(row_of(trained, generator, 16))) == 1
    for length in LENGTHS:
        batch = Batch.random(generator, length=length, config=trained.config, separators=trained.ends.separators)
        rows = [row for row in batch.rows() if len(row) >= 12]
        found = packed_logits(run, trained, rows, only_first=of_first)
        for row, ours in zip(rows, found, strict=True):
            theirs = reference(row)[: len(ours)]
            kept = theirs.max(axis=1) > -1e5  # BigBird's class leaves the question out
            np.testing.assert_allclose(ours[kept], theirs[kept], atol=1e-4, rtol=0, err_msg=str(length))


def row_of(trained: TrainedModel, generator: np.random.Generator, length: int) -> Any:
    return Batch.random(generator, length=length, config=trained.config, separators=trained.ends.separators).ids[0]


def packed_logits(run: Any, trained: TrainedModel, rows: list[Any], *, only_first: bool) -> list[Any]:
    """Each row's logits, of its first position or of all but the last, by one packed batch."""
    vocabulary = trained.config.vocabulary
    sizes = [1 if only_first else len(row) - 1 for row in rows]
    parts = [[SegmentPart(0, at, at + 1, at) for at in range(size)] for size in sizes]
    sent = concatenated(
        [tagged(row[1:-1], of_row, vocabulary) for row, of_row in zip(rows, parts, strict=True)], vocabulary, request=0
    )
    packed = np.array([[vocabulary.n_tagged, *sent, vocabulary.n_tagged + 1]], np.int32)
    [output] = trained.head.outputs
    numbers = run(packed, np.ones_like(packed)).reshape(-1, output.size)
    return np.split(numbers, np.cumsum(sizes)[:-1])


def test_verification_compares_the_head_with_transformers(checkpoint: Path) -> None:
    trained = TrainedModel.read(str(checkpoint))
    lengths = lengths_of(trained)
    compared = list(compare_logits(trained, np.random.default_rng(1), lengths=lengths[-2:]))
    for _, ours, theirs in compared:
        assert len(theirs)
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("engine", SPARK_NLP_EXPORTERS)
@pytest.mark.parametrize("choice", ["first", "question"])
@pytest.mark.parametrize("model_class", [LongformerModel, LongformerForTokenClassification])
def test_a_user_may_choose_global_attention(
    model_class: type[transformers.PreTrainedModel], choice: str, engine: str, tmp_path: Path
) -> None:
    """The states of all pieces are those of transformers, told by its mask; without it they are others."""
    folder = random_checkpoint(
        tmp_path / "checkpoint", model_class=model_class, attention_window=16, id2label=LABELS, positions=420
    )
    trained = TrainedModel.read(str(folder), global_attention=choice)
    assert trained.config.global_attention == choice
    SPARK_NLP_EXPORTERS[engine].graphs().write(tmp_path / "graph", trained.body(), precision="fp32")
    run = open_graph(tmp_path / "graph", engine=engine, states=True)
    without = TrainedModel.read(str(folder)).reference()
    for length in (20, 60, 300):
        row = row_of(trained, np.random.default_rng(length), length)[None]
        expected = trained.reference()(row, np.ones_like(row))
        np.testing.assert_allclose(run(row, np.ones_like(row)), expected, atol=1e-4, rtol=0)
        assert np.abs(expected - without(row, np.ones_like(row))).max() > 1e-2


def test_a_checkpoint_without_global_projections_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = random_checkpoint(tmp_path, model_class=LongformerForSequenceClassification, id2label=LABELS)
    state = {
        name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if "key_global" not in name
    }
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"missing .*key_global\.weight"):
        TrainedModel.read(str(folder))


def test_bigbird_has_no_global_attention_to_choose(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="BigBird's is its first and last block, always"):
        TrainedModel.read(str(random_bigbird(tmp_path)), global_attention="first")
