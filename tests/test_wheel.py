"""What a pip user has: the wheel in a fresh environment, used from outside the checkout."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pyarrow.dataset
import pytest

ROOT = Path(__file__).parents[1]
NOT_SOURCE = (".git", ".venv", "build", "dist", "out", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")
MODEL = "clinical_longformer_demo"
OPTIONAL = {"delta"}
"""Has an extra of its own."""

PINNED_BY = {"py4j": "pyspark", "triton": "torch"}
"""Packages that another one brings in the version it needs."""


@dataclass(frozen=True)
class Installed:
    """A fresh environment with the wheel and what it asks for."""

    folder: Path

    def run(self, *command: str, python_path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's commands as a user would who has not activated it."""
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYSPARK", "SPARK", "TF_"))
        }
        if python_path is not None:
            environment["PYTHONPATH"] = str(python_path)
        program, *arguments = command
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def site_packages(self) -> Path:
        return self.folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no leftover of the checkout gets in and none is left there."""
    source = tmp_path_factory.mktemp("source") / "sparkclin"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    subprocess.run([sys.executable, "-m", "build", source], check=True, stdin=subprocess.DEVNULL)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    environment = Installed(tmp_path_factory.mktemp("environment"))
    venv.create(environment.folder, with_pip=True)
    pip = environment.run("python", "-m", "pip", "install", "-c", str(ROOT / "constraints.txt"), str(wheel))
    assert pip.returncode == 0, pip.stdout + pip.stderr
    return environment


@pytest.mark.slow
def test_the_wheel_holds_the_three_packages_and_nothing_else(installed: Installed) -> None:
    listed = installed.run("python", "-m", "pip", "show", "--files", "sparkclin").stdout.split("Files:")[1].split()
    tops = {name.split("/")[0] for name in listed if not name.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"export", "pipelines", "sparkclin"}
    assert {"sparkclin/py.typed", "sparkclin/demo/notes.jsonl"} <= set(listed)


@pytest.mark.slow
def test_the_runtime_brings_no_library_that_only_export_and_training_need(installed: Installed) -> None:
    packages = json.loads(installed.run("python", "-m", "pip", "list", "--format", "json").stdout)
    heavy = {"torch", "tensorflow", "tensorflow-cpu", "transformers", "onnx", "onnxruntime"}
    assert {package["name"] for package in packages} & heavy == set()


@pytest.mark.slow
def test_the_demo_model_arrives_as_it_was_exported(installed: Installed) -> None:
    assert MODEL in installed.run("sparkclin", "models", "list").stdout
    check = installed.run("sparkclin", "models", "check")
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.slow
def test_notes_are_embedded_outside_the_checkout(installed: Installed, tmp_path: Path) -> None:
    notes = tmp_path / "notes.jsonl"
    notes.write_text('{"note_id": "a", "text": "No acute distress."}\n{"note_id": "b", "text": "Afebrile."}\n')
    output = tmp_path / "vectors"
    script = installed.site_packages() / "pipelines" / "embed_notes.py"

    setup = installed.run("sparkclin", "setup")
    assert setup.returncode == 0, setup.stdout + setup.stderr
    run = installed.run(
        "spark-submit", str(script), "--input", str(notes), "--input-format", "jsonl", "--output", str(output)
    )

    assert run.returncode == 0, run.stdout + run.stderr
    vectors = pyarrow.dataset.dataset(output, format="parquet").to_table()
    assert sorted(vectors["note_id"].to_pylist()) == ["a", "b"]
    assert vectors["vector"].null_count == 0


@pytest.mark.slow
def test_export_without_its_extra_says_what_to_install(installed: Installed) -> None:
    assert installed.run("python", "-m", "export", "--help").returncode == 0
    tried = installed.run("python", "-m", "export", "checkpoint", "--name", "a_model", "--models", "models")
    assert tried.returncode == 1
    assert "pip install 'sparkclin[export]'" in tried.stderr


@pytest.mark.slow
@pytest.mark.export
def test_the_wheels_exporter_exports(installed: Installed, tmp_path: Path) -> None:
    """With the libraries of the extra from here: installing their six gigabytes again would show nothing more."""
    checkpoints = pytest.importorskip("testkit.checkpoints", reason="the export extra is not installed")
    checkpoint = checkpoints.random_checkpoint(tmp_path / "checkpoint")
    borrowed = tmp_path / "borrowed"
    borrowed.mkdir()
    # At the end of the path, so that the environment's own packages, the wheel's among them, come first.
    (borrowed / "sitecustomize.py").write_text(f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})")

    export = ["python", "-m", "export", str(checkpoint), "--name", "a_model", "--models", str(tmp_path / "models")]
    done = installed.run(*export, python_path=borrowed)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "registered a_model" in done.stdout
    assert "a_model" in installed.run("sparkclin", "models", "--models", str(tmp_path / "models"), "list").stdout


@pytest.mark.parametrize(("folder", "extras"), [("sparkclin", ()), ("pipelines", ()), ("export", ("export",))])
def test_what_a_package_imports_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    """In the main dependencies or the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    declared = {normal(re.split(r"[=\[]", line)[0]) for line in required}

    imported = third_party_imports(ROOT / folder) - {"sparkclin", "export", "pipelines", *OPTIONAL}
    providers = packages_distributions()
    assert imported
    assert [
        name for name in imported if not declared & {PINNED_BY.get(name), *map(normal, providers.get(name, []))}
    ] == []


def third_party_imports(folder: Path) -> set[str]:
    found = set()
    for module in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names


def normal(name: str) -> str:
    return name.lower().replace("_", "-")
