"""The options on the page are those of the commands."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from docsite.options import (
    CALLED_BY_OTHERS,
    COMMANDS,
    is_listed,
    meaning_of,
    names_of,
    options_page,
    parser_of,
    parsers,
    section,
)

ROOT = Path(__file__).parents[2]


def test_every_command_is_on_the_page() -> None:
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in (
            "pipelines",
            "sparkclin/evaluation",
            "sparkclin/export",
            "sparkclin",
            "training",
            "examples",
            "benchmarks",
        )
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"^def main\(", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert modules == {module for module, *_ in COMMANDS.values()} | {"sparkclin.cli"} | CALLED_BY_OTHERS
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert {f"sparkclin {name}" for name in entry_points["sparkclin.commands"]} <= set(COMMANDS)


def test_every_option_of_a_command_is_in_its_table() -> None:
    page = options_page()
    for name, parser in parsers():
        table = page.split(f"## `{name}`\n")[1].split("\n## ")[0]
        options = {option for action in parser._actions if is_listed(action) for option in action.option_strings}
        assert options == set(re.findall(r"`(--?[a-z0-9-]+)(?=[ `])", "\n".join(names(table))))


def names(table: str) -> list[str]:
    """The first cells."""
    return [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]


def test_a_parser_is_found_before_it_parses() -> None:
    def main(arguments: Sequence[str]) -> None:
        parser = argparse.ArgumentParser(prog="toy")
        parser.parse_args([*arguments, "--wrong"])

    assert parser_of(main, []).prog == "toy"


def test_a_table_says_what_may_be_given() -> None:
    parser = argparse.ArgumentParser(description="a toy")
    kind = parser.add_argument("-k", "--kind", choices=("a", "b"), required=True, help="which_one")
    assert names_of(kind) == "`-k`, `--kind`"
    assert meaning_of(kind) == "which\\_one; one of `a`, `b` (required)"
    size = parser.add_argument("--size", type=int, default=3, help="of it")
    assert meaning_of(size) == "of it; default: 3"
    share = parser.add_argument("--share", default=0.5, help="50 %% is usual (default: %(default)s)")
    assert meaning_of(share) == "50 % is usual (default: 0.5)"
    hidden = parser.add_argument("--hidden", help=argparse.SUPPRESS)
    assert hidden.dest not in section("toy", parser)
    assert section("toy", parser).startswith("## `toy`\n\nA toy.\n\n| option | meaning |")


def test_an_example_in_a_description_stays_code() -> None:
    parser = argparse.ArgumentParser(description="a toy\n\n    toy --size 3\n\nwith a --size")
    assert section("toy", parser) == "## `toy`\n\nA toy.\n\n    toy --size 3\n\nWith a `--size`."
