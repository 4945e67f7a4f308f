"""The sizes of the models, and what a piece costs in them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.shape import BASE, TINY, Longformer, Shape, as_bigbird, make_checkpoint
from benchmarks.tasks import EMBED
from testkit.material import SHARED, read_material


def test_the_base_model_is_of_clinical_longformers_size() -> None:
    file = SHARED / "data" / "configs" / "clinical-longformer.config.json"
    if not file.is_file():
        pytest.skip("needs shared/data/configs beside the checkout")
    config = json.loads(file.read_text(encoding="utf-8"))
    assert config["num_hidden_layers"] == BASE.layers
    assert config["hidden_size"] == BASE.width
    assert config["num_attention_heads"] == BASE.heads
    assert config["intermediate_size"] == BASE.inner
    assert config["attention_window"] == [512] * BASE.layers
    assert BASE.family == Longformer(window=512)
    assert config["max_position_embeddings"] == BASE.positions
    assert config["vocab_size"] == BASE.vocab_size


def test_a_window_holds_what_the_positions_leave() -> None:
    assert BASE.max_pieces == 4094
    assert BASE.stride == 512
    assert 0 < TINY.stride < TINY.max_pieces


def test_a_piece_costs_its_projections_and_its_neighbours() -> None:
    shape = replace(BASE, layers=1, width=2, inner=3, family=Longformer(window=4))
    projections = 2 * (2 * 2) * 4 + 2 * (2 * 3) * 2
    assert shape.flops_per_piece([1]) == projections + 4 * 2 * 1
    assert shape.flops_per_piece([100]) == projections + 4 * 2 * 5
    # Of four pieces one has one neighbour and three have three.
    assert shape.flops_per_piece([1, 3]) == projections + 4 * 2 * (1 * 1 + 3 * 3) / 4


def test_pieces_with_global_attention_see_all_and_are_seen_by_all() -> None:
    assert Longformer(window=4).seen(100, n_global=2) == 2 * 100 + 98 * 7
    assert Longformer(window=4).seen(6, n_global=2) == 6 * 6
    shape = replace(BASE, layers=1)
    more = shape.flops(1024, n_global=1) - shape.flops(1024)
    assert more == 4 * 768 * (1024 + 1023 * 514 - 1024 * 513)


def test_a_bigbird_sees_five_blocks_of_a_long_row_and_all_of_a_short_one() -> None:
    shape = as_bigbird(BASE)
    assert (shape.max_row, BASE.max_row) == (4096, 4096)
    assert shape.family.seen(704) == 704 * 704
    assert shape.family.seen(4096) == 128 * 4096 + (4096 - 128) * 320
    with pytest.raises(ValueError, match="n_global is 1"):
        shape.family.seen(4096, n_global=1)


def test_a_shape_is_read_as_it_was_written() -> None:
    for shape in (BASE, as_bigbird(TINY)):
        assert Shape.from_dict(json.loads(json.dumps(asdict(shape)))) == shape


@pytest.mark.parametrize(("n_pieces", "limit"), [(22, 1110), (4094, 1000)])
def test_the_cost_gives_the_limits_that_were_calculated_before(n_pieces: int, limit: int) -> None:
    assert 189e9 / BASE.flops_per_piece([n_pieces]) == pytest.approx(limit, rel=0.01)


@pytest.mark.export
def test_a_checkpoint_is_the_same_every_time_and_made_once(tmp_path: Path) -> None:
    load_file = pytest.importorskip("safetensors.numpy").load_file
    tokenizer_json = read_material(Path("not there")).tokenizer_json
    first, second = tmp_path / "first", tmp_path / "second"
    make_checkpoint(first, shape=TINY, task=EMBED, tokenizer_json=tokenizer_json)
    make_checkpoint(second, shape=TINY, task=EMBED, tokenizer_json=tokenizer_json)

    weights, again = (load_file(folder / "model.safetensors") for folder in (first, second))
    assert all((weights[name] == again[name]).all() for name in weights)
    assert {folder.name for folder in tmp_path.iterdir()} == {"first", "second"}

    changed = (first / "config.json").stat().st_mtime_ns
    make_checkpoint(first, shape=TINY, task=EMBED, tokenizer_json=tokenizer_json)
    assert (first / "config.json").stat().st_mtime_ns == changed
