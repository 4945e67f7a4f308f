"""`sparkclin export`, as the entry point in pyproject.toml names it."""

from sparkclin.commands.command import Command

COMMAND = Command(module="sparkclin.export.__main__", help="make a model of a checkpoint, verify it and register it")
