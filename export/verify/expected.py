"""What the exports of a checkpoint are held to: each part is computed once, however many exports there are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

import numpy as np

from sparkclin.evaluation.notes import Note
from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.families.family import Reference
from sparkclin.export.graph.ops import Array
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.heads import ComparedLogits, compare_logits, separators_of
from sparkclin.export.verify.quantization import note_batches
from sparkclin.export.verify.ranges import input_ranges
from sparkclin.export.verify.reference import reference_ids

SEED = 20220304

SAMPLE_PIECES = 40_000
"""Of the notes, that schemes of int8 are compared on. The one that is taken has to pass on all notes then."""

SHORTEST_PAIR = 16
"""Of a batch of rows that are a question and a text: the shorter one has half the length."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """`notes` are those that a precision below fp32 is compared on."""

    trained: TrainedModel
    notes: Sequence[Note] = ()

    @cached_property
    def reference(self) -> Reference:
        """What the graph's vectors are held to."""
        return remembering(self.trained.reference())

    @cached_property
    def ids(self) -> list[list[int]]:
        """Of sample_texts(), by the Hugging Face tokenizer."""
        return reference_ids(self.trained.source, sample_texts())

    @cached_property
    def logits(self) -> list[ComparedLogits]:
        """Of transformers' class with the head, at all lengths; none where the head has no such class."""
        if not self.trained.spec.auto_class:
            return []
        generator, lengths = np.random.default_rng(SEED), lengths_of(self.trained)
        return list(compare_logits(self.trained, generator, lengths=lengths, reference=self.reference))

    @cached_property
    def ranges(self) -> dict[str, Array]:
        """Of what meets each linear layer, on notes; as input_ranges() gives them."""
        batches = note_batches(
            self.notes,
            tokenizer_json=self.trained.tokenizer_json,
            config=self.trained.config,
            separators=separators_of(self.trained),
            most_pieces=SAMPLE_PIECES,
        )
        return input_ranges(self.trained, (batch.ids for batch in batches))


def sample_texts() -> list[str]:
    """Made-up text with everything that is hard for a tokenizer, and all of it joined to several windows' length."""
    lines = (
        resources.files("sparkclin.export.verify")
        .joinpath("sample_texts.jsonl")
        .read_text(encoding="utf-8")
        .split("\n")
    )
    texts = [json.loads(line) for line in lines if line]
    return [*texts, "\n".join(texts) * 10]


def lengths_of(trained: TrainedModel) -> list[int]:
    """The lengths to compare, in ids."""
    longest = trained.config.max_row
    shortest = SHORTEST_PAIR if trained.spec.reads_pairs else 0
    return sorted({*(length for length in trained.family.lengths if shortest <= length <= longest), longest})


def remembering(reference: Reference, *, most_bytes: int = 2**30) -> Reference:
    """The reference, which keeps its vectors, so that the same rows are not computed for every scheme and export."""
    kept: dict[bytes, Vectors] = {}
    held = 0

    def remembered(ids: Ids, mask: Ids) -> Vectors:
        nonlocal held
        key = ids.tobytes() + mask.tobytes()
        if key in kept:
            return kept[key]
        found = reference(ids, mask)
        if held + found.nbytes <= most_bytes:
            kept[key] = found
            held += found.nbytes
        return found

    return remembered
