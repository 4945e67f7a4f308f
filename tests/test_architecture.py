"""The documents are true: who imports whom, what lies where, what a cluster needs. Nothing of one machine is here."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkclin.engines import ENGINES
from sparkclin.spark.settings import EXCLUDES, PACKAGES

ROOT = Path(__file__).parents[1]
MODEL_LIBRARIES = {"keras", "onnx", "onnxruntime", "openvino", "tensorflow", "torch", "transformers"}
NOT_INSTALLED = {"benchmarks", "docker", "docsite", "examples", "supply", "testkit", "tests", "training"}
LINKED = ("export", "evaluation")
"""Folders beside sparkclin/ that are installed inside it."""

FORBIDDEN = {
    "sparkclin": {*LINKED, "pipelines", *NOT_INSTALLED, *MODEL_LIBRARIES},
    "pipelines": {"export", *NOT_INSTALLED, *MODEL_LIBRARIES},
    "evaluation": {"export", "pipelines", *NOT_INSTALLED, *MODEL_LIBRARIES},
    "export": {"pipelines", *NOT_INSTALLED},
    "training": {"benchmarks", "examples", "testkit", "tests"},
    "examples": {"export", "pipelines", *NOT_INSTALLED - {"examples"}, *MODEL_LIBRARIES},
    "testkit": {"benchmarks", "tests", "training"},
    "benchmarks": {"tests", "training"},
    "docker": {"export", "supply", "tests", "training", *MODEL_LIBRARIES},
    "docsite": {"tests", *MODEL_LIBRARIES},
    "supply": {"export", "pipelines", *NOT_INSTALLED - {"docker", "supply"}, *MODEL_LIBRARIES},
}
LIBRARIES_OF_WORKERS = {engine.in_workers.library for engine in ENGINES.values() if engine.in_workers}
IN_WORKERS = "sparkclin/inference/"
"""Where they may be imported."""

LAYERS = (
    ("errors", "schema", "engines", "hashing"),
    ("text",),
    ("wire",),
    ("inference",),
    ("spark",),
    ("vectors",),
    ("search",),
    ("models",),
    ("stages",),
    ("tasks",),
    ("runs",),
    ("notes",),
    ("api",),
    ("maps",),
    ("commands",),
    ("cli", "__main__"),
)
"""Of sparkclin/, the lowest first: a module imports from its own layer and from those before it."""

WITHOUT_SPARK = ("text", "wire", "inference")
TABLES_OF_ENGINES = ("sparkclin/engines.py", "export/engines.py")

DESCRIBED = ("sparkclin", "export", "pipelines")

# Written so that this file does not match itself.
ONE_MACHINE = re.compile(r"(?<![\w.~{}])/(?:home|Users|work|farm|root/[.]pyenv)/[\w.]+")
REGISTRY = re.compile(
    r"pypi[.]org|python[h]osted|repo1?[.]maven|repo[.]maven[.]apache|registry[.]npmjs|deb[.]debian|proxy[.]golang"
)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_go_one_way(folder: str) -> None:
    modules = modules_of(folder)
    wrong = [
        f"{module.relative_to(ROOT)} imports {name}"
        for module in modules
        for name in sorted(imported(module.read_text(encoding="utf-8")) & FORBIDDEN[folder])
        if not (name in LIBRARIES_OF_WORKERS and module.relative_to(ROOT).as_posix().startswith(IN_WORKERS))
    ]
    assert modules
    assert wrong == []


def test_no_module_of_sparkclin_imports_from_a_layer_above_it() -> None:
    wrong = [
        f"{module.relative_to(ROOT)} imports {name}"
        for module in modules_of("sparkclin")
        if module.name != "__init__.py"  # the package's own gives public names on demand
        for name in sorted(imports_of_sparkclin(module.read_text(encoding="utf-8")))
        if layer_of(name) > layer_of(".".join(module.relative_to(ROOT).with_suffix("").parts))
    ]
    assert wrong == []


def test_every_part_of_sparkclin_is_in_one_layer() -> None:
    parts = {path.stem for path in (ROOT / "sparkclin").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    layered = [part for layer in LAYERS for part in layer]
    assert sorted(layered) == sorted(parts - {"__init__", *LINKED})


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import sparkclin.tasks.embed", "sparkclin.tasks.embed"),
        ("from sparkclin.tasks.embed import embed", "sparkclin.tasks.embed"),
        ("from sparkclin import tasks", "sparkclin.tasks"),
        ("def later():\n    from sparkclin.tasks import embed", "sparkclin.tasks"),
    ],
)
def test_an_import_from_a_layer_above_is_recognised(source: str, name: str) -> None:
    assert imports_of_sparkclin(source) == {name}
    assert layer_of(name) > layer_of("sparkclin.stages.columns")


def test_the_whole_package_is_above_all_layers() -> None:
    assert layer_of("sparkclin") == layer_of("sparkclin.embed") == len(LAYERS)


def layer_of(name: str) -> int:
    """The index of a module's layer; the package itself and its public names stand above all of them."""
    _, part, *_ = [*name.split("."), ""]
    return next((index for index, layer in enumerate(LAYERS) if part in layer), len(LAYERS))


