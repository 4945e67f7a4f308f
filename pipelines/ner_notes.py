"""Find the entities of a corpus of clinical notes: `spark-submit pipelines/ner_notes.py --input PATH --output PATH`.

Writes one row per entity, and a run report beside them. See the README.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sparkclin.models.bundle import ENTITIES, Manifest
from sparkclin.runs.command import add_run_arguments, add_window_arguments, run_command
from sparkclin.runs.run import Task
from sparkclin.tasks.entities import INDEX, NerOptions, find_entities
from sparkclin.text.entities import AGGREGATIONS


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    return run_command(parser(), arguments, task=lambda asked: finding(options_of(asked)))


def finding(options: NerOptions) -> Task:
    """find_entities() as a task of a run."""

    def settings(manifest: Manifest) -> Mapping[str, Any]:
        windows = options.windows(manifest)
        return {
            "aggregation": options.aggregation,
            "labels": list(options.labels(manifest)),
            "max_pieces": windows.max_pieces,
            "stride": windows.stride,
        }

    return Task(
        name=ENTITIES,
        rows=lambda notes, bundle, observe: find_entities(notes, bundle=bundle, options=options, observe=observe),
        settings=settings,
        index=INDEX,
    )


def options_of(asked: argparse.Namespace) -> NerOptions:
    return NerOptions(aggregation=asked.aggregation, max_pieces=asked.max_pieces, stride=asked.stride)


def parser() -> argparse.ArgumentParser:
    build = argparse.ArgumentParser(prog="ner_notes.py", description="Find the entities of a corpus of clinical notes.")
    add_run_arguments(build)
    add = build.add_argument
    add("--aggregation", choices=AGGREGATIONS, default="simple", help="how pieces become words; default: simple")
    add_window_arguments(build)
    return build


if __name__ == "__main__":
    sys.exit(main())
