"""`sparkclin spark-defaults`: the Spark settings, each with its reason."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sparkclin.spark.settings import defaults_conf


def main(arguments: Sequence[str] | None = None, *, prog: str = "sparkclin spark-defaults") -> int:
    """Returns the exit status."""
    description = "Print the Spark settings, each with its reason, as spark-defaults.conf has them."
    argparse.ArgumentParser(prog=prog, description=description).parse_args(arguments)
    print(defaults_conf(), end="")
    return 0
