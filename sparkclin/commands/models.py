"""`sparkclin models`: list, describe or check the models of a repository."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from sparkclin.engines import ENGINES, PRECISIONS
from sparkclin.errors import ModelError, masked
from sparkclin.models.card import model_card, table
from sparkclin.models.pretrained import MODELS_VARIABLE, active_repository
from sparkclin.models.repository import ModelRepository, Record, Wanted
from sparkclin.spark.session import spark_session
from sparkclin.spark.storage import is_remote

Action = Callable[[argparse.Namespace], int]
"""Prints, and returns the exit status."""


def main(arguments: Sequence[str] | None = None, *, prog: str = "sparkclin models") -> int:
    """Returns the exit status: 0, or 1 for problems found; raises SparkclinError for what the user can mend."""
    asked = parser(prog).parse_args(arguments)
    action: Action = asked.action
    return action(asked)


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


def _repository(options: argparse.Namespace) -> ModelRepository:
    repository = ModelRepository(options.models) if options.models else active_repository()
    if is_remote(repository.root):
        spark_session(app_name="sparkclin models")
    return repository


def _add_kind(action: argparse.ArgumentParser) -> None:
    action.add_argument("--language", help="of a name that exists in several languages")
    action.add_argument("--engine", choices=ENGINES, help="default: the fastest there is")
    action.add_argument("--precision", choices=PRECISIONS, help="default: fp32 where there is one")


def parser(prog: str = "sparkclin models") -> argparse.ArgumentParser:
    """`sparkclin models [--models DIR] [ACTION … [--models DIR]]`; without an action, `list`."""
    models = argparse.ArgumentParser(prog=prog, description="List, describe or check the models of a repository.")
    help_models = f"the repository; default: ${MODELS_VARIABLE}, else the demo models'"
    models.add_argument("--models", metavar="DIR", help=help_models)
    models.set_defaults(action=list_models, all=False)
    shared = argparse.ArgumentParser(add_help=False)
    # Without a default: an action's would take the place of what was said before it.
    shared.add_argument("--models", metavar="DIR", help=help_models, default=argparse.SUPPRESS)
    actions = models.add_subparsers(metavar="ACTION")

    listing = actions.add_parser("list", help="the newest version of each model; the default", parents=[shared])
    listing.add_argument("--all", action="store_true", help="all versions")
    listing.set_defaults(action=list_models)

    describe = actions.add_parser(
        "describe", help="what a model is, its versions, parity figures and size", parents=[shared]
    )
    describe.add_argument("name")
    describe.add_argument("--json", action="store_true", help="the version's manifest, as JSON")
    _add_kind(describe)
    describe.set_defaults(action=describe_model)

    check = actions.add_parser(
        "check",
        help="compare record, manifest and every file by their hashes; exit status 1 if one differs",
        parents=[shared],
    )
    check.add_argument("name", nargs="?", help="by default all versions of all models")
    _add_kind(check)
    check.set_defaults(action=check_models)
    return models
