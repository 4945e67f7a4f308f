"""The references that all exports of a checkpoint are compared with. Each part is computed once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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


ADDED_TOKEN_FORMS = ("{0}", "well {0} {0}.", "({0}), x{0}y")
"""Places where a tokenizer may find an added token or miss it: alone, as a word, between marks, within a word."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """`notes` are those that a precision below fp32 is compared on."""

    trained: TrainedModel
    notes: Sequence[Note] = ()

    @cached_property
    def reference(self) -> Reference:
        """Return the reference for the graph's vectors."""
        return remembering(self.trained.reference())

    @cached_property
    def texts(self) -> list[str]:
        """The texts that ids are compared on."""
        return sample_texts(self.trained.added_tokens)

    @cached_property
    def ids(self) -> list[list[int]]:
        """The ids of these texts, by the Hugging Face tokenizer."""
        return reference_ids(self.trained.source, self.texts)

    @cached_property
    def logits(self) -> list[ComparedLogits]:
        """Return the logits of transformers' class with the head, at all lengths; nothing without such a class."""
        if not self.trained.spec.auto_class:
            return []
        generator, lengths = np.random.default_rng(SEED), lengths_of(self.trained)
        return list(compare_logits(self.trained, generator, lengths=lengths, reference=self.reference))

    @cached_property
    def ranges(self) -> dict[str, Array]:
        """Return the ranges of the inputs of each linear layer on notes, as input_ranges() gives them."""
        batches = note_batches(
            self.notes,
            tokenizer_json=self.trained.tokenizer_json,
            config=self.trained.config,
            separators=separators_of(self.trained),
            most_pieces=SAMPLE_PIECES,
        )
        return input_ranges(self.trained, (batch.ids for batch in batches))


def sample_texts(added_tokens: Iterable[str] = ()) -> list[str]:
    """Return made-up text with everything that is hard for a tokenizer, all of it joined to several windows' length,
    and each added token in each of ADDED_TOKEN_FORMS."""
    lines = (
        resources.files("sparkclin.export.verify")
        .joinpath("sample_texts.jsonl")
        .read_text(encoding="utf-8")
        .split("\n")
    )
    texts = [json.loads(line) for line in lines if line]
    tokens = list(added_tokens)
    of_tokens = ["\n".join(form.format(token) for token in tokens) for form in ADDED_TOKEN_FORMS]
    return [*texts, "\n".join(texts) * 10, *(of_tokens if tokens else [])]


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
