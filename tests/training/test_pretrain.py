"""Rows to train on, and a whole run of two steps."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
transformers = pytest.importorskip("transformers", reason="needs the train extra")

from sparkclin.errors import InputError, OptionError  # noqa: E402
from training.evaluate import IGNORED, MaskedRow, mask_rows, model_loss, unigram_loss  # noqa: E402
from training.pretrain import (  # noqa: E402
    PretrainOptions,
    TrainingRecord,
    finish,
    load_model,
    parse_options,
    pretrain,
)
from training.rows import EncodedNotes, PackedRows, encode_notes  # noqa: E402
from training.tokenizer import save_tokenizer, train_sentencepiece, train_tokenizer  # noqa: E402

TEXTS = [
    f"Patient {number} denies fever and chest pain. Continue aspirin {number * 7} mg daily." for number in range(8)
]


def encoded(*lengths: int) -> EncodedNotes:
    """Notes whose pieces are 0, 1, 2, … from the first note to the last."""
    return EncodedNotes(pieces=np.arange(sum(lengths), dtype=np.int32), ends=np.cumsum(lengths))


def packed(notes: EncodedNotes, *, length: int, rows: int, seed: int = 0) -> list[list[int]]:
    dataset = PackedRows(notes, length=length, rows=rows, seed=seed, special_ids=[])
    return [dataset[index]["input_ids"].tolist() for index in range(len(dataset))]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with notes.jsonl, config.json and a tokenizer."""
    tokenizer = train_tokenizer(TEXTS, vocab_size=300)
    config = transformers.LongformerConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        attention_window=[8],
        max_position_embeddings=66,
        type_vocab_size=1,
        pad_token_id=1,
    )
    return write_material(tmp_path_factory.mktemp("material"), tokenizer, config)


