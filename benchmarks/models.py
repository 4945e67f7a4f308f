"""Exports versions of a checkpoint in one process.

`python -m benchmarks.models CHECKPOINT MODELS ENGINE:PRECISION …`
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.job import MODEL_NAME
from sparkclin.export.convert import ExportOptions
from sparkclin.export.steps import Steps
from sparkclin.export.versions import Became, convert_all, outcomes_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 where a version was not registered."""
    checkpoint, models, *names = sys.argv[1:] if arguments is None else arguments
    options = [
        ExportOptions(
            checkpoint=checkpoint,
            name=MODEL_NAME,
            models=Path(models),
            engine=engine,
            precision=precision,
            force=True,
        )
        for engine, _, precision in (name.partition(":") for name in names)
    ]
    outcomes = convert_all(options, steps=Steps(sys.stderr))
    print(outcomes_table(outcomes))
    return 0 if all(found.became == Became.REGISTERED for found in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
