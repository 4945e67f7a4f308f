"""A head's outputs against those of transformers' own class, of the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sparkclin.export.engines import Ids
from sparkclin.export.errors import CheckpointError
from sparkclin.export.families.family import Reference
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.samples import Batch

Logits = npt.NDArray[np.float64]

LEFT_OUT = -1e5
"""Below this are the logits of what a class leaves out, as BigBirdForQuestionAnswering the pieces of the question."""


def reference_logits(trained: TrainedModel, row: Ids) -> Logits:
    """A row (P,) -> the logits of its first positions, (positions, numbers), by a model that has read no other row.

    A BigBird model that has once read a short row keeps full attention for good.
    """
    import torch
    import transformers

    assert trained.spec.auto_class is not None
    config = transformers.AutoConfig.for_model(**trained.source.config)  # with the labels that the user states
    # From the tensors as they were read: transformers does not know the prefixes of wrapped models.
    state = {name: torch.from_numpy(array) for name, array in trained.source.tensors.items()}
    model_class: Any = type(getattr(transformers, trained.spec.auto_class).from_config(config))
    model = model_class.from_pretrained(None, config=config, state_dict=state)
    model.train(False)
    behind = (0, -len(row) % trained.family.row_multiple(trained.source.config))
    ids, mask = np.pad(row, behind, constant_values=trained.config.pad_id), np.pad(np.ones_like(row), behind)
    rows = torch.from_numpy(ids[None]).long()
    chosen = trained.family.global_inputs(rows, trained.config) if trained.global_attention else {}
    with torch.inference_mode():
        output = model(rows, attention_mask=torch.from_numpy(mask[None]).long(), **chosen)
    logits: Logits = trained.spec.logits(output)[: len(row)].numpy().astype(np.float64)
    return logits


def separators_of(trained: TrainedModel) -> tuple[int, ...]:
    """Return the ids between a question and a text, for a head that reads them. Raises CheckpointError if the tokenizer
    has none."""
    if not trained.spec.reads_pairs:
        return ()
    if not trained.ends.separators:
        raise CheckpointError(
            "The tokenizer has no rows of two texts, and this head reads a question and a text. Check the "
            "post_processor of tokenizer.json."
        )
    return trained.ends.separators


class ComparedLogits(NamedTuple):
    """Two kinds of logits of a random row of `length`: ours of the reference's states, and transformers' own."""

    length: int
    ours: Logits
    theirs: Logits


def compare_logits(
    trained: TrainedModel, generator: np.random.Generator, *, lengths: Sequence[int], reference: Reference | None = None
) -> Iterator[ComparedLogits]:
    """At each length."""
    reference = reference or trained.reference()
    [output] = trained.head.outputs
    for length in lengths:
        batch = Batch.random(generator, length=length, config=trained.config, separators=separators_of(trained))
        row = batch.ids[0]
        states = reference(row[None], np.ones_like(row[None]))[0].astype(np.float64)
        theirs = reference_logits(trained, row)
        ours = np.stack([trained.head.expected(state[None])[output.name] for state in states[: len(theirs)]])
        is_left = theirs.max(axis=1) > LEFT_OUT
        yield ComparedLogits(length, ours[is_left], theirs[is_left])


def labels_differ(ours: Logits, theirs: Logits, *, limit: float) -> int:
    """At how many positions another label is largest, where transformers' two largest are more than `limit` apart."""
    largest = np.sort(theirs, axis=1)
    is_clear = (largest[:, -1] - largest[:, -2] > limit) if theirs.shape[1] > 1 else np.ones(len(theirs), bool)
    return int((is_clear & (ours.argmax(axis=1) != theirs.argmax(axis=1))).sum())
