"""`make demo` as a newcomer types it: a clean clone, a fresh environment."""

from __future__ import annotations

import json
import re

import pytest

from testkit.demo import MODEL, NER_MODEL
from tests.installation import Demo

pytestmark = pytest.mark.slow


def test_the_demo_runs_in_a_clean_clone(demo: Demo) -> None:
    assert demo.make.returncode == 0, (demo.make.stdout + demo.make.stderr)[-3000:]
    output = demo.clone / "out" / "demo"
    for name in ("vectors", "entities"):
        assert (
            f"\nout/demo/{name}\n- notes: 60 in the input, 60 read, 60 written (without results: none)\n"
            in demo.make.stdout
        )
        report = json.loads((output / name / "_report.json").read_text(encoding="utf-8"))
        assert report["counts"]["notes"] == 60
    found, drawn, near, stock = re.split(
        r"\n\n\.venv/bin/(?:sparkclin map|sparkclin nearest|spark-submit examples)", demo.make.stdout
    )
    model, *tables, page = found.split("out/demo/entities\n- notes: ")[1].strip().split("\n\n")[1:]
    assert model.startswith(f"{NER_MODEL}: ")
    assert "F1" in model
    assert [table.split("  ")[0] for table in tables] == ["most frequent: Chemical", "most frequent: Disease"]
    assert page == "20 of 60 notes are in out/demo/entities.html, which contains their text."
    assert (output / "entities.html").read_text(encoding="utf-8").count("<article>") == 20
    assert drawn.splitlines()[-3:-2] == ["out/demo/map.html"]
    assert "- coloured by specialties" in drawn
    assert (output / "map.html").read_text(encoding="utf-8").count("<path class=") == 60
    table = near.splitlines()[1:]
    assert table[0].split() == ["COSINE", "NOTE_ID", "TITLE"]
    assert table[1].split()[0] == "1051"
    assert len(table) == 7
    _, tokens = stock.split(f'LongformerEmbeddings.pretrained("{MODEL}", "en") gave these token vectors:\n')
    assert [line.split()[0] for line in tokens.strip().splitlines()][:2] == ["The", "patient"]


def test_the_demo_installs_no_library_that_only_export_and_training_need(demo: Demo) -> None:
    packages = {path.name for path in demo.clone.glob(".venv/lib/python*/site-packages/*")}
    assert "pyspark" in packages
    assert packages & {"torch", "tensorflow", "transformers", "onnx", "onnxruntime", "openvino"} == set()


def test_the_tutorials_python_runs_on_what_the_demo_wrote(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(demo.clone)
    tutorial = (demo.clone / "docs" / "tutorial.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", tutorial, flags=re.MULTILINE | re.DOTALL):
        exec(block, {})
    shown = capsys.readouterr().out
    assert "192 numbers per note" in shown
    assert len(shown.partition("cosine")[2].strip().splitlines()) == 10
