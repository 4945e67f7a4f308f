"""The demo model's entities by Spark NLP's own pipeline: others than those of the right ids, and scored like them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sparkclin.models.pretrained import DEMO_MODELS
from testkit.demo import NER_MODEL
from training.stock_entities import main

TEXT = "Hypertension induced by cocaine and lithium; breast cancer was seen."


@pytest.mark.usefixtures("spark")
def test_entities_are_written_with_their_offsets(tmp_path: Path) -> None:
    notes = tmp_path / "notes.jsonl"
    records = [{"note_id": "n", "text": TEXT}, {"note_id": "none", "text": "No."}]
    notes.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    output = tmp_path / "entities.parquet"
    options = ["--models", str(DEMO_MODELS), "--model", NER_MODEL, "--engine", "onnx", "--output", str(output)]
    assert main([str(notes), *options]) == 0
    rows = pd.read_parquet(output)
    assert list(rows.columns) == ["note_id", "begin", "end", "label"]
    assert rows[rows.note_id == "none"].label.isna().tolist() == [True]
    found = rows.dropna().astype({"begin": int, "end": int})
    assert set(found.label) <= {"Chemical", "Disease"}
    words = {TEXT[begin:end] for begin, end in zip(found.begin.tolist(), found.end.tolist(), strict=True)}
    assert words == {"Hypertension", "cocaine", "lithium"}


@pytest.mark.usefixtures("spark")
def test_a_model_for_another_task_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--models", str(DEMO_MODELS), "--model", "clinical_longformer_demo", "--output", str(tmp_path / "o")]
    assert main([str(tmp_path / "notes.jsonl"), *options]) == 1
    assert "a model for the task 'embed'" in capsys.readouterr().err
