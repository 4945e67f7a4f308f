"""Find the tests of a module: `python -m testkit.mirror sparkclin/runs/place.py` prints their files, for pytest."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from testkit.material import CHECKOUT

PACKAGES = ("sparkclin", "export", "evaluation")
TESTS = Path("tests")
ELSEWHERE = TESTS / "elsewhere.toml"
"""All paths are relative to the checkout."""


def modules() -> list[Path]:
    """Return the modules of the packages. An `__init__.py` counts only if it defines something."""
    links = {CHECKOUT / "sparkclin" / name for name in PACKAGES}
    return [
        path.relative_to(CHECKOUT)
        for package in PACKAGES
        for path in sorted((CHECKOUT / package).rglob("*.py"))
        if not links & set(path.parents) and (path.name != "__init__.py" or _defines(path))
    ]


def mirror_of(module: Path) -> Path:
    """Return where a test file of the same name is, or would be."""
    return TESTS / module.parent / f"test_{module.stem}.py"


@cache
def elsewhere() -> Mapping[Path, tuple[Path, ...]]:
    """Return the test files of modules from the table ELSEWHERE."""
    table = tomllib.loads((CHECKOUT / ELSEWHERE).read_text(encoding="utf-8"))
    return {Path(module): tuple(TESTS / file for file in files) for module, files in table.items()}


def files_testing(module: Path) -> tuple[Path, ...]:
    """Return the test files of a module: that of the same name, and those that the table names.

    Raises KeyError if there is neither.
    """
    mirror = mirror_of(module)
    if (CHECKOUT / mirror).exists():
        return (mirror, *elsewhere().get(module, ()))
    return elsewhere()[module]


def _defines(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return any(line.startswith(("def ", "class ", "from ", "import ")) for line in text.splitlines())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the test files of the modules given, one in a line. Returns the exit status: 1 for an unknown module."""
    parser = argparse.ArgumentParser(prog="python -m testkit.mirror", description="The tests of modules.")
    parser.add_argument("modules", nargs="+", type=Path, metavar="MODULE", help="path, relative to the checkout")
    given = parser.parse_args(arguments)
    known = set(modules())
    if unknown := [module for module in given.modules if module not in known]:
        print(f"error: not a module of {', '.join(PACKAGES)}: {unknown[0]}", file=sys.stderr)
        return 1
    print(*sorted({str(file) for module in given.modules for file in files_testing(module)}), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
