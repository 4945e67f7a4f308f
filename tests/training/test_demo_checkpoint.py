"""The checkpoint and the sample notes that ship are what training/README.md says."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers", reason="needs the train extra")

from sparkclin.evaluation.notes import read_notes  # noqa: E402
from training.pretrain import RECORD_FILE, TrainingRecord  # noqa: E402
from training.split import is_held_out  # noqa: E402

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "training" / "demo_checkpoint"
SAMPLES = ROOT / "sparkclin" / "demo" / "notes.jsonl"


@pytest.fixture(scope="module")
def record() -> dict[str, object]:
    loaded: dict[str, object] = json.loads((CHECKPOINT / RECORD_FILE).read_text(encoding="utf-8"))
    return loaded


def test_it_loads_whole_and_has_the_promised_size(record: dict[str, object]) -> None:
    model, report = transformers.LongformerForMaskedLM.from_pretrained(CHECKPOINT, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert (CHECKPOINT / "model.safetensors").stat().st_size < 20_000_000
    assert sum(parameter.numel() for parameter in model.parameters()) == record["parameters"]
    promised = transformers.LongformerConfig.from_json_file(ROOT / "training" / "demo.config.json").to_dict()
    made_by_saving = {"_name_or_path", "architectures", "dtype", "transformers_version"}
    found = model.config.to_dict()
    assert {name for name in promised if promised[name] != found[name]} <= made_by_saving


def test_its_tokenizer_fits_it() -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(CHECKPOINT)
    assert len(tokenizer) == 8000
    assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]) == [0, 1, 2, 3, 7999]


def test_its_record_is_complete_and_names_no_machine(record: dict[str, object]) -> None:
    assert set(record) == {field.name for field in fields(TrainingRecord)}
    assert not re.search(r"[\\/](tmp|work|home|root)", (CHECKPOINT / RECORD_FILE).read_text(encoding="utf-8"))


def test_it_was_not_trained_on_the_sample_notes(record: dict[str, object]) -> None:
    samples = read_notes(SAMPLES)
    assert len(samples) == 60
    share = record["held_out_share"]
    assert isinstance(share, float)
    assert all(is_held_out(note.note_id, share=share) for note in samples)
    assert all(note.title and note.specialties for note in samples)


def test_the_readme_has_the_recorded_figures(record: dict[str, object]) -> None:
    readme = (ROOT / "training" / "README.md").read_text(encoding="utf-8")
    loss = record["held_out_loss"]
    assert isinstance(loss, dict)
    for name in ("trained", "untrained", "unigram"):
        assert f"{loss[name]:.2f}" in readme
