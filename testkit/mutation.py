"""Measure what the tests catch: `python -m testkit.mutation` makes small bugs, and runs the tests next to each.

cosmic-ray makes the bugs: other operators and comparisons, numbers one higher or lower, conditions negated, loops that
do not run. A seeded sample of the places in PACKAGES is changed, one at a time, in copies of the last commit, and the
tests of the module (`testkit.mirror`) run until one fails. `--tests REVISION` takes the tests of another commit, for a
comparison. Results are kept in a file of JSON lines; a second start goes on with the rest.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import os
import random
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from testkit.material import CHECKOUT
from testkit.mirror import TESTS, files_testing, modules

PACKAGES = (
    Path("sparkclin/text"),
    Path("sparkclin/wire"),
    Path("sparkclin/inference"),
    Path("sparkclin/runs/sources"),
    Path("export/verify"),
    Path("evaluation"),
)

WAIT_LEAST_S, WAIT_TIMES = 60.0, 4.0
"""Tests that take this many times as long as without the bug have caught it."""

STANDARD_DEVIATIONS = 1.96
"""Of an interval of 95 %."""

NOT_A_BUG = ("core/RemoveDecorator",)
"""Without `frozen` or `kw_only` a class does the same."""

Place = tuple[int, int]
"""Line, from 1, and column, from 0."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A bug: the `occurrence`-th place at which an operator of cosmic-ray can change a module."""

    module: str
    line: int
    operator: str
    occurrence: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`change` is the line with the bug; `caught` by a failing test or by its end not coming."""

    mutant: Mutant
    change: str
    caught: bool


def places_of(module: Path) -> Iterator[list[Mutant]]:
    """Yield the possible bugs of a module, those at the same place and of the same kind together."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    source = (CHECKOUT / module).read_text(encoding="utf-8")
    left_out = list(_without_effect(source))
    nodes = list(ast_nodes(get_ast(source)))
    places: dict[tuple[Place, Place, str], list[Mutant]] = defaultdict(list)
    for name in operator_names():
        operator_class: Any = get_operator(name)
        if name in NOT_A_BUG or operator_class.arguments():
            continue
        operator, occurrence = operator_class(), -1
        for node in nodes:
            for begin, end in operator.mutation_positions(node):
                occurrence += 1
                if any(first <= begin and end <= last for first, last in left_out):
                    continue
                kind = operator_class.__module__
                mutant = Mutant(module=str(module), line=begin[0], operator=name, occurrence=occurrence)
                places[begin, end, kind].append(mutant)
    yield from places.values()


def _without_effect(source: str) -> Iterator[tuple[Place, Place]]:
    """Yield the ranges of type annotations, which nothing evaluates, and of what only `python -m` runs."""
    for node in ast.walk(ast.parse(source)):
        part: ast.expr | ast.stmt | None = None
        if isinstance(node, ast.AnnAssign | ast.arg):
            part = node.annotation
        elif isinstance(node, ast.FunctionDef):
            part = node.returns
        elif isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            part = node
        if part is not None:
            yield (part.lineno, part.col_offset), (part.end_lineno or 0, part.end_col_offset or 0)


def sample(count: int, *, seed: int, packages: Sequence[Path] = PACKAGES) -> list[Mutant]:
    """Return bugs at `count` random places of packages, a random one of each."""
    generator = random.Random(seed)
    inside = [module for module in modules() if any(module.is_relative_to(package) for package in packages)]
    places = [place for module in inside for place in places_of(module)]
    return [generator.choice(place) for place in generator.sample(places, count)]


