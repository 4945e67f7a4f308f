"""The options of every command, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from unittest.mock import patch

from docsite.markdown import cell, escaped, table
from sparkclin import cli
from sparkclin.export.command import COMMAND as EXPORT

COMMANDS = {
    **{f"sparkclin {name}": (command.module,) for name, command in cli.COMMANDS.items()},
    "sparkclin export": (EXPORT.module,),
    "sparkclin export verify": (EXPORT.module, "verify"),
    "python -m sparkclin.evaluation": ("sparkclin.evaluation.__main__",),
    "python -m sparkclin.evaluation.compare": ("sparkclin.evaluation.compare",),
    "python -m sparkclin.evaluation.ner": ("sparkclin.evaluation.ner",),
    "python -m sparkclin.evaluation.classify": ("sparkclin.evaluation.classify",),
    "python -m sparkclin.evaluation.qa": ("sparkclin.evaluation.qa",),
    "python -m sparkclin.evaluation.sentences": ("sparkclin.evaluation.sentences",),
    "python -m sparkclin.evaluation.pooling": ("sparkclin.evaluation.pooling",),
    "python -m sparkclin.evaluation.medconceptsqa": ("sparkclin.evaluation.medconceptsqa",),
    # Of a checkout: what is below is in no wheel.
    "python -m training.tokenizer": ("training.tokenizer",),
    "python -m training.pretrain": ("training.pretrain",),
    "python -m training.evaluate": ("training.evaluate",),
    "python -m training.split": ("training.split",),
    "python -m training.ner": ("training.ner",),
    "python -m training.predict_ner": ("training.predict_ner",),
    "python -m training.stock_entities": ("training.stock_entities",),
    "python -m training.classify": ("training.classify",),
    "python -m training.predict_classify": ("training.predict_classify",),
    "python -m training.qa": ("training.qa",),
    "python -m training.predict_qa": ("training.predict_qa",),
    "python -m training.sample_notes": ("training.sample_notes",),
    "python -m training.compare_feeds": ("training.compare_feeds",),
    "python -m examples.ner_dl": ("examples.ner_dl",),
    "spark-submit examples/stock_pretrained.py": ("examples.stock_pretrained",),
    "python -m benchmarks": ("benchmarks.__main__",),
    "python -m benchmarks.long_note": ("benchmarks.long_note",),
    "python -m benchmarks.memory": ("benchmarks.memory",),
    "python -m benchmarks.shapes": ("benchmarks.shapes",),
    "python -m benchmarks.profile": ("benchmarks.profile",),
}
"""Each command: the module whose main() it calls, and what that is called with for another parser."""

CALLED_BY_OTHERS = {"benchmarks.models", "benchmarks.stock", "benchmarks.stock_head", "benchmarks.worker"}
"""Modules with a main() that the benchmark starts in processes of their own; nobody types them."""


class _Found(BaseException):  # no error: it ends main() where the parser would parse
    """Carries the parser out of main()."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def parser_of(main: Callable[[Sequence[str]], object], arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser that a command's main() makes, before it parses anything."""

    def stop(parser: argparse.ArgumentParser, *_: object, **__: object) -> argparse.Namespace:
        raise _Found(parser)

    with patch.object(argparse.ArgumentParser, "parse_args", stop):
        try:
            main(arguments)
        except _Found as found:
            return found.parser
    raise AssertionError(f"{main.__module__}.main() parses no arguments")


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Of every command, and of each of its actions."""
    for command, (module, *arguments) in COMMANDS.items():
        yield from _with_actions(command, parser_of(import_module(module).main, arguments))


def _with_actions(command: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield command, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {choice.dest: choice.help for choice in action._choices_actions}
            for name, inner in action.choices.items():
                inner.description = inner.description or said.get(name)
                yield from _with_actions(f"{command} {name}", inner)


def options_page() -> str:
    """Markdown: a section per command, with a table of its options."""
    return "\n\n".join(section(command, parser) for command, parser in parsers())


def section(command: str, parser: argparse.ArgumentParser) -> str:
    rows = [(names_of(action), meaning_of(action)) for action in parser._actions if is_listed(action)]
    said = described(parser.description or "")
    return "\n\n".join(filter(None, [f"## `{command}`", said, table(("option", "meaning"), rows) if rows else ""]))


def described(text: str) -> str:
    """Paragraphs, and examples, which are indented: those are code already."""
    parts = text.strip().split("\n\n")
    return "\n\n".join(part if part.startswith("    ") else sentence(part) for part in parts)


def sentence(text: str) -> str:
    text = escaped(text.strip())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…", ":")) or not text else ".")


def is_listed(action: argparse.Action) -> bool:
    """Neither `--help`, nor the actions of a command, which have a section each, nor what is not to be seen."""
    hidden = action.help == argparse.SUPPRESS
    return not hidden and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)


def names_of(action: argparse.Action) -> str:
    """`` `-o`, `--output PATH` ``"""
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    if action.choices is not None and not action.metavar:
        value = ""  # they are listed beside it
    if not action.option_strings:
        return f"`{action.metavar or action.dest.upper()}`"
    *others, last = action.option_strings
    return ", ".join(f"`{name}`" for name in [*others, f"{last}{value}"])


def meaning_of(action: argparse.Action) -> str:
    """Its help, what it may be, its default unless the help has it, and whether it is needed."""
    told = action.help or ""
    said = [told % {"default": action.default}] if told else []
    if action.choices is not None and not all(str(choice) in told for choice in action.choices):
        said.append("one of " + ", ".join(f"`{choice}`" for choice in action.choices))
    if isinstance(action.default, str | int | float) and action.nargs != 0 and "default" not in told:
        said += [f"default: {action.default}"] if action.default != "" else []
    required = " (required)" if action.required and action.option_strings else ""
    return cell("; ".join(said) + required)