@pytest.fixture(scope="module")
def bigbird_material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of BigBird; rows of 64 pieces go in blocks of 4."""
    tokenizer = train_sentencepiece(TEXTS, vocab_size=100)
    config = transformers.BigBirdConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        block_size=4,
        num_random_blocks=1,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return write_material(tmp_path_factory.mktemp("bigbird"), tokenizer, config)


def write_material(folder: Path, tokenizer: Any, config: Any) -> Path:
    lines = [json.dumps({"note_id": f"n{number}", "text": text}) + "\n" for number, text in enumerate(TEXTS)]
    (folder / "notes.jsonl").write_text("".join(lines), encoding="utf-8")
    save_tokenizer(tokenizer, folder / "tokenizer")
    (folder / "config.json").write_text(config.to_json_string(), encoding="utf-8")
    return folder


def options(material: Path, folder: Path, **changes: object) -> PretrainOptions:
    values: dict[str, object] = {
        "notes": material / "notes.jsonl",
        "output": folder / "out",
        "work": folder / "work",
        "config": material / "config.json",
        "tokenizer": material / "tokenizer",
        "steps": 2,
        "save_steps": 1,
        "warm_up": 1,
        "length": 64,
        "held_out": 0.4,
        "bf16": False,
    }
    return PretrainOptions(**{**values, **changes})  # type: ignore[arg-type]


def test_a_pass_has_every_piece_once() -> None:
    rows = packed(encoded(5, 9, 2, 8), length=6, rows=4)
    assert sorted(chain.from_iterable(rows)) == list(range(24))


def test_notes_stay_whole_within_a_row() -> None:
    """Neighbours in a row are neighbours in a note, but where one note ends and the next one starts."""
    notes = encoded(5, 9, 2, 8)
    starts = {0, 5, 14, 16}
    for row in packed(notes, length=6, rows=40):
        assert all(after == before + 1 or after in starts for before, after in pairwise(row))


def test_passes_differ_and_runs_do_not() -> None:
    notes = encoded(5, 9, 2, 8)
    rows = packed(notes, length=6, rows=8)
    assert rows[:4] != rows[4:]
    assert rows == packed(notes, length=6, rows=8)
    assert rows != packed(notes, length=6, rows=8, seed=1)


def test_every_piece_comes_to_every_position() -> None:
    rows = np.array(packed(encoded(3, 4), length=7, rows=400))
    assert all(set(rows[:, position]) == set(range(7)) for position in range(7))


def test_rows_longer_than_all_notes_repeat_them() -> None:
    (row,) = packed(encoded(2, 2), length=10, rows=1)
    assert len(row) == 10
    assert set(row) == {0, 1, 2, 3}


def test_no_notes_is_an_error(material: Path) -> None:
    with pytest.raises(InputError, match="no notes"):
        encode_notes([], transformers.AutoTokenizer.from_pretrained(material / "tokenizer"))


def test_masked_pieces_loss_is_transformers_loss(material: Path, tmp_path: Path) -> None:
    model = load_model(options(material, tmp_path), vocab_size=0).eval()  # no dropout
    plain = finish(model, copy_global=False).eval()
    ids = torch.arange(4, 36)[None]
    labels = torch.where(torch.arange(32) % 5 == 0, ids, IGNORED)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    expected = plain(**batch).loss.item()
    assert model(**batch).loss.item() == pytest.approx(expected, abs=1e-6)
    assert model_loss(plain, [MaskedRow(input_ids=ids, labels=labels)]) == pytest.approx(expected, abs=1e-6)
    # 7 masked pieces here, 14 in a step of two such batches: each batch brings half of the step's mean
    assert model(**batch, num_items_in_batch=14).loss.item() == pytest.approx(expected / 2, abs=1e-6)


def test_loss_is_a_mean_over_pieces_not_over_rows(material: Path, tmp_path: Path) -> None:
    model = finish(load_model(options(material, tmp_path), vocab_size=0), copy_global=False)
    ids = torch.arange(4, 36)[None]
    rows = [MaskedRow(input_ids=ids, labels=torch.where(torch.arange(32) < masked, ids, IGNORED)) for masked in (1, 20)]
    each = [model_loss(model, [row]) for row in rows]
    assert model_loss(model, rows) == pytest.approx((each[0] + 20 * each[1]) / 21, abs=1e-5)


def test_masks_are_the_same_for_a_seed_and_long_notes_are_cut_nowhere(material: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(material / "tokenizer")
    notes = encode_notes([" ".join(TEXTS)], tokenizer)
    rows, again = (list(mask_rows(notes, tokenizer, max_length=64, seed=3)) for _ in range(2))
    assert len(rows) > 1
    assert all(torch.equal(a.labels, b.labels) for a, b in zip(rows, again, strict=True))
    assert sum(row.labels.shape[1] - 2 for row in rows) == len(notes.pieces) - 2
    assert max(row.labels.shape[1] for row in rows) == 64


def test_unigram_loss_is_the_cross_entropy_of_the_counts() -> None:
    notes = EncodedNotes(pieces=np.array([4, 4, 4, 5], dtype=np.int32), ends=np.array([4]))
    # Counts with one added: 4 for piece 4, 2 for piece 5, 1 for each of the other four
    assert unigram_loss(notes, torch.tensor([4, 5]), vocab_size=6) == pytest.approx(-np.log([0.4, 0.2]).mean())


@dataclass(frozen=True)
class Trained:
    """A run of two steps."""

    folder: Path
    options: PretrainOptions
    record: TrainingRecord


@pytest.fixture(scope="module")
def trained(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    first = options(material, folder)
    return Trained(folder, first, pretrain(first))


def test_two_steps_write_a_checkpoint_that_loads(trained: Trained) -> None:
    output, record = trained.options.output, trained.record
    model, report = transformers.LongformerForMaskedLM.from_pretrained(output, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert model.config.architectures == ["LongformerForMaskedLM"]
    attention = model.longformer.encoder.layer[0].attention.self
    assert torch.equal(attention.query_global.weight, attention.query.weight)
    assert record.pieces_seen == 2 * 64
    assert record.held_out_loss is not None
    written = (output / "training.json").read_text(encoding="utf-8")
    assert json.loads(written)["steps"] == 2
    assert str(trained.folder) not in written


def test_a_bigbird_is_trained_in_blocks_and_measured_at_each_rows_own_length(
    bigbird_material: Path, tmp_path: Path
) -> None:
    record = pretrain(options(bigbird_material, tmp_path))
    model = transformers.BigBirdForMaskedLM.from_pretrained(tmp_path / "out")
    assert model.config.attention_type == "block_sparse"
    held_out = record.held_out_loss
    assert held_out is not None
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    rows = list(mask_rows(encode_notes([" ".join(TEXTS), TEXTS[0]], tokenizer), tokenizer, max_length=64, seed=3))
    shorter_last = sorted(rows, key=lambda row: -row.labels.shape[1])
    assert shorter_last[0].labels.shape[1] == 64
    fresh = transformers.BigBirdForMaskedLM.from_pretrained(tmp_path / "out")
    assert model_loss(model, shorter_last) == pytest.approx(model_loss(fresh, shorter_last[::-1]), abs=1e-6)


def test_bf16_of_a_bigbird_is_refused(bigbird_material: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="give --no-bf16"):
        load_model(options(bigbird_material, tmp_path, bf16=True), vocab_size=0)


def test_another_kind_of_model_is_refused(material: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(transformers.BertConfig().to_json_string(), encoding="utf-8")
    with pytest.raises(OptionError, match=r"model_type is 'bert'; expected one of longformer, big_bird"):
        load_model(options(material, tmp_path, config=config), vocab_size=0)


def test_a_resumed_run_goes_on_from_its_last_checkpoint(trained: Trained, tmp_path: Path) -> None:
    """With no step left to do it ends with that checkpoint's weights, whatever weights it would have started from."""
    resumed = replace(trained.options, output=tmp_path, resume=True, seed=5)
    pretrain(resumed)
    assert_weights_agree(trained.options.output, resumed.output, atol=0)


def test_a_run_can_start_from_a_checkpoint(material: Path, trained: Trained, tmp_path: Path) -> None:
    second = options(
        material, tmp_path, init=str(trained.options.output), config=None, tokenizer=None, lr=1e-9, weight_decay=0.0
    )
    pretrain(second)
    assert_weights_agree(trained.options.output, second.output, atol=1e-6)


def assert_weights_agree(first: Path, second: Path, *, atol: float) -> None:
    before, after = (transformers.LongformerForMaskedLM.from_pretrained(folder) for folder in (first, second))
    torch.testing.assert_close(before.state_dict(), after.state_dict(), rtol=0, atol=atol)


def test_more_positions_or_pieces_than_the_model_has_are_refused_together(material: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"9999 pieces.*length is 65, the model has 64"):
        load_model(options(material, tmp_path, length=65), vocab_size=9999)


def test_contradicting_options_are_told_together(material: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"either init.*steps is 0"):
        options(material, tmp_path, init="somewhere", steps=0)


def test_the_command_line_has_the_dataclass_defaults() -> None:
    parsed = parse_options(["notes.jsonl", "--output", "o", "--work", "w", "--init", "x"])
    assert parsed == PretrainOptions(notes=Path("notes.jsonl"), output=Path("o"), work=Path("w"), init="x")
