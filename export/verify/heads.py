"""A head's outputs against those of transformers' own class, of the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from export.engines import Ids
from export.trained import TrainedModel
from export.verify.samples import Batch

Logits = npt.NDArray[np.float64]


def reference_logits(trained: TrainedModel, row: Ids) -> Logits:
    """A row (P,) -> the logits of each position (P, labels), by a model that has read no other row.

    A BigBird model that has once read a short row keeps full attention for good.
    """
    import torch
    import transformers

    assert trained.spec.auto_class is not None
    model: Any = getattr(transformers, trained.spec.auto_class).from_pretrained(trained.source.folder)
    model.train(False)
    behind = (0, -len(row) % trained.family.row_multiple(trained.source.config))
    ids, mask = np.pad(row, behind, constant_values=trained.config.pad_id), np.pad(np.ones_like(row), behind)
    with torch.inference_mode():
        output = model(torch.from_numpy(ids[None]).long(), attention_mask=torch.from_numpy(mask[None]).long())
    logits: Logits = output.logits[0, : len(row)].numpy().astype(np.float64)
    return logits


def compare_logits(
    trained: TrainedModel, generator: np.random.Generator, *, lengths: Sequence[int]
) -> Iterator[tuple[int, Logits, Logits]]:
    """Of a random row of each length: the length, our logits of the reference's states, and transformers' logits."""
    reference = trained.reference()
    [output] = trained.head.outputs
    for length in lengths:
        [row, _] = Batch.random(generator, length=length, config=trained.config).ids
        states = reference(row[None], np.ones_like(row[None]))[0].astype(np.float64)
        ours = np.stack([trained.head.expected(state[None])[output.name] for state in states])
        yield length, ours, reference_logits(trained, row)


def labels_differ(ours: Logits, theirs: Logits, *, limit: float) -> int:
    """At how many positions another label is largest, where transformers' two largest are more than `limit` apart."""
    largest = np.sort(theirs, axis=1)
    is_clear = (largest[:, -1] - largest[:, -2] > limit) if theirs.shape[1] > 1 else np.ones(len(theirs), bool)
    return int((is_clear & (ours.argmax(axis=1) != theirs.argmax(axis=1))).sum())