def imports_of_sparkclin(source: str) -> set[str]:
    """The modules of sparkclin that a module imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "sparkclin":
            found |= {f"sparkclin.{alias.name}" for alias in node.names}
        else:
            found |= {name for name in names_imported_by(node) if name.split(".")[0] == "sparkclin"}
    return found


WITHOUT_PYSPARK = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pyspark", "sparknlp", "py4j"):
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def import_without_pyspark(*names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_PYSPARK, *names]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_some_parts_import_without_pyspark() -> None:
    names = [
        ".".join(module.relative_to(ROOT).with_suffix("").parts)
        for folder in WITHOUT_SPARK
        for module in modules_of(f"sparkclin/{folder}")
    ]
    assert len(names) > 10
    done = import_without_pyspark(*names)
    assert done.returncode == 0, done.stderr


def test_pyspark_is_absent_there() -> None:
    assert "pyspark is blocked" in import_without_pyspark("sparkclin.stages.columns").stderr


@pytest.mark.parametrize("folder", ["sparkclin", "pipelines", "evaluation"])
def test_only_the_table_names_an_engine(folder: str) -> None:
    """What differs between engines is a field of the table, not an `if` somewhere."""
    named = [
        f"{path}:{line}: {name}"
        for module in modules_of(folder)
        if (path := module.relative_to(ROOT).as_posix()) not in TABLES_OF_ENGINES
        for line, name in engines_named(ast.parse(module.read_text(encoding="utf-8")))
    ]
    assert named == []


def test_export_compares_no_name_of_an_engine_outside_its_table() -> None:
    """Here the names are those of libraries too, so only comparisons are looked at."""
    compared = [
        f"{path}:{line}: {name}"
        for module in modules_of("export")
        if (path := module.relative_to(ROOT).as_posix()) not in TABLES_OF_ENGINES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare | ast.MatchValue)
        for line, name in engines_named(node)
    ]
    assert compared == []


def test_a_named_engine_is_recognised() -> None:
    source = "if engine == 'onnx':\n    pass\nmatch engine:\n    case 'tensorflow':\n        pass\n'not onnx here'"
    assert list(engines_named(ast.parse(source))) == [(1, "onnx"), (4, "tensorflow")]


def engines_named(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each string that is an engine's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in ENGINES:
            yield node.lineno, node.value


def modules_of(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "import os, torch.nn as nn",
        "from torch.nn import Linear",
        "def later():\n    from torch import nn",
        "if TYPE_CHECKING:\n    import torch",
        "importlib.import_module('torch.nn')",
        "import_module('torch')",
        "__import__('torch')",
    ],
)
def test_no_way_of_importing_is_missed(source: str) -> None:
    assert "torch" in imported(source)


@pytest.mark.parametrize("source", ["from sparkclin.export import trained", "import sparkclin.export.trained"])
def test_an_import_of_a_linked_folder_is_recognised(source: str) -> None:
    assert imported(source) == {"export"}


def test_no_test_module_imports_from_another() -> None:
    """What tests share is in testkit, in a conftest, or in a module that is no test."""
    wrong = [
        f"{module.relative_to(ROOT)} imports {name}"
        for module in modules_of("tests")
        for name in sorted(imported_tests(module.read_text(encoding="utf-8")))
    ]
    assert wrong == []


@pytest.mark.parametrize("source", ["import tests.test_a", "from tests.test_a import f", "from tests import test_a"])
def test_an_import_of_a_test_module_is_recognised(source: str) -> None:
    assert imported_tests(source) == {"tests.test_a"}


def imported_tests(source: str) -> set[str]:
    """The test modules that a module imports, or imports from."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        names |= set(names_imported_by(node))
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {found[0] for name in names if (found := re.match(r"tests\.(?:\w+\.)*?test_\w+", name))}


