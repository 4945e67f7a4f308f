"""`sparkclin models | spark-defaults | setup`: a thin shell over the functions of the package."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from sparkclin.engines import ENGINES, PRECISIONS
from sparkclin.errors import ModelError, SparkclinError, masked
from sparkclin.models.card import model_card, table
from sparkclin.models.pretrained import MODELS_VARIABLE, active_repository
from sparkclin.models.repository import ModelRepository, Record, Wanted
from sparkclin.spark.environment import check_replaceable, find_installation, set_up
from sparkclin.spark.jars import JarManifest, check_jars, environment_jars, set_up_jars
from sparkclin.spark.session import spark_session
from sparkclin.spark.settings import defaults_conf
from sparkclin.spark.storage import is_remote

Command = Callable[[argparse.Namespace], int]
"""Prints, and returns the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 for problems found and for errors."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(options)
    except SparkclinError as error:
        print(f"sparkclin: {error}", file=sys.stderr)
        return 1


def list_models(options: argparse.Namespace) -> int:
    repository = _repository(options)
    bundles = repository.bundles() if options.all else repository.newest()
    rows = [("NAME", "LANGUAGE", "TASK", "ENGINE", "PRECISION", "CREATED", "FAMILY", "WIDTH", "MAX PIECES", "FOLDER")]
    rows += [
        (
            *(m.name, m.language, m.task, m.engine, m.precision, m.created, m.family, str(m.width), str(m.max_pieces)),
            b.location.rsplit("/", 1)[1],
        )
        for b in bundles
        for m in [b.manifest]
    ]
    print(table(rows))
    return 0


def describe_model(options: argparse.Namespace) -> int:
    repository = _repository(options)
    bundle = repository.find_wanted(_wanted(options))
    if options.json:
        described = {
            "location": masked(bundle.location),
            "manifest_sha256": bundle.manifest_sha256,
            **asdict(bundle.manifest),
        }
        del described["files"]
        print(json.dumps(described, indent=2, ensure_ascii=False))
    else:
        versions = repository.bundles(bundle.manifest.name, bundle.manifest.language)
        print(masked(model_card(bundle, versions=versions)))
    return 0


def check_models(options: argparse.Namespace) -> int:
    """Record, manifest and files of each, whatever is wrong with another."""
    repository = _repository(options)
    records = [repository.resolve(_wanted(options))] if options.name else repository.records()
    return max([_check(repository, record) for record in records], default=0)


def _wanted(options: argparse.Namespace) -> Wanted:
    return Wanted(name=options.name, language=options.language, engine=options.engine, precision=options.precision)


def _check(repository: ModelRepository, record: Record) -> int:
    try:
        bundle = repository.bundle(record)
        problems = bundle.problems()
    except ModelError as error:
        print(error)
        return 1
    print(f"{masked(bundle.location)}: {'; '.join(problems) or f'{len(bundle.manifest.files)} files as exported'}")
    return 1 if problems else 0


def print_spark_defaults(options: argparse.Namespace) -> int:  # noqa: ARG001
    print(defaults_conf(), end="")
    return 0


def set_up_environment(options: argparse.Namespace) -> int:
    if options.check:
        check_jars(environment_jars())
        print(_are_there(JarManifest.read(environment_jars())))
        return 0
    installation = find_installation()
    check_replaceable(installation, force=options.force)
    jars = environment_jars()
    print(f"Spark NLP's jars: into {jars}, once, some 400 MB; later runs need no registry", flush=True)
    with tqdm(desc="jars", unit="jar", disable=None, leave=False) as bar:
        manifest = set_up_jars(jars, source=options.jars, progress=partial(_advance, bar))
    print(_are_there(manifest))
    set_up(installation, force=options.force)
    print(f"{installation.launcher} is ready: it runs {installation.python}")
    return 0


def _are_there(jars: JarManifest) -> str:
    return f"{len(jars.files)} jars, {jars.size_mb:.0f} MB, are there, with the pinned SHA-256"


def _advance(bar: tqdm[NoReturn], done: int, known: int) -> None:
    bar.total = known
    bar.update(done - bar.n)


def _repository(options: argparse.Namespace) -> ModelRepository:
    repository = ModelRepository(options.models) if options.models else active_repository()
    if is_remote(repository.root):
        spark_session(app_name="sparkclin models")
    return repository


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sparkclin", description="Clinical-note embeddings with Spark NLP.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_models(commands.add_parser("models", help="list, describe or check the models of a repository"))

    defaults = commands.add_parser("spark-defaults", help="print the Spark settings, each with its reason")
    defaults.set_defaults(command=print_spark_defaults)

    setup = commands.add_parser("setup", help="fetch the jars and make this environment's spark-submit work")
    setup.add_argument(
        "--jars",
        type=Path,
        metavar="DIR",
        help="take the jars from a copy of another environment's share/sparkclin/jars",
    )
    setup.add_argument("--force", action="store_true", help="replace configuration files that somebody else wrote")
    setup.add_argument("--check", action="store_true", help="only compare the jars with what is pinned; change nothing")
    setup.set_defaults(command=set_up_environment)
    return parser


def _add_kind(action: argparse.ArgumentParser) -> None:
    action.add_argument("--language", default="en")
    action.add_argument("--engine", choices=ENGINES, help="default: the fastest there is")
    action.add_argument("--precision", choices=PRECISIONS, help="default: fp32 where there is one")


def _add_models(models: argparse.ArgumentParser) -> None:
    """`sparkclin models [--models DIR] [ACTION … [--models DIR]]`; without an action, `list`."""
    help_models = f"the repository; default: ${MODELS_VARIABLE}, else the demo models'"
    models.add_argument("--models", metavar="DIR", help=help_models)
    models.set_defaults(command=list_models, all=False)
    shared = argparse.ArgumentParser(add_help=False)
    # Without a default: an action's would take the place of what was said before it.
    shared.add_argument("--models", metavar="DIR", help=help_models, default=argparse.SUPPRESS)
    actions = models.add_subparsers(metavar="ACTION")

    listing = actions.add_parser("list", help="the newest version of each model; the default", parents=[shared])
    listing.add_argument("--all", action="store_true", help="all versions")
    listing.set_defaults(command=list_models)

    describe = actions.add_parser(
        "describe", help="what a model is, its versions, parity figures and size", parents=[shared]
    )
    describe.add_argument("name")
    describe.add_argument("--json", action="store_true", help="the version's manifest, as JSON")
    _add_kind(describe)
    describe.set_defaults(command=describe_model)

    check = actions.add_parser(
        "check",
        help="compare record, manifest and every file by their hashes; exit status 1 if one differs",
        parents=[shared],
    )
    check.add_argument("name", nargs="?", help="by default all versions of all models")
    _add_kind(check)
    check.set_defaults(command=check_models)
