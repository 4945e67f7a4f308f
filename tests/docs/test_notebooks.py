"""The notebooks of docs/notebooks run from top to bottom, and the outputs in the files are those of such a run."""

from __future__ import annotations

import re
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient", reason="the test extra is not installed")

import nbformat
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from testkit.notebooks import FOLDER, ROOT, environment, execute, is_progress

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NEEDS = {"fine_tune_export_tag.ipynb": ("sparkclin.export.trained", "training.ner")}
"""Modules of extras that a notebook's commands import."""

ONE_MACHINE = re.compile(r"(?<![\w.~:/])/(?:tmp|home|root|Users|usr|opt|work|var)/\S+")


HERE = (str(ROOT), sys.prefix, tempfile.gettempdir())


def parsed(path: Path) -> Any:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any) -> set[str]:
    """What kinds of output a cell has: streams, and MIME types."""
    return {kind for output in cell.outputs for kind in (output.get("data") or [output.get("name", "error")])}


def text_of(cell: Any) -> str:
    return "\n".join(str(part) for output in cell.outputs for part in [output.get("text"), output.get("data")] if part)


def problems(notebook: Any) -> list[str]:
    """What would tell a reader that the outputs are not those of one run from the top, or are of one machine."""
    cells = code_cells(notebook)
    found = []
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        found.append("the cells were not run once each, from the first to the last")
    for number, cell in enumerate(cells, start=1):
        if any(output.output_type == "error" for output in cell.outputs) or "Traceback (most recent" in text_of(cell):
            found.append(f"cell {number} failed")
        if any(output.get("name") == "stderr" for output in cell.outputs):
            found.append(f"cell {number} wrote to stderr")
        if ONE_MACHINE.search(text_of(cell)) or any(place in text_of(cell) for place in HERE):
            found.append(f"cell {number} shows a path of one machine")
    return found


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["embed_and_search", "entities_to_omop", "fine_tune_export_tag"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_outputs_in_the_file_are_those_of_one_run(path: Path) -> None:
    notebook = parsed(path)
    nbformat.validate(notebook)
    assert problems(notebook) == []
    assert any(cell.outputs for cell in code_cells(notebook))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_sentence_stands_before_each_code_cell(path: Path) -> None:
    cells = parsed(path).cells
    assert cells[0].cell_type == "markdown"
    assert all(before.cell_type == "markdown" for before, cell in pairwise(cells) if cell.cell_type == "code")


@pytest.mark.release
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_shows_what_the_file_shows(path: Path, tmp_path: Path) -> None:
    """Not to the number: the last digits of a score depend on the processor."""
    for module in NEEDS.get(path.name, ()):
        pytest.importorskip(module, reason="the export and train extras are not installed")
    ran = execute(path, tmp_path)
    assert problems(ran) == []
    kept = code_cells(parsed(path))
    assert [shown(cell) for cell in code_cells(ran)] == [shown(cell) for cell in kept]


def notebook_of(*sources: str) -> Any:
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return made


def test_a_cell_that_fails_fails_the_notebook(tmp_path: Path) -> None:
    nbformat.write(notebook_of("%%bash\nfalse"), tmp_path / "broken.ipynb")
    with pytest.raises(CellExecutionError):
        execute(tmp_path / "broken.ipynb", tmp_path)


def test_what_is_wrong_with_kept_outputs_is_noticed(tmp_path: Path) -> None:
    home = f"/{'home'}/ada"
    made = notebook_of(f"import sys\nprint('{home}')", "print('x', file=sys.stderr)", "1 + 1")
    nbformat.write(made, tmp_path / "made.ipynb")
    ran = execute(tmp_path / "made.ipynb", tmp_path)
    assert problems(ran) == ["cell 1 shows a path of one machine", "cell 2 wrote to stderr"]
    assert shown(ran.cells[2]) == {"text/plain"}
    ran.cells[2].outputs = [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]
    ran.cells[1].execution_count = 7
    assert problems(ran)[0] == "the cells were not run once each, from the first to the last"
    assert problems(ran)[-1] == "cell 3 failed"


def test_a_notebook_runs_with_this_python_and_does_not_tell_where(tmp_path: Path) -> None:
    place = "import os, sys\nprint(os.getcwd() + '/models')\nprint(sys.executable == os.environ['HERE'])"
    nbformat.write(notebook_of(place, "%%bash\ncommand -v python"), tmp_path / "made.ipynb")
    with environment({"HERE": sys.executable}):
        first, second = execute(tmp_path / "made.ipynb", tmp_path).cells
    assert first.outputs[0].text == "models\nTrue\n"
    found = ROOT / second.outputs[0].text.strip()  # an environment in the checkout is shown from there
    assert found.parent == Path(sys.executable).parent


def test_progress_bars_are_not_kept() -> None:
    def stderr(text: str) -> NotebookNode:
        return NotebookNode(nbformat.v4.new_output("stream", name="stderr", text=text))

    assert is_progress(stderr("\rembed   0%  0/60 [00:01<?, ?note/s]\rembed 100%  60/60 [00:30<00:00,  1.95note/s]\n"))
    assert not is_progress(stderr("\rembed   0%  0/60 [00:01<?, ?note/s]\nWARN JavaUtils\n"))
    assert not is_progress(NotebookNode(nbformat.v4.new_output("stream", name="stdout", text="embed   0%  0/60")))
