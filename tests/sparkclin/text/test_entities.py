"""Entities from the logits of pieces, by hand; transformers' own pipeline is compared in tests/export/heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sparkclin.errors import OptionError
from sparkclin.text.entities import EntityOptions, Tag, kinds_of, merge_entities, plan_entities
from sparkclin.text.pieces import Pieces
from sparkclin.text.pooling import PartOutput
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.text.windows import Range

LABELS = ("O", "B-DRUG", "I-DRUG", "B-SIGN", "I-SIGN")
TEXT = "took un known aspirin"
PIECES: list[Range] = [(0, 4), (5, 7), (8, 10), (10, 13), (14, 18), (18, 21)]
"""took | un | kn, own | aspi, rin"""


def note(*windows: Range) -> TokenizedNote:
    begins, ends = np.array(PIECES, np.int32).T
    numbers = np.arange(len(PIECES), dtype=np.int32)
    pieces = Pieces(ids=numbers, begins=begins, ends=ends, words=numbers)
    return TokenizedNote(pieces, windows or ((0, len(PIECES)),), (), text=TEXT)


def found(
    labels: Sequence[str], *, aggregation: str = "simple", known: tuple[str, ...] = LABELS, sure: float = 4.0
) -> list[tuple[str, str]]:
    """Kind and text of the entities where the pieces have these labels."""
    options = EntityOptions(labels=known, aggregation=aggregation)
    plan = plan_entities(note(), options=options)
    parts = [
        PartOutput(part.segment, 1, np.where(np.array(known) == label, sure + index / 8, 0.0))
        for index, (part, label) in enumerate(zip(plan.parts, labels, strict=True))
    ]
    entities = merge_entities(plan.segments, parts, options=options)
    assert all(entity.vector is not None and 0 < entity.vector[1] <= 1 for entity in entities)
    kinds = kinds_of(known)
    return [(kinds[int(entity.vector[0])], TEXT[entity.begin : entity.end]) for entity in entities]  # type: ignore[index]


def test_pieces_of_one_kind_are_one_entity() -> None:
    assert found(["O", "B-DRUG", "I-DRUG", "I-DRUG", "O", "O"]) == [("DRUG", "un known")]


def test_an_entity_begins_where_a_label_says_so() -> None:
    labels = ["O", "B-DRUG", "B-DRUG", "I-DRUG", "B-SIGN", "I-SIGN"]
    assert found(labels) == [("DRUG", "un"), ("DRUG", "known"), ("SIGN", "aspirin")]


def test_an_entity_needs_no_begin() -> None:
    assert found(["O", "O", "I-DRUG", "I-DRUG", "I-SIGN", "O"]) == [("DRUG", "known"), ("SIGN", "aspi")]


def test_labels_without_prefixes_go_on() -> None:
    known = ("O", "DRUG", "SIGN")
    assert found(["DRUG", "DRUG", "O", "SIGN", "SIGN", "DRUG"], known=known) == [
        ("DRUG", "took un"), ("SIGN", "own aspi"), ("DRUG", "rin"),
    ]  # fmt: skip


def test_bioes_labels_end_entities() -> None:
    known = ("O", "B-DRUG", "I-DRUG", "E-DRUG", "S-DRUG")
    labels = ["S-DRUG", "B-DRUG", "I-DRUG", "E-DRUG", "I-DRUG", "S-DRUG"]
    assert found(labels, known=known) == [("DRUG", "took"), ("DRUG", "un known"), ("DRUG", "aspi"), ("DRUG", "rin")]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("simple", [("DRUG", "kn"), ("SIGN", "own"), ("DRUG", "rin")]),
        ("first", [("DRUG", "known")]),
        ("max", [("SIGN", "known"), ("DRUG", "aspirin")]),
    ],
)
def test_a_word_has_the_label_of_its_first_or_surest_piece(aggregation: str, expected: list[tuple[str, str]]) -> None:
    """Later pieces are surer in these."""
    assert found(["O", "O", "B-DRUG", "I-SIGN", "O", "B-DRUG"], aggregation=aggregation) == expected


def test_an_average_is_of_probabilities() -> None:
    """Of 0.9, 0.1 and 0.4, 0.6 the means are 0.65 and 0.35; the second piece alone would say SIGN."""
    known = ("O", "DRUG", "SIGN")
    options = EntityOptions(labels=known, aggregation="average")
    plan = plan_entities(note(), options=options)
    logits = {2: [-99.0, np.log(0.9), np.log(0.1)], 3: [-99.0, np.log(0.4), np.log(0.6)]}
    parts = [
        PartOutput(part.segment, 1, np.array(logits.get(index, [9.0, 0.0, 0.0])))
        for index, part in enumerate(plan.parts)
    ]
    [entity] = merge_entities(plan.segments, parts, options=options)
    assert (entity.begin, entity.end) == (8, 13)
    assert entity.vector is not None
    np.testing.assert_allclose(entity.vector, [0, 0.65], atol=1e-6)


def test_the_score_is_the_mean_over_words() -> None:
    options = EntityOptions(labels=("O", "DRUG"))
    plan = plan_entities(note(), options=options)
    probabilities = [0.1, 0.6, 0.8, 0.1, 0.1, 0.1]
    parts = [PartOutput(part.segment, 1, np.log([1 - p, p])) for part, p in zip(plan.parts, probabilities, strict=True)]
    [entity] = merge_entities(plan.segments, parts, options=options)
    assert entity.vector is not None
    np.testing.assert_allclose(entity.vector, [0, 0.7], atol=1e-6)


@pytest.mark.parametrize("aggregation", ["simple", "first"])
def test_every_piece_is_asked_for_once_from_the_window_that_owns_it(aggregation: str) -> None:
    """Of the windows 0…4 and 2…6 the first owns the pieces 0, 1 and 2; `known` is in both, and is one word."""
    plan = plan_entities(note((0, 4), (2, 6)), options=EntityOptions(labels=LABELS, aggregation=aggregation))
    assert [(part.window, part.begin, part.end) for part in plan.parts] == [
        (0, 1, 2), (0, 2, 3), (0, 3, 4), (1, 2, 3), (1, 3, 4), (1, 4, 5),
    ]  # fmt: skip
    expected = [0, 1, 2, 3, 4, 5] if aggregation == "simple" else [0, 1, 2, 2, 3, 3]
    assert [part.segment for part in plan.parts] == expected


def test_a_note_without_pieces_has_no_entities() -> None:
    options = EntityOptions(labels=LABELS)
    empty = TokenizedNote(Pieces(*(np.empty(0, np.int32) for _ in range(4))), (), ())
    plan = plan_entities(empty, options=options)
    assert merge_entities(plan.segments, [], options=options) == []


def test_labels_are_taken_apart() -> None:
    assert Tag.of("B-DRUG") == Tag("DRUG", begins=True, ends=False)
    assert Tag.of("S-DRUG-X") == Tag("DRUG-X", begins=True, ends=True)
    assert Tag.of("HTTP-CODE") == Tag("HTTP-CODE", begins=False, ends=False)
    assert kinds_of(LABELS) == ("DRUG", "SIGN")


def test_an_unknown_aggregation_is_refused() -> None:
    with pytest.raises(
        OptionError, match="there is no aggregation 'median' of entities: expected one of simple, first, max, average"
    ):
        EntityOptions(labels=LABELS, aggregation="median")
