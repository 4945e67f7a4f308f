"""One installation for all tests of what users install: `make demo` in a clean clone, and the wheel in its place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sparkclin.processes import clean_environment

ROOT = Path(__file__).parents[1]
NOT_SOURCE = (".git", ".venv", "build", "dist", "out", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")


@dataclass(frozen=True)
class Demo:
    """A clean clone in which `make demo` has run."""

    clone: Path
    make: subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel and what it asks for. Commands run in `home`, which is no checkout."""

    environment: Path
    home: Path

    def run(self, *command: str, python_path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's commands as a user would who has not activated it."""
        program, *arguments = command
        return subprocess.run(
            [self.environment / "bin" / program, *arguments],
            env=clean_environment() | ({"PYTHONPATH": str(python_path)} if python_path else {}),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def site_packages(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.environment / "lib" / version / "site-packages"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is nothing to clone")
    clone = tmp_path_factory.mktemp("demo") / "sparkclin"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    make = subprocess.run(
        ["make", "demo"],
        cwd=clone,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Demo(clone=clone, make=make)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no leftover of the checkout gets in and none is left there."""
    source = tmp_path_factory.mktemp("source") / "sparkclin"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    subprocess.run([sys.executable, "-m", "build", source], check=True, stdin=subprocess.DEVNULL)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(demo: Demo, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The demo's environment with the wheel where the clone was: a second one would hold the same packages again.

    `pip check` compares what is there with what the wheel itself asks for.
    """
    assert demo.make.returncode == 0, (demo.make.stdout + demo.make.stderr)[-3000:]
    found = Installed(demo.clone / ".venv", home=tmp_path_factory.mktemp("home"))
    for command in (("install", "--no-deps", str(wheel)), ("check",)):
        pip = found.run("python", "-m", "pip", *command)
        assert pip.returncode == 0, pip.stdout + pip.stderr
    return found
