"""Every engine and precision of a checkpoint in one start: what all of them need is read and computed once."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sparkclin.errors import OptionError, SparkclinError
from sparkclin.evaluation.notes import Note
from sparkclin.export.convert import ExportOptions, expected_of, is_taken, make, notes_to_compare
from sparkclin.export.engines import EXPORTERS
from sparkclin.export.steps import SILENT, Steps
from sparkclin.export.verify.expected import Expected
from sparkclin.export.verify.parity import EXACT_PRECISION
from sparkclin.models.bundle import Bundle
from sparkclin.models.card import table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True, kw_only=True)
class Version:
    """What an export can make of a checkpoint."""

    engine: str
    precision: str


def every_version() -> list[Version]:
    """Of the engines that there are."""
    return [
        Version(engine=name, precision=precision)
        for name, exporter in EXPORTERS.items()
        for precision in exporter.engine.precisions
    ]


class Became(StrEnum):
    """What became of a version that was asked for."""

    REGISTERED = "registered"
    REFUSED = "refused"
    NOT_INSTALLED = "not installed"
    ALREADY_THERE = "already there"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`detail` is the bundle's folder, or why there is none, in a line; `bundle` is None where none was registered."""

    version: Version
    became: Became
    detail: str
    elapsed_s: float = 0.0
    bundle: Bundle | None = None


def convert_all(
    options: Sequence[ExportOptions], *, spark: SparkSession | None = None, steps: Steps = SILENT
) -> list[Outcome]:
    """Exports one checkpoint by all of `options`, which differ in engine, precision and notes only.

    A version that is refused is said, and the others go on; so does one whose engine is not installed, or that is there
    already and not forced. Raises OptionError for exports of several things, and what convert() raises where the
    checkpoint or the notes cannot be read.
    """
    if len({without_version(each, engine=options[0].engine) for each in options}) != 1:
        raise OptionError("versions of one checkpoint differ in engine, precision and notes only.")
    left_out = {each: found for each in options if (found := reason_to_leave_out(each))}
    wanted = [each for each in options if each not in left_out]
    for each in wanted:
        each.models.mkdir(parents=True, exist_ok=True)
    expected = expected_of_all(wanted, steps=steps) if wanted else None
    outcomes = []
    for each in options:
        if each in left_out or expected is None:
            outcomes.append(left_out[each])
        else:
            outcomes.append(attempt(each, expected, spark=spark, steps=steps))
            gc.collect()  # graphs are large, and refer to themselves
    return outcomes


def without_version(options: ExportOptions, *, engine: str) -> ExportOptions:
    """What versions of a checkpoint have in common."""
    return replace(options, engine=engine, precision=EXACT_PRECISION, notes=None)


def reason_to_leave_out(options: ExportOptions) -> Outcome | None:
    """None for a version that can be made."""
    version = Version(engine=options.engine, precision=options.precision)
    try:
        EXPORTERS[options.engine].check_installed()
    except SparkclinError as missing:
        return Outcome(version=version, became=Became.NOT_INSTALLED, detail=first_line(missing))
    if is_taken(options) and not options.force:
        detail = "--force makes a new version"
        return Outcome(version=version, became=Became.ALREADY_THERE, detail=detail)
    return None


def expected_of_all(options: Sequence[ExportOptions], *, steps: Steps) -> Expected:
    """With the notes of those that are compared on notes."""
    notes: list[Note] = next(filter(None, (notes_to_compare(each.precision, each.notes) for each in options)), [])
    of_all = expected_of(without_version(options[0], engine=options[0].engine), steps=steps)
    return replace(of_all, notes=notes)


def attempt(options: ExportOptions, expected: Expected, *, spark: SparkSession | None, steps: Steps) -> Outcome:
    version, began_s = Version(engine=options.engine, precision=options.precision), time.monotonic()
    steps.say(f"{version.engine} {version.precision}")
    try:
        bundle = make(options, expected, spark=spark, steps=steps)
    except SparkclinError as error:
        steps.say(f"  refused: {error}")
        found = Outcome(version=version, became=Became.REFUSED, detail=first_line(error))
    else:
        found = Outcome(version=version, became=Became.REGISTERED, detail=str(bundle.path), bundle=bundle)
    return replace(found, elapsed_s=time.monotonic() - began_s)


def first_line(error: SparkclinError) -> str:
    return str(error).partition("\n")[0]


def outcomes_table(outcomes: Sequence[Outcome]) -> str:
    """A row per version."""
    header = ("ENGINE", "PRECISION", "", "SECONDS", "")
    rows = [
        (
            each.version.engine,
            each.version.precision,
            each.became.value,
            f"{each.elapsed_s:.0f}" if each.elapsed_s else "",
            each.detail,
        )
        for each in outcomes
    ]
    return table([header, *rows])
