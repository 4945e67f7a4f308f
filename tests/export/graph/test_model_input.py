"""What a row says, of ids as they arrive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sparkclin.export.graph.encoder import EncoderConfig
from sparkclin.export.graph.model_input import ModelInput, read_input
from sparkclin.export.graph.ops import Ops, Tensor
from tests.export.graphs import CLS, PAD, SEP, SMALL, computed

CONFIG = replace(SMALL, first_position=4, padding_position=3, types=2)
ROWS = [[CLS, 5, PAD, 6, SEP, 7, PAD, PAD], [CLS, SEP, PAD, PAD, PAD, PAD, PAD, PAD]]
"""The first row has padding's id within it."""


def read(
    part: Callable[[ModelInput], Tensor], rows: list[list[int]], config: EncoderConfig = CONFIG
) -> list[list[int]]:
    found = computed(lambda ops, ids: part(read_input(ops, ids, config=config)), rows)
    return found.reshape(len(rows), -1).astype(int).tolist()


@pytest.mark.parametrize("tag", [0, 1, 2, 3])
def test_ids_are_pieces_whatever_tag_or_code_they_have(tag: int) -> None:
    assert read(lambda found: found.ids, (np.array(ROWS) + 10 * tag).tolist()) == ROWS


def test_padding_is_what_stands_behind_a_rows_last_piece() -> None:
    assert read(lambda found: found.visible, ROWS) == [[1] * 6 + [0] * 2, [1] * 2 + [0] * 6]
    assert read(lambda found: found.visible, [[PAD, PAD]]) == [[0, 0]]


def test_positions_count_from_the_first_and_padding_has_its_own() -> None:
    assert read(lambda found: found.positions, ROWS) == [[4, 5, 6, 7, 8, 9, 3, 3], [4, 5, 3, 3, 3, 3, 3, 3]]


def test_what_stands_behind_the_first_separator_is_of_type_1() -> None:
    typed = replace(CONFIG, has_token_types=True)
    rows = [[CLS, 5, SEP, 6, SEP, 7], [CLS, 5, 6, 7, 8, 9]]
    assert read(lambda found: found.token_types, rows, typed) == [[0, 0, 0, 1, 1, 1], [0] * 6]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("first", [[1], [1], [1], [1], [1]]), ("question", [[3], [1], [0], [0], [2]])],
)
def test_global_attention_is_that_of_the_first_piece_or_of_the_question(choice: str, expected: list[list[int]]) -> None:
    """A row whose first separator is its last piece has no question, nor has one without a separator."""
    rows = [
        [CLS, 5, 6, SEP, 7, SEP, PAD],
        [CLS, SEP, 7, PAD, PAD, PAD, PAD],
        [CLS, 5, 6, 7, 8, 9, SEP],
        [CLS, 5, 6, SEP, PAD, PAD, PAD],
        [CLS, 5, SEP, SEP, PAD, PAD, PAD],
    ]
    assert read(lambda found: found.n_global, rows, replace(CONFIG, global_attention=choice)) == expected


def test_what_a_model_does_not_have_is_not_computed() -> None:
    found: list[ModelInput] = []

    def body(ops: Ops, ids: Tensor) -> Tensor:
        found.append(read_input(ops, ids, config=CONFIG))
        return ids

    computed(body, ROWS)
    assert [(each.token_types, each.n_global) for each in found] == [(None, None)]
