"""What a pip user has: the wheel and what it asks for, used from outside the checkout."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pyarrow.dataset
import pytest

from testkit.demo import MODEL, NER_MODEL
from tests.installation import Demo, Installed
from tests.sparkclin.processes import clean_environment

ROOT = Path(__file__).parents[1]
PACKAGE = "sparkclin"
LINKED = ("evaluation", "export")
"""Folders of the checkout that the wheel has inside the package."""
OPTIONAL = {"delta"}
"""Has an extra of its own."""

PINNED_BY = {"py4j": "pyspark", "triton": "torch"}
"""Packages that another one brings in the version it needs."""


@pytest.mark.slow
def test_the_wheel_holds_its_packages_and_nothing_else(installed: Installed) -> None:
    listed = installed.run("python", "-m", "pip", "show", "--files", "sparkclin").stdout.split("Files:")[1].split()
    tops = {name.split("/")[0] for name in listed if not name.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {PACKAGE}
    assert {"sparkclin/py.typed", "sparkclin/demo/notes.jsonl", "sparkclin/export/verify/sample_texts.jsonl"} <= set(
        listed
    )


@pytest.mark.slow
def test_the_wheel_is_no_large_download(wheel: Path) -> None:
    assert wheel.stat().st_size < 60_000_000


@pytest.mark.slow
def test_the_packages_are_the_wheels_and_not_a_checkouts(installed: Installed) -> None:
    names = [PACKAGE, *(f"{PACKAGE}.{name}" for name in LINKED)]
    script = "; ".join(f"import {name}; print({name}.__file__)" for name in names)
    files = installed.run("python", "-c", script).stdout.split()
    site = installed.site_packages() / PACKAGE
    assert [Path(file).parent for file in files] == [site, *(site / name for name in LINKED)]


@pytest.mark.slow
def test_a_users_own_packages_may_have_the_names_of_our_folders(installed: Installed, tmp_path: Path) -> None:
    for name in (*LINKED, "pipelines", "training"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the user's own {name}')\n")
    for command in (["--version"], ["export", "--help"], ["models", "--help"]):
        done = installed.run("sparkclin", *command, python_path=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_runtime_brings_no_library_that_only_export_and_training_need(installed: Installed) -> None:
    packages = json.loads(installed.run("python", "-m", "pip", "list", "--format", "json").stdout)
    heavy = {"torch", "tensorflow", "tensorflow-cpu", "transformers", "onnx", "onnxruntime", "openvino"}
    assert {package["name"] for package in packages} & heavy == set()


@pytest.mark.slow
def test_the_demo_models_arrive_as_they_were_exported(installed: Installed) -> None:
    listed = installed.run("sparkclin", "models", "list").stdout
    assert {line.split()[0] for line in listed.splitlines()[1:]} == {MODEL, NER_MODEL}
    check = installed.run("sparkclin", "models", "check")
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.slow
def test_notes_are_embedded_outside_the_checkout(installed: Installed, tmp_path: Path) -> None:
    notes = tmp_path / "notes.jsonl"
    notes.write_text('{"note_id": "a", "text": "No acute distress."}\n{"note_id": "b", "text": "Afebrile."}\n')
    output = tmp_path / "vectors"
    setup = installed.run("sparkclin", "setup")
    assert setup.returncode == 0, setup.stdout + setup.stderr
    run = installed.run("sparkclin", "embed", "--input", str(notes), "--output", str(output))

    assert run.returncode == 0, run.stdout + run.stderr
    vectors = pyarrow.dataset.dataset(output, format="parquet").to_table()
    assert sorted(vectors["note_id"].to_pylist()) == ["a", "b"]
    assert vectors["vector"].null_count == 0


@pytest.mark.release
def test_a_machine_without_a_registry_is_set_up(demo: Demo, tmp_path: Path) -> None:
    """By the commands of docs/how-to/air_gapped.md: what the first block packs is all that the others need."""
    guide = (demo.clone / "docs" / "how-to" / "air_gapped.md").read_text(encoding="utf-8")
    pack, unpack, check, *_ = re.findall(r"^```\n(.*?)^```", guide, flags=re.MULTILINE | re.DOTALL)
    said = shell(pack, folder=demo.clone)
    (demo.clone / "carry").rename(tmp_path / "carry")
    said += shell(unpack + check, folder=tmp_path, PIP_INDEX_URL="http://127.0.0.1:9/", HOME=str(tmp_path))
    assert "are there, with the pinned SHA-256" in said
    assert said.count("files as exported") == 4


def shell(commands: str, *, folder: Path, **variables: str) -> str:
    """Runs lines that a user would paste; one that fails ends them."""
    environment = clean_environment() | variables
    bash = ["bash", "-e", "-c", commands]
    done = subprocess.run(bash, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_export_without_its_extra_says_what_to_install(installed: Installed) -> None:
    for export in (["sparkclin", "export"], ["python", "-m", "sparkclin.export"]):
        assert installed.run(*export, "--help").stdout.startswith(f"usage: {' '.join(export)} [-h] ")
        tried = installed.run(*export, "checkpoint", "--name", "a_model", "--models", "models")
        assert tried.returncode == 1
        assert len(tried.stderr.splitlines()) == 1
        assert "pip install 'sparkclin[export]'" in tried.stderr


@pytest.mark.release
@pytest.mark.export
def test_the_wheels_exporter_exports(installed: Installed, tmp_path: Path) -> None:
    """With the libraries of the extra from here: installing their six gigabytes again would show nothing more. ONNX's
    are the quicker ones to start."""
    checkpoints = pytest.importorskip("testkit.checkpoints", reason="the export extra is not installed")
    checkpoint = checkpoints.random_checkpoint(tmp_path / "checkpoint")
    borrowed = tmp_path / "borrowed"
    borrowed.mkdir()
    # At the end of the path, so that the environment's own packages, the wheel's among them, come first.
    (borrowed / "sitecustomize.py").write_text(f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})")

    export = ["sparkclin", "export", str(checkpoint), "--name", "a_model", "--models", str(tmp_path / "models")]
    export += ["--engine", "onnx"]
    done = installed.run(*export, python_path=borrowed)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "registered a_model" in done.stdout
    assert "a_model" in installed.run("sparkclin", "models", "--models", str(tmp_path / "models"), "list").stdout


@pytest.mark.parametrize(
    ("folder", "extras"),
    [("sparkclin", ("openvino", "map")), ("pipelines", ()), ("evaluation", ("train",)), ("export", ("export",))],
)
def test_what_a_package_imports_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    """In the main dependencies or the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    declared = {normal(re.split(r"[=\[]", line)[0]) for line in required}

    imported = third_party_imports(ROOT / folder) - {PACKAGE, *OPTIONAL}
    providers = packages_distributions()
    assert imported or folder == "pipelines"  # which are parsers, and all of the rest is the package's
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
