"""`python -m benchmarks`: measure, print the tables, write results.json and pictures. See README.md in this folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.report import to_text
from benchmarks.run import PARTS, RunOptions, quick_options, run, smoke_options
from benchmarks.workloads import WORKLOADS
from sparkclin.errors import SparkclinError


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 where something that was asked for could not be measured, 2 for wrong usage."""
    given = parser().parse_args(arguments)
    try:
        results = run(to_options(given))
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\n{to_text(results)}\n\n{given.out}")
    return 1 if results.failures() or results.missing else 0


def to_options(given: argparse.Namespace) -> RunOptions:
    if given.smoke:
        return smoke_options(out=given.out, work=given.work, only=tuple(given.only))
    if given.quick:
        return quick_options(out=given.out, work=given.work)
    return RunOptions(
        out=given.out,
        work=given.work,
        only=tuple(given.only),
        workloads=tuple(given.workloads),
        rounds=given.rounds,
        seconds=given.seconds,
    )


def parser() -> argparse.ArgumentParser:
    contenders = [contender.name for contender in CONTENDERS]
    defaults = RunOptions
    made = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed, measured side by side.")
    sizes = made.add_mutually_exclusive_group()
    sizes.add_argument("--smoke", action="store_true", help="a tiny model and a few rows: does it run?")
    sizes.add_argument("--quick", action="store_true", help="vectors by the contenders that tell most, once each")
    made.add_argument(
        "--rounds",
        type=int,
        default=defaults.rounds,
        help="measured runs of vectors; all else has half as many (default: %(default)s)",
    )
    made.add_argument(
        "--seconds",
        type=float,
        default=defaults.seconds,
        help="that a measured run should take (default: %(default)s)",
    )
    made.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        choices=[*contenders, *PARTS],
        help=f"contenders ({', '.join(contenders)}), tasks or other parts ({', '.join(PARTS)})",
    )
    made.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=WORKLOADS, help="default: all")
    made.add_argument("--out", type=Path, default=defaults.out, metavar="DIR", help="default: benchmarks/results")
    made.add_argument("--work", type=Path, default=defaults.work, metavar="DIR", help="what is made once is kept here")
    return made


if __name__ == "__main__":
    sys.exit(main())
