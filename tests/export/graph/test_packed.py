"""The parts of the graph that read packed batches, each by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sparkclin.export.graph.ops import Ops, Tensor
from sparkclin.export.graph.packed import (
    Arrived,
    Segments,
    as_arrived,
    find_segments,
    find_surplus,
    id_at,
    is_packed,
    is_wanted,
    later,
    packed_or_rows,
    read_request,
    sooner,
    unpack,
    wanted_outputs,
    without_surplus,
)
from sparkclin.export.heads.embedding import EmbeddingHead
from sparkclin.wire.tags import BEGIN, INSIDE, OUTSIDE, Vocabulary
from tests.export.graphs import computed

CLS, PAD, SEP, SIZE = 0, 1, 2, 10
WORDS = Vocabulary(size=SIZE, cls_id=CLS, sep_id=SEP, pad_id=PAD)
PAIRS = {count: Vocabulary(size=SIZE, cls_id=CLS, sep_id=SEP, pad_id=PAD, separators=count) for count in (1, 2)}


def packed(rows: list[list[int]], *, request: int = 0) -> list[list[int]]:
    """Rows of tagged ids between what the host and the sender put around them."""
    flat = [piece for row in rows for piece in row]
    return [[WORDS.n_tagged, WORDS.first_request + request, len(rows), *flat, WORDS.n_tagged + 1]]


@pytest.mark.parametrize("first", [WORDS.n_tagged - 1, WORDS.n_tagged, WORDS.n_tagged + 1])
def test_a_packed_batch_is_known_by_its_first_id(first: int) -> None:
    ids = [[first, WORDS.first_request, 1, 5, WORDS.n_tagged]]
    [found] = computed(lambda ops, ids: is_packed(ops, ids, vocabulary=WORDS), ids)
    assert bool(found) is (first == WORDS.n_tagged)


@pytest.mark.parametrize(("index", "expected"), [(0, 7), (2, 9), (3, 4), (4, 0)])
def test_an_id_that_is_not_there_is_0(index: int, expected: int) -> None:
    assert computed(lambda ops, ids: id_at(ops, ids, index), [[7, 8, 9, 4]]).tolist() == [expected]


@pytest.mark.parametrize("rows", [[[11, 2, 3, 4]], [[11, 2], [13, 4]], [[1], [2], [3], [4]]])
def test_a_packed_batch_is_unpacked_into_its_rows(rows: list[list[int]]) -> None:
    def row_sums(ops: Ops, ids: Tensor) -> Tensor:
        return ops.sum(unpack(ops, ids, vocabulary=WORDS).ids, axis=1)

    assert computed(row_sums, packed(rows)).tolist() == [sum(row) for row in rows]
    assert (
        computed(lambda ops, ids: unpack(ops, ids, vocabulary=WORDS).ids, packed(rows)).tolist()
        == np.ravel(rows).tolist()
    )


def test_other_rows_stay_as_they_are() -> None:
    rows = [[5, 6, 7], [8, 9, 4]]
    assert computed(lambda ops, ids: unpack(ops, ids, vocabulary=WORDS).ids, rows).tolist() == [5, 6, 7, 8, 9, 4]


@pytest.mark.parametrize("request_number", [0, 1, 3, 31])
def test_the_request_counts_from_its_first_id(request_number: int) -> None:
    ids = packed([[5]], request=request_number)
    assert computed(lambda ops, ids: read_request(ops, ids, vocabulary=WORDS), ids).tolist() == [request_number]


@pytest.mark.parametrize(
    ("request_number", "wanted"), [(0, [1, 1, 1]), (1, [1, 0, 0]), (2, [0, 1, 0]), (4, [0, 0, 1]), (5, [1, 0, 1])]
)
def test_a_request_has_a_bit_per_output_and_0_is_for_all(request_number: int, wanted: list[int]) -> None:
    def bits(ops: Ops, ids: Tensor) -> Tensor:
        parts = [ops.reshape(ops.to_int(is_wanted(ops, id_at(ops, ids, 0), number)), (1,)) for number in range(3)]
        return ops.concat(parts, axis=0)

    assert computed(bits, [[request_number]]).tolist() == wanted


@pytest.mark.parametrize(
    ("move", "count", "expected"),
    [
        (sooner, 0, [[5, 6, 7], [8, 9, 4]]),
        (sooner, 1, [[6, 7, 1], [9, 4, 1]]),
        (sooner, 3, [[1, 1, 1], [1, 1, 1]]),
        (later, 0, [[5, 6, 7], [8, 9, 4]]),
        (later, 2, [[1, 1, 5], [1, 1, 8]]),
        (later, 4, [[1, 1, 1], [1, 1, 1]]),
    ],
)
def test_rows_move_by_a_number_of_positions(move: Callable[..., Tensor], count: int, expected: list[list[int]]) -> None:
    found = computed(lambda ops, ids: move(ops, ids, count, value=1), [[5, 6, 7], [8, 9, 4]])
    assert found.reshape(2, 3).tolist() == expected


def states_of(ops: Ops, ids: Tensor) -> Tensor:
    """(R, P, 2): the piece and ten times the piece."""
    pieces = ops.reshape(ops.to_float(ops.mod(ids, SIZE)), (-1, ops.size(ids, axis=1), 1))
    return ops.concat([pieces, pieces * 10.0], axis=2)


def tagged(tag: int, piece: int) -> int:
    return tag * SIZE + piece


ROWS = [
    [tagged(OUTSIDE, 9), tagged(BEGIN, 3), tagged(INSIDE, 5), tagged(OUTSIDE, 9)],
    [tagged(BEGIN, 7), tagged(BEGIN, 4), tagged(OUTSIDE, PAD), tagged(OUTSIDE, PAD)],
]


def test_a_segment_part_begins_at_its_tag_and_positions_outside_belong_to_none() -> None:
    def segments(ops: Ops, ids: Tensor) -> Segments:
        return find_segments(ops, states_of(ops, ids), ids, vocabulary=WORDS)

    assert computed(lambda ops, ids: segments(ops, ids).count, ROWS).tolist() == [3]
    assert computed(lambda ops, ids: segments(ops, ids).index, ROWS).tolist() == [3, 0, 0, 3, 1, 2, 3, 3]
    states = computed(lambda ops, ids: segments(ops, ids).states, ROWS).reshape(-1, 2)
    assert states[:, 0].tolist() == [9, 3, 5, 9, 7, 4, 1, 1]
    assert states[:, 1].tolist() == [90, 30, 50, 90, 70, 40, 10, 10]


@pytest.mark.parametrize(
    ("request_number", "expected"),
    [
        (1, [[4, 40], [7, 70], [4, 40]]),
        (2, [[5, 50], [7, 70], [4, 40]]),
        (0, [[4, 40, 5, 50], [7, 70, 7, 70], [4, 40, 4, 40]]),
        (3, [[4, 40, 5, 50], [7, 70, 7, 70], [4, 40, 4, 40]]),
    ],
)
def test_what_is_wanted_comes_back_part_by_part(request_number: int, expected: list[list[float]]) -> None:
    """Mean and maximum of three segment parts."""

    def body(ops: Ops, ids: Tensor) -> Tensor:
        segments = find_segments(ops, states_of(ops, ids), ids, vocabulary=WORDS)
        request = ops.reshape(ops.range(1), ()) + request_number
        return wanted_outputs(ops, segments, request, EmbeddingHead(width=2))

    np.testing.assert_allclose(computed(body, ROWS), np.ravel(expected))


def whole(ops: Ops, ids: Tensor) -> Tensor:
    return packed_or_rows(
        ops, ids, vocabulary=WORDS, encode=lambda rows: states_of(ops, rows), head=EmbeddingHead(width=2)
    )


def test_a_graph_answers_packed_batches_with_outputs_and_rows_with_states() -> None:
    assert computed(whole, packed(ROWS, request=1)).tolist() == [4, 40, 7, 70, 4, 40]
    assert computed(whole, [[CLS, 5, SEP], [CLS, 6, SEP]]).tolist() == [0, 0, 5, 50, 2, 20, 0, 0, 6, 60, 2, 20]


def moved(ids: list[list[int]], vocabulary: Vocabulary, *, in_packed_batch: bool = False) -> list[list[int]]:
    """Rows without their surplus positions."""

    def body(ops: Ops, arrived: Tensor) -> Tensor:
        n_rows = len(ids) if in_packed_batch else 0
        found = Arrived(ids=arrived, is_packed=ops.equal(ops.size(arrived, axis=0), n_rows))
        return without_surplus(ops, arrived, find_surplus(ops, found, vocabulary=vocabulary), vocabulary=vocabulary)

    return computed(body, ids).reshape(len(ids), -1).astype(int).tolist()


def test_the_code_of_cls_in_second_place_takes_the_first_ones_place() -> None:
    rows = [[CLS, SIZE + CLS, 15, SEP], [CLS, 15, SIZE + CLS, SEP], [CLS, CLS, 15, SEP]]
    assert moved(rows, WORDS) == [[SIZE + CLS, 15, SEP, PAD], *rows[1:]]


@pytest.mark.parametrize(
    ("separators", "expected"),
    [(1, [CLS, 5, SEP, 16, 17, SEP, PAD, PAD]), (2, [CLS, 5, SEP, SEP, 16, 17, SEP, PAD])],
)
def test_separators_that_the_model_does_not_know_and_their_code_are_left_out(
    separators: int, expected: list[int]
) -> None:
    """Spark NLP puts two separators between a question and a text; the code of one more begins the text."""
    pair = [CLS, 5, SEP, SEP, SIZE + SEP, 16, 17, SEP]
    without = [CLS, 5, SEP, SEP, 16, SIZE + SEP, 17, SEP]  # not behind a separator
    assert moved([pair, without, pair], PAIRS[separators]) == [expected, without, expected]
    assert moved([pair, without], PAIRS[separators], in_packed_batch=True) == [pair, without]


def test_what_was_made_of_moved_rows_comes_back_where_their_pieces_arrived() -> None:
    """The third position was left out of the first row: there stands what its piece before has."""

    def body(ops: Ops, ids: Tensor) -> Tensor:
        arrived = Arrived(ids=ids, is_packed=ops.equal(ops.size(ids, axis=0), 99))
        surplus = find_surplus(ops, arrived, vocabulary=PAIRS[2])
        rows = without_surplus(ops, ids, surplus, vocabulary=PAIRS[2])
        return as_arrived(ops, states_of(ops, rows), surplus)

    rows = [[CLS, 5, SEP, SEP, SIZE + SEP, 16, 7, SEP], [CLS, 5, SEP, SEP, 8, 16, 7, SEP]]
    found = computed(body, rows).reshape(2, 8, 2)[..., 0].tolist()
    assert found[1] == [0, 5, 2, 2, 8, 6, 7, 2]
    assert found[0][:4] == [0, 5, 2, 2]
    assert found[0][5:] == [6, 7, 2]
    assert found[0][4] in (0, 2, 6)
