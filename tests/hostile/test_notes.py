"""Notes that cannot be read, or that nobody has written: each has its row and says why."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkclin.commands import answer as answer_notes
from sparkclin.commands import classify as classify_notes
from sparkclin.commands import embed as embed_notes
from sparkclin.commands import ner as ner_notes

pytestmark = pytest.mark.usefixtures("spark")

TEXTS = [b"Fever and cough.", b"fi\xe8vre", b"\xed\xa0\x80 alone", b"", b" \n", None, b"word " * 3000, b"Chills."]
STATUSES = ["ok", "not_utf8", "not_utf8", "empty", "empty", "null", "too_long", "ok"]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Parquet whose column of texts has bytes that are none."""
    offsets = [0]
    for text in TEXTS:
        offsets.append(offsets[-1] + len(text or b""))
    valid = pa.array([text is not None for text in TEXTS]).buffers()[1]
    texts = pa.StringArray.from_buffers(
        len(TEXTS), pa.array(offsets, pa.int32()).buffers()[1], pa.py_buffer(b"".join(t or b"" for t in TEXTS)), valid
    )
    file = tmp_path / "notes.parquet"
    pq.write_table(pa.table({"note_id": [f"n{n}" for n in range(len(TEXTS))], "text": texts}), file)
    return file


def run(main: object, notes: Path, *more: str) -> tuple[dict[str, set[str]], dict[str, int]]:
    """The statuses of each note's rows, and those of the report."""
    output = notes.parent / "out"
    assert callable(main)
    assert main(["--input", str(notes), "--output", str(output), "--max-note-pieces", "2000", *more]) == 0
    rows = pq.read_table(output).to_pylist()
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["note_id"], set()).add(row["status"])
    return found, json.loads((output / "_report.json").read_text())["counts"]["statuses"]


@pytest.mark.parametrize("level", ["document", "window", "token", "sentence"])
def test_every_note_has_a_status_at_every_level(level: str, notes: Path) -> None:
    found, reported = run(embed_notes.main, notes, "--level", level)
    assert found == {f"n{n}": {status} for n, status in enumerate(STATUSES)}
    assert reported == {
        "ok": 2, "empty": 2, "null": 1, "not_utf8": 2, "too_long": 1, "pair_too_long": 0,
    }  # fmt: skip


def test_every_note_has_a_status_among_entities(notes: Path) -> None:
    found, _ = run(ner_notes.main, notes)
    assert {name: statuses - {"no_entities", "ok"} for name, statuses in found.items()} == {
        f"n{n}": {status} - {"ok"} for n, status in enumerate(STATUSES)
    }


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "x", ""])
@pytest.mark.parametrize("option", ["--max-pieces", "--max-note-pieces", "--partitions"])
@pytest.mark.parametrize("pipeline", [embed_notes, ner_notes, classify_notes, answer_notes])
def test_numbers_are_whole_and_positive(
    pipeline: object, option: str, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        pipeline.main(["--input", "in", "--output", "out", f"{option}={number}"])  # type: ignore[attr-defined]
    assert ended.value.code == 2
    assert f"argument {option}: " in capsys.readouterr().err
