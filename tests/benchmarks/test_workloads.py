"""The rows: their lengths, the choice of few among many, and how they are dealt to tasks."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import mean

import pyarrow.dataset
import pytest
from tokenizers import Tokenizer

from benchmarks.workloads import (
    LONG,
    N_LONG,
    NOTES,
    SENTENCE_PIECES,
    SENTENCES,
    CountedText,
    deal,
    make_rows,
    sample,
    texts_of,
    write_rows,
)
from testkit.material import Material, mtsamples, read_material, roberta_tokenizer_json


@pytest.fixture(scope="module")
def demo() -> Material:
    return read_material(Path("not there"))


def rows_of(*lengths: int) -> list[CountedText]:
    return [CountedText(note_id=str(index), text=f"text {index}", n_pieces=n) for index, n in enumerate(lengths)]


def count(row: CountedText, tokenizer: Tokenizer) -> int:
    return len(tokenizer.encode(row.text, add_special_tokens=False).ids)


def test_the_demo_stands_in_where_shared_is_absent(demo: Material) -> None:
    assert demo.notes_source == "the demo's sample notes"
    assert demo.tokenizer_source == "the demo model's"
    assert len(demo.notes) == 60


def test_sentences_of_mtsamples_have_22_pieces() -> None:
    mtsamples(1)  # skips where it is absent
    roberta_tokenizer_json()
    material = read_material()
    rows = make_rows(SENTENCES, material.notes, tokenizer=material.tokenizer(), max_pieces=4094)
    assert mean(row.n_pieces for row in rows) == pytest.approx(22, abs=0.5)
    assert len(rows) > 10_000


@pytest.mark.parametrize("workload", [SENTENCES, NOTES, LONG])
def test_rows_say_how_many_pieces_their_texts_have(workload: str, demo: Material) -> None:
    tokenizer = demo.tokenizer()
    rows = make_rows(workload, demo.notes, tokenizer=tokenizer, max_pieces=510)[:100]
    assert [row.n_pieces for row in rows] == [count(row, tokenizer) for row in rows]
    assert max(row.n_pieces for row in rows) <= 510


def test_sentences_are_of_the_lengths_wanted(demo: Material) -> None:
    rows = make_rows(SENTENCES, demo.notes, tokenizer=demo.tokenizer(), max_pieces=510)
    assert {row.n_pieces for row in rows} <= set(SENTENCE_PIECES)
    assert len({row.note_id for row in rows}) == len(rows)


def test_long_texts_are_of_exactly_one_window(demo: Material) -> None:
    rows = make_rows(LONG, demo.notes, tokenizer=demo.tokenizer(), max_pieces=4094)
    assert {row.n_pieces for row in rows} == {4094}
    assert len(rows) == N_LONG


@pytest.mark.parametrize("n_pieces", [1, 2, 37, 509, 510, 511, 4094])
def test_a_text_has_exactly_the_pieces_that_were_asked_for(n_pieces: int, demo: Material) -> None:
    tokenizer = demo.tokenizer()
    rows = texts_of(n_pieces, demo.notes, count=5, tokenizer=tokenizer)
    assert [count(row, tokenizer) for row in rows] == [n_pieces] * 5


def test_a_small_sample_has_the_lengths_of_all() -> None:
    lengths = [round(random.Random(seed).lognormvariate(6, 0.8)) for seed in range(1000)]
    rows = rows_of(*lengths)
    for n in (10, 30, 200):
        chosen = sample(rows, n)
        assert len(chosen) == n
        assert mean(row.n_pieces for row in chosen) == pytest.approx(mean(lengths), rel=0.1)


def test_a_sample_larger_than_what_there_is_repeats_rows_under_new_ids() -> None:
    chosen = sample(rows_of(5, 6, 7), 9)
    assert sorted(row.n_pieces for row in chosen) == [5, 5, 5, 6, 6, 6, 7, 7, 7]
    assert len({row.note_id for row in chosen}) == 9


def test_parts_have_every_row_once_and_about_equal_pieces() -> None:
    rows = rows_of(100, *[1] * 100)
    parts = deal(rows, 2)
    assert sorted(row.note_id for part in parts for row in part) == sorted(row.note_id for row in rows)
    assert [sum(row.n_pieces for row in part) for part in parts] == [100, 100]


def test_a_part_is_not_sorted() -> None:
    (part,) = deal(rows_of(*range(1, 101)), 1)
    assert [row.n_pieces for row in part] not in (list(range(1, 101)), list(range(100, 0, -1)))


def test_no_part_is_empty() -> None:
    assert [len(part) for part in deal(rows_of(3, 4, 5), 8)] == [1, 1, 1]


def test_a_part_is_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    write_rows(rows_of(1, 2, 3, 4, 5), folder, parts=4)
    write_rows(rows_of(1, 2, 3, 4), folder, parts=2)
    assert len(list(folder.iterdir())) == 2
    written = pyarrow.dataset.dataset(folder, format="parquet").to_table()
    assert sorted(written["note_id"].to_pylist()) == ["0", "1", "2", "3"]
    assert sorted(written["n_pieces"].to_pylist()) == [1, 2, 3, 4]
