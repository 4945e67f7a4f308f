"""The notebooks of docs/notebooks: run as a reader runs them, and their outputs kept in the file.

    python -m testkit.notebooks docs/notebooks/*.ipynb

writes the outputs of a run into each file (`make notebooks`). A notebook runs in an empty folder, with the Python of
this process, which is also the first `python` of its shell commands.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
MOST_SECONDS = 300
"""Of a cell."""

PROGRESS = re.compile(r"\w+ +\d+% ")


def execute(path: Path, folder: Path) -> NotebookNode:
    """The notebook with the outputs of a run in the folder. Raises CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    # Sockets in a folder of this process's user: a kernel on a port takes code from every user of the machine.
    with tempfile.TemporaryDirectory() as sockets, environment(reader_environment(folder)):
        client = NotebookClient(
            notebook,
            timeout=MOST_SECONDS,
            kernel_name="python3",  # which jupyter_client knows to be the Python of this process
            coalesce_streams=True,
            record_timing=False,  # a file that is run again changes only where its outputs do
            resources={"metadata": {"path": str(folder)}},
            config=Config({"KernelManager": {"transport": "ipc", "ip": str(Path(sockets, "kernel"))}}),
        )
        client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not is_progress(output)]
    written = nbformat.writes(notebook)
    for place in (folder.resolve(), ROOT):  # where it ran is nobody's matter
        written = written.replace(f"{place}/", "")
    kept: NotebookNode = nbformat.reads(written, as_version=nbformat.NO_CONVERT)
    return kept


def is_progress(output: NotebookNode) -> bool:
    """Whether it is a progress bar alone, which differs with each run."""
    lines = str(output.get("text", "")).replace("\r", "\n").split("\n")
    return output.get("name") == "stderr" and all(PROGRESS.match(line) for line in lines if line.strip())


def reader_environment(folder: Path) -> dict[str, str]:
    """What a reader has who has activated the environment in a checkout."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(folder / ".ipython"),
        "MPLCONFIGDIR": str(folder / ".matplotlib"),
    }


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables, for a kernel that starts meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # with it a kernel does not show what Java writes
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the outputs of a run into each of the files."""
    for name in sys.argv[1:] if arguments is None else arguments:
        with tempfile.TemporaryDirectory() as folder:
            notebook = execute(Path(name), Path(folder))
        nbformat.write(notebook, name)
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
