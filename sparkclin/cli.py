"""`sparkclin COMMAND`: the table of commands. A next command is a line of it, and a module in `sparkclin/commands/`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from sparkclin.commands.command import Command, commands_of_others
from sparkclin.errors import INTERRUPTED, SparkclinError

COMMANDS = {
    "embed": Command(module="sparkclin.commands.embed", help="make vectors of notes"),
    "ner": Command(module="sparkclin.commands.ner", help="find the entities of notes"),
    "classify": Command(module="sparkclin.commands.classify", help="label notes"),
    "answer": Command(module="sparkclin.commands.answer", help="ask notes questions"),
    "map": Command(module="sparkclin.commands.map", help="draw a map of notes by their vectors"),
    "nearest": Command(module="sparkclin.commands.nearest", help="print the nearest notes of a note"),
    "models": Command(module="sparkclin.commands.models", help="list, describe or check the models of a repository"),
    "setup": Command(
        module="sparkclin.commands.setup", help="fetch the jars and make this environment's spark-submit work"
    ),
    "spark-defaults": Command(
        module="sparkclin.commands.spark_defaults", help="print the Spark settings, each with its reason"
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 for problems found and for errors."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] and given[0] in COMMANDS:
            return COMMANDS[given[0]].run(given[1:], prog=f"sparkclin {given[0]}")
        commands = COMMANDS | commands_of_others()
        asked = _parser(commands).parse_args(given[:1])
        return commands[asked.command].run(given[1:], prog=f"sparkclin {asked.command}")
    except SparkclinError as error:
        print(f"sparkclin: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sparkclin: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    width = max(map(len, commands))
    listed = "\n".join(f"  {name:{width}}  {command.help}" for name, command in commands.items())
    parser = argparse.ArgumentParser(
        prog="sparkclin",
        usage="%(prog)s COMMAND …",
        description="Embeddings, entities, labels and answers of clinical notes on Spark.",
        epilog=f"commands:\n{listed}\n\n`sparkclin COMMAND --help` says more of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=commands, metavar="COMMAND", help="one of those below")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('sparkclin')}")
    return parser
