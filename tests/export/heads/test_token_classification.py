"""The head of token classification, and entities as transformers' own pipeline finds them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    BigBirdForTokenClassification,
    LongformerForTokenClassification,
    TokenClassificationPipeline,
)

from sparkclin.export.errors import CheckpointError
from sparkclin.export.heads.labels import labels_of
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.heads import reference_logits
from sparkclin.text.entities import OF_TRANSFORMERS, EntityOptions, kinds_of, merge_entities, plan_entities
from sparkclin.text.labels import LOGITS
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.pooling import PartOutput
from sparkclin.text.tokenization import tokenize
from sparkclin.text.windows import WindowOptions
from testkit.checkpoints import TEXTS, random_bigbird, random_checkpoint

LABELS = {0: "O", 1: "B-DRUG", 2: "I-DRUG", 3: "B-SIGN", 4: "I-SIGN"}
NOTES = [*TEXTS, "He's well.\n\nBP 120/80,  on aspirin (81mg)", "fever   \n  ,   \n\n pain  ", " ".join(TEXTS)]
MAKERS = {
    "longformer": partial(random_checkpoint, model_class=LongformerForTokenClassification, attention_window=8),
    "big_bird": partial(random_bigbird, model_class=BigBirdForTokenClassification),
}


@pytest.fixture(scope="module", params=MAKERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MAKERS[request.param](tmp_path_factory.mktemp("checkpoint"), id2label=LABELS)


def model_of(checkpoint: Path) -> Any:
    model = AutoModelForTokenClassification.from_pretrained(checkpoint)
    model.train(False)
    return model


def test_a_wrapped_model_is_compared_with_its_own_weights(checkpoint: Path, tmp_path: Path) -> None:
    wrapped = Path(copytree(checkpoint, tmp_path / "wrapped"))
    state = load_file(checkpoint / "model.safetensors")
    save_file({f"module.{name}": tensor for name, tensor in state.items()}, wrapped / "model.safetensors")
    row = np.array([0, 5, 6, 2], np.int32)
    ours, theirs = (reference_logits(TrainedModel.read(str(folder)), row) for folder in (wrapped, checkpoint))
    np.testing.assert_array_equal(ours, theirs)


def test_logits_are_those_of_transformers(checkpoint: Path) -> None:
    trained = TrainedModel.read(str(checkpoint))
    assert trained.head.labels == tuple(LABELS.values())
    [pieces] = PieceEncoder(trained.tokenizer_json).encode([" ".join(TEXTS)])
    row = np.array([[trained.config.cls_id, *pieces.ids, trained.config.sep_id]], np.int32)
    with torch.inference_mode():
        logits = model_of(checkpoint)(torch.from_numpy(row).long()).logits[0].numpy()
    states = trained.reference()(row, np.ones_like(row))[0].astype(np.float64)
    found = np.stack([trained.head.expected(state[None])[LOGITS] for state in states])
    np.testing.assert_allclose(found, logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("aggregation", OF_TRANSFORMERS)
def test_entities_are_those_of_transformers_pipeline(checkpoint: Path, aggregation: str) -> None:
    trained, model = TrainedModel.read(str(checkpoint)), model_of(checkpoint)
    theirs = TokenClassificationPipeline(
        model=model, tokenizer=AutoTokenizer.from_pretrained(checkpoint), aggregation_strategy=aggregation
    )
    encoder = PieceEncoder(trained.tokenizer_json)
    options = EntityOptions(labels=trained.head.labels, aggregation=aggregation, unknown_id=encoder.unknown_id)
    windows = WindowOptions(max_pieces=trained.config.max_pieces, stride=0)
    notes = tokenize(NOTES, [()] * len(NOTES), encoder=encoder, options=windows)
    total = 0
    for text, note in zip(NOTES, notes, strict=True):
        ids = torch.tensor([[trained.config.cls_id, *note.pieces.ids.tolist(), trained.config.sep_id]])
        with torch.inference_mode():
            logits = model(ids).logits[0].numpy()
        plan = plan_entities(note, options=options)
        parts = [PartOutput(part.segment, 1, logits[part.begin]) for part in plan.parts]
        found = merge_entities(plan.segments, parts, options=options)
        expected = [entity for entity in theirs(text) if text[entity["start"] : entity["end"]].strip()]
        kinds = [kinds_of(options.labels)[int(entity.vector[0])] for entity in found]  # type: ignore[index]
        assert [(kind, e.begin, e.end) for kind, e in zip(kinds, found, strict=True)] == [
            (e["entity_group"], *without_space(text, e)) for e in expected
        ]
        scores = [entity.vector[1] for entity in found]  # type: ignore[index]
        np.testing.assert_allclose(scores, [e["score"] for e in expected], atol=1e-6)
        total += len(found)
    assert total >= 5


def without_space(text: str, entity: dict[str, Any]) -> tuple[int, int]:
    """An entity's range. There, unlike in ours, a piece may have white space at its ends."""
    found = text[entity["start"] : entity["end"]]
    return entity["start"] + len(found) - len(found.lstrip()), entity["end"] - len(found) + len(found.rstrip())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "no id2label"),
        ({"id2label": {}}, "no id2label"),
        ({"id2label": {"0": "O", "2": "X"}}, r"the numbers are \[0, 2\], expected 0 to 1"),
        ({"id2label": {"0": "O", "1": "O"}}, "more than one number has the label O"),
        ({"id2label": {"0": "O", "1": "X"}, "label2id": {"O": 1, "X": 0}}, "label2id has other numbers"),
    ],
)
def test_labels_that_contradict_themselves_are_refused(config: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        labels_of(config)
