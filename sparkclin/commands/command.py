"""What a command of `sparkclin` is. Other packages add theirs with an entry point of the group `sparkclin.commands`
that names a Command:

    [project.entry-points."sparkclin.commands"]
    export = "sparkclin.export.command:COMMAND"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from sparkclin.errors import SetupError
from sparkclin.spark.settings import check_working_directory

GROUP = "sparkclin.commands"


@dataclass(frozen=True, kw_only=True)
class Command:
    """`help` is its line in `sparkclin --help`. `module` has `main(arguments, prog=…)`, which returns the exit status;
    it is imported when the command runs."""

    help: str
    module: str

    def run(self, arguments: Sequence[str], *, prog: str) -> int:
        """`prog` is what was typed before the arguments, for the usage. Raises SetupError where the working directory
        is gone."""
        check_working_directory()
        return int(import_module(self.module).main(arguments, prog=prog))


def commands_of_others() -> dict[str, Command]:
    """Those that installed packages add, by name; raises SetupError for an entry point that names none."""
    from importlib.metadata import entry_points

    found = {}
    for point in entry_points(group=GROUP):
        try:
            command = point.load()
        except (ImportError, AttributeError) as error:
            command = error
        if not isinstance(command, Command):
            raise SetupError(
                f"the command {point.name!r} cannot be taken from {point.value} ({type(command).__name__}): repair or "
                "remove the package that adds it."
            )
        found[point.name] = command
    return found