def imported(source: str) -> set[str]:
    """The top-level folders and packages that a module imports, wherever in the file."""
    return {top_level(name) for node in ast.walk(ast.parse(source)) for name in names_imported_by(node)}


def top_level(name: str) -> str:
    first, second, *_ = [*name.split("."), ""]
    return second if first == "sparkclin" and second in LINKED else first


def names_imported_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(module)):
            yield module
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(module)), *_],
        ):
            yield module


def test_the_tree_in_the_document_is_the_tree() -> None:
    modules = {
        module.relative_to(ROOT).as_posix()
        for folder in DESCRIBED
        for module in modules_of(folder)
        if module.name != "__init__.py"
    }
    described = {path for path in paths_described() if path.endswith(".py")}
    assert described == modules


def test_folders_in_the_document_exist() -> None:
    assert [path for path in paths_described() if not (ROOT / path).exists()] == []


def paths_described() -> list[str]:
    """The paths at the starts of the lines of "Where things are", those of the installed folders and of training/."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = text.split("## Where things are")[1].split("```")[1]
    paths: list[str] = []
    folder = ""
    for indent, name in re.findall(r"^( *)(\S+)", tree, flags=re.MULTILINE):
        if not indent:
            folder = name if name.endswith("/") else ""
        paths.append(folder + name if indent else name)
    return [path for path in paths if path.startswith((*DESCRIBED, "training"))]


def test_nothing_of_one_machine_is_committed() -> None:
    found = [
        f"{path}:{number}: {match[0]}"
        for path, text in committed_texts()
        for number, line in enumerate(text.splitlines(), start=1)
        for pattern in (ONE_MACHINE, REGISTRY)
        if (match := pattern.search(line))
    ]
    assert found == []


@pytest.mark.parametrize(
    "leak",
    [
        f"source: /{'home'}/ada/model",
        f'open("/{"work"}/x")',
        f"https://{'pypi'}.org/simple",
        f"files.{'python'}hosted.org",
        f"https://{'repo1'}.maven.org/maven2",
    ],
)
def test_what_must_not_be_committed_is_recognised(leak: str) -> None:
    assert ONE_MACHINE.search(leak) or REGISTRY.search(leak)


def committed_texts() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content[:8000]:
                yield name, content.decode("utf-8", errors="replace")


def test_the_document_on_clusters_names_the_jars_of_a_session() -> None:
    text = (ROOT / "docs" / "how-to" / "clusters.md").read_text(encoding="utf-8")
    assert f"--packages {','.join(PACKAGES)}\n--exclude-packages {','.join(EXCLUDES)}\n" in text
    fetched = runpy.run_path(str(ROOT / "docker" / "fetch_jars.py"))
    assert ",".join(fetched["S3A"]) in text
    assert fetched["AWS_BUNDLE"] in text


CLUSTERS_HAVE = {"pyspark", "pandas", "numpy", "pyarrow"}
"""What the document leaves to the cluster."""


def test_the_document_on_clusters_installs_all_that_a_cluster_lacks_in_the_versions_of_the_wheel() -> None:
    text = (ROOT / "docs" / "how-to" / "clusters.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {line for line in project["dependencies"] if line.split("==")[0] not in CLUSTERS_HAVE}
    (command,) = re.findall(r"^pip install (.*==.*)$", text, re.MULTILINE)
    assert set(command.split()) == needed
    assert set(re.findall(r"[\w-]+==[\w.]+", text)) <= set(project["dependencies"])
    assert f"sparkclin-{project['version']}-py3" in text
