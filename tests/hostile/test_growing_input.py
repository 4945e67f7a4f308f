"""Files that are added to the input during a run are not in the output, and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkclin.commands.embed import main
from sparkclin.runs import run
from sparkclin.runs.sink import write_rows

pytestmark = pytest.mark.usefixtures("spark")

Add = Callable[[Path, str], None]


def add_jsonl(folder: Path, name: str) -> None:
    (folder / f"{name}.jsonl").write_text(json.dumps({"note_id": name, "text": "Fever."}) + "\n")


def add_csv(folder: Path, name: str) -> None:
    (folder / f"{name}.csv").write_text(f"note_id,text\n{name},Fever.\n")


def add_text(folder: Path, name: str) -> None:
    (folder / f"{name}.txt").write_text("Fever.")


def add_parquet(folder: Path, name: str) -> None:
    pq.write_table(pa.table({"note_id": [name], "text": ["Fever."]}), folder / f"{name}.parquet")


def add_partition(folder: Path, name: str) -> None:
    (folder / f"year={name}").mkdir()
    add_parquet(folder / f"year={name}", name)


def add_below(folder: Path, name: str) -> None:
    (folder / f"ward-{name}").mkdir()
    add_jsonl(folder / f"ward-{name}", name)


@pytest.mark.parametrize(
    ("add", "options", "name"),
    [
        (add_jsonl, "", "new.jsonl"),
        (add_csv, "", "new.csv"),
        (add_text, "--input-format text", "new.txt"),
        (add_parquet, "", "new.parquet"),
        (add_partition, "", "year=new/new.parquet"),
        (add_below, "--recursive", "ward-new/new.jsonl"),
    ],
)
@pytest.mark.parametrize("pattern", ["", "/*"])
def test_a_file_that_comes_while_the_run_writes_is_named(
    add: Add,
    options: str,
    name: str,
    pattern: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, output = tmp_path / "notes", tmp_path / "out"
    folder.mkdir()
    add(folder, "old")

    def add_and_write(*given: Any) -> None:
        add(folder, "new")
        (folder / "_SUCCESS").write_text("")  # as of the program that has written the notes
        write_rows(*given)

    monkeypatch.setattr(run, "write_rows", add_and_write)
    assert main(["--input", f"{folder}{pattern}", *options.split(), "--output", str(output)]) == 0
    line = f"added to the input during the run, not in the output: 1 ({name})"
    assert f"\n- {line}\n" in capsys.readouterr().err
    assert f"\n- {line}\n" in (output / "_report.md").read_text()
    assert f"{line[0].upper()}{line[1:]}." in (output / "_report.html").read_text()
    report = json.loads((output / "_report.json").read_text())
    assert report["added"] == {"files": 1, "names": [name]}
    assert report["written"] == 1
    assert len(set(pq.read_table(output)["note_id"].to_pylist())) == 1
