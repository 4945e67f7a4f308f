"""Random rows, and the forms in which they are sent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sparkclin.export.heads.embedding import EmbeddingHead
from sparkclin.export.verify.samples import Batch, PackedSample, some_parts, special_ids
from tests.export.graphs import CLS, PAD, SEP, SMALL


def random(length: int, *, separators: Sequence[int] = (), including: Sequence[int] = ()) -> Batch:
    generator = np.random.default_rng(0)
    return Batch.random(generator, length=length, config=SMALL, separators=separators, including=including)


@pytest.mark.parametrize(("length", "short"), [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4), (100, 50)])
def test_a_batch_is_a_full_row_and_one_of_half_its_length(length: int, short: int) -> None:
    batch = random(length)
    assert batch.ids.shape == batch.mask.shape == (2, length)
    assert batch.length == length
    assert batch.mask.tolist() == [[1] * length, [1] * short + [0] * (length - short)]
    assert [len(row) for row in batch.rows()] == [length, short]
    assert batch.ids[1, short:].tolist() == [PAD] * (length - short)
    for row in batch.rows():
        assert row[0] == CLS
        assert len(row) == 1 or row[-1] == SEP
        assert set(row[1:-1].tolist()) <= set(range(3, 10))


def test_all_ordinary_ids_occur() -> None:
    assert set(random(200).ids.reshape(-1).tolist()) == set(range(10))


@pytest.mark.parametrize(
    ("length", "behind", "behind_in_short"), [(12, 4, 2), (40, 11, 6), (80, 21, 11), (84, 21, 11), (200, 21, 21)]
)
def test_separators_stand_behind_a_quarter_and_twenty_at_most(length: int, behind: int, behind_in_short: int) -> None:
    full, short = random(length, separators=(SEP, SEP)).rows()
    assert np.flatnonzero(full == SEP).tolist() == [behind, behind + 1, length - 1]
    assert np.flatnonzero(short == SEP).tolist() == [behind_in_short, behind_in_short + 1, length // 2 - 1]


@pytest.mark.parametrize(
    ("length", "including", "found"),
    [
        (10, [7, 4], [4, 7]),
        (10, [9, 8, 7, 6, 5, 4], [4, 5, 6, 7, 8]),  # as many as half of the row holds
        (6, [CLS, 5, PAD, 4, SEP], [4, 5]),  # special pieces are there anyway
        (10, [], []),
    ],
)
def test_a_full_row_ends_with_what_it_is_to_include(length: int, including: list[int], found: list[int]) -> None:
    full = random(length, including=including).ids[0].tolist()
    assert full[length - 1 - len(found) :] == [*found, SEP]


def batch_of(*rows: list[int]) -> Batch:
    longest = max(map(len, rows))
    ids = np.array([row + [PAD] * (longest - len(row)) for row in rows], np.int32)
    mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in rows], np.int32)
    return Batch(ids=ids, mask=mask, config=SMALL)


def test_codes_are_the_ids_behind_the_vocabulary_and_special_pieces_are_themselves() -> None:
    batch = batch_of([CLS, 5, 9, SEP], [CLS, SEP])
    assert batch.codes().tolist() == [[CLS, 15, 19, SEP], [CLS, SEP, PAD, PAD]]


def test_vectors_of_padding_are_left_out() -> None:
    vectors = np.arange(2 * 3 * 1, dtype=np.float32).reshape(2, 3, 1)
    first, second = batch_of([CLS, 5, SEP], [CLS, SEP]).real(vectors)
    assert (first.tolist(), second.tolist()) == ([[0.0], [1.0], [2.0]], [[3.0], [4.0]])


def test_windows_are_rows_with_a_piece_without_their_end() -> None:
    assert batch_of([CLS, 5, 6, SEP], [CLS, 7, SEP]).windows() == [[CLS, 5, 6], [CLS, 7]]
    assert batch_of([CLS, 5, 6, SEP], [CLS, SEP]).windows() == [[CLS, 5, 6]]


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (2, [(0, 1)]),
        (3, [(0, 1)]),
        (4, [(0, 1), (1, 2), (3, 3)]),
        (7, [(0, 1), (1, 3), (3, 4), (5, 6)]),
        (13, [(0, 1), (1, 5), (5, 8), (9, 12)]),
    ],
)
def test_parts_are_thirds_of_a_row_and_leave_a_piece_out(length: int, expected: list[tuple[int, int]]) -> None:
    there = [(begin, end) for begin, end in expected if begin < end]
    with_cls, without = (some_parts(length, with_cls=with_cls) for with_cls in (True, False))
    assert [(part.begin, part.end) for part in with_cls] == there
    assert without == with_cls[1:]


def test_a_packed_sample_stands_between_the_hosts_own_ids_with_its_request_and_its_number_of_rows() -> None:
    sample = PackedSample.of(batch_of([CLS, 3, 4, 5, 6, SEP], [CLS, 7, SEP]), request=2)
    vocabulary = SMALL.vocabulary
    [ids] = sample.ids.tolist()
    assert sample.mask.tolist() == [[1] * len(ids)]
    assert (ids[0], ids[-1]) == (vocabulary.n_tagged, vocabulary.n_tagged + 1)
    assert ids[1:3] == [vocabulary.first_request + 2, 2]
    assert len(ids) == 3 + 2 * 6 + 1
    assert [piece % 10 for piece in ids[3:-1]] == [CLS, 3, 4, 5, 6, SEP, CLS, 7, SEP, PAD, PAD, PAD]
    assert [[piece % 10 for piece in row.tolist()] for row in sample.rows] == [[CLS, 3, 4, 5, 6, SEP], [CLS, 7, SEP]]
    untold = PackedSample.of(batch_of([CLS, 3, 4, 5, 6, SEP], [CLS, 7, SEP]), request=None)
    assert untold.ids[0, 1:-1].tolist() == ids[3:-1]


def test_expected_outputs_are_those_of_each_part_in_order() -> None:
    """A row of 6: the first special piece, positions 1, none, and 4; the second row has one piece."""
    sample = PackedSample.of(batch_of([CLS, 3, 4, 5, 6, SEP], [CLS, 7, SEP]))
    parts = [[(part.begin, part.end) for part in of_row] for of_row in sample.parts]
    vectors = np.random.default_rng(0).normal(size=(2, 6, 2)).astype(np.float32)
    states = [vectors[row, begin:end] for row, of_row in enumerate(parts) for begin, end in of_row]
    assert parts[0][0] == (0, 1)
    assert len(states) >= 3
    head = EmbeddingHead(width=2)
    both = sample.expected(vectors, head, wanted=["max", "mean"])
    np.testing.assert_allclose(both, [[*state.max(axis=0), *state.mean(axis=0)] for state in states], rtol=1e-6)
    only = sample.expected(vectors, head, wanted=["mean"])
    np.testing.assert_allclose(only, [state.mean(axis=0) for state in states], rtol=1e-6)
    assert only.dtype == np.float64


def test_special_ids_are_those_of_the_ends_and_of_padding() -> None:
    assert sorted(special_ids(SMALL)) == [CLS, PAD, SEP]