class Copy:
    """A copy of the last commit in which bugs are made, one at a time."""

    def __init__(self, folder: Path, *, tests: str) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(folder)], check=True)
        if tests:
            shutil.rmtree(folder / TESTS)
            subprocess.run(["git", "-C", str(folder), "checkout", "--quiet", tests, "--", str(TESTS)], check=True)
        if (shared := CHECKOUT.parent / "shared").exists() and not (folder.parent / "shared").exists():
            (folder.parent / "shared").symlink_to(shared)

    def passes(self, module: Path, *, wait_s: float | None = None) -> bool:
        """Return whether the tests of a module pass within `wait_s`. A module without any passes."""
        files = [str(file) for file in files_testing(module) if (self.folder / file).exists()]
        if not files:
            return True
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "", "-p", "no:cacheprovider", *files]
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(wait_s) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            return False

    def outcome_of(self, mutant: Mutant, *, wait_s: float) -> Outcome:
        """Make the bug, run the tests, and put the module back."""
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        module = Path(mutant.module)
        path = self.folder / module
        before = path.read_text(encoding="utf-8")
        changed: str = mutate_code(before, get_operator(mutant.operator)(), mutant.occurrence)
        lines = [new.strip() for old, new in zip(before.split("\n"), changed.split("\n"), strict=False) if old != new]
        try:
            path.write_text(changed, encoding="utf-8")
            caught = not self.passes(module, wait_s=wait_s)
        finally:
            path.write_text(before, encoding="utf-8")
        return Outcome(mutant=mutant, change=lines[0] if lines else "", caught=caught)


def measure(mutants: Sequence[Mutant], *, work: Path, tests: str, processes: int) -> list[Outcome]:
    """Return the outcomes of all bugs; those in the file of results are not tried again."""
    results = work / "results.jsonl"
    done = {outcome.mutant: outcome for outcome in read(results)}
    copies: SimpleQueue[Copy] = SimpleQueue()
    for number in range(processes):
        copies.put(Copy(work / f"copy{number}" / "checkout", tests=tests))
    by_module: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        if mutant not in done:
            by_module[mutant.module].append(mutant)

    def try_all(module: str) -> None:
        copy = copies.get()
        try:
            begin_s = time.monotonic()
            if not copy.passes(Path(module)):
                raise RuntimeError(f"the tests of {module} fail without any bug")
            wait_s = max(WAIT_LEAST_S, WAIT_TIMES * (time.monotonic() - begin_s))
            for mutant in by_module[module]:
                outcome = copy.outcome_of(mutant, wait_s=wait_s)
                done[mutant] = outcome
                with results.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(asdict(outcome)) + "\n")
                print(
                    f"{len(done):4} {'caught  ' if outcome.caught else 'SURVIVED'} {module}:{mutant.line}", flush=True
                )
        finally:
            copies.put(copy)

    with ThreadPoolExecutor(processes) as pool:
        for _ in pool.map(try_all, by_module):
            pass
    return [done[mutant] for mutant in mutants]


def read(results: Path) -> list[Outcome]:
    """Return the outcomes in a file of results, none if there is no file."""
    if not results.exists():
        return []
    lines = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    return [Outcome(mutant=Mutant(**line.pop("mutant")), **line) for line in lines]


def interval(caught: int, count: int) -> tuple[float, float]:
    """Return Wilson's interval of 95 % of a share."""
    squared = STANDARD_DEVIATIONS**2
    center = (caught + squared / 2) / (count + squared)
    spread = STANDARD_DEVIATIONS * math.sqrt(caught * (count - caught) / count + squared / 4) / (count + squared)
    return center - spread, center + spread


def to_text(outcomes: Sequence[Outcome]) -> str:
    """Return the survivors, a line each, and the score with its interval, by package and in all."""
    lines = [
        f"{outcome.mutant.module}:{outcome.mutant.line}: {outcome.mutant.operator.partition('/')[2]}: {outcome.change}"
        for outcome in outcomes
        if not outcome.caught
    ]
    groups = [
        (str(package), [one for one in outcomes if Path(one.mutant.module).is_relative_to(package)])
        for package in PACKAGES
    ]
    for name, group in [*groups, ("all", list(outcomes))]:
        if group:
            caught = sum(outcome.caught for outcome in group)
            low, high = interval(caught, len(group))
            lines.append(
                f"{name}: {caught} of {len(group)} caught, {caught / len(group):.1%} ({low:.1%} to {high:.1%})"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, whatever the score."""
    parser = argparse.ArgumentParser(prog="python -m testkit.mutation", description="Mutation score of the tests.")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder of copies and results")
    parser.add_argument("--count", type=int, default=300, metavar="N", help="bugs in the sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tests", default="", metavar="REVISION", help="take tests/ of this commit")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="copies that are tested at once")
    given = parser.parse_args(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    mutants = sample(given.count, seed=given.seed)
    print(to_text(measure(mutants, work=given.work.resolve(), tests=given.tests, processes=given.processes)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
