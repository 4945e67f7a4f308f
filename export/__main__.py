"""`sparkclin export CHECKPOINT --name NAME --models DIR [--all]` and `sparkclin export verify NAME --models DIR`; both
also as `python -m export`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkclin.engines import PRECISIONS, TENSORFLOW
from sparkclin.errors import exit_status
from sparkclin.export.engines import EXPORTERS, check_installed
from sparkclin.export.graph.model_input import GLOBAL_ATTENTIONS
from sparkclin.export.steps import steps_alone
from sparkclin.text.labels import PROBLEM_TYPES

if TYPE_CHECKING:
    from sparkclin.export.convert import ExportOptions

PROG = f"python -m {__package__}"

# Whatever the engine is; what only one engine needs is in sparkclin.export.engines.
NEEDED = {name: name for name in ("torch", "transformers", "safetensors")}


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Return the exit status: 0, 1 for an error that the user can fix, 2 for wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    verifying = given[:1] == ["verify"]
    options = verify_parser(prog).parse_args(given[1:]) if verifying else parse_convert(given, prog=prog)
    return exit_status(lambda: act(options, verifying=verifying))


def act(options: argparse.Namespace, *, verifying: bool) -> None:
    check_installed(NEEDED, purpose="exporting")
    if verifying:
        run_verify(options)
    elif options.all:
        run_all(options)
    else:
        run_convert(options)


def run_convert(given: argparse.Namespace) -> None:
    from sparkclin.export.convert import convert
    from sparkclin.models.card import schemes_table

    options = export_options(given, engine=given.engine, precision=given.precision, notes=given.notes)
    with steps_alone() as steps:
        manifest, folder = (bundle := convert(options, steps=steps)).manifest, bundle.path
    if tried := manifest.parity.get("schemes"):
        print(f"{schemes_table(tried)}\n")
    print(f"verified: {summary(manifest.parity)}")
    print(f"registered {manifest.name} ({manifest.language}, {manifest.engine} {manifest.precision}) as {folder}")


def run_all(given: argparse.Namespace) -> None:
    """Raises ParityError where a version was refused."""
    from sparkclin.export.errors import ParityError
    from sparkclin.export.versions import Became, convert_all, every_version, outcomes_table

    options = [
        export_options(
            given,
            engine=version.engine,
            precision=version.precision,
            notes=given.notes if version.precision != PRECISIONS[0] else None,
        )
        for version in every_version()
    ]
    with steps_alone() as steps:
        outcomes = convert_all(options, steps=steps)
    print(outcomes_table(outcomes))
    if refused := [each.version for each in outcomes if each.became == Became.REFUSED]:
        names = ", ".join(f"{version.engine} {version.precision}" for version in refused)
        raise ParityError(f"refused: {names}. The reasons are printed above; the other versions are not affected.")


def export_options(given: argparse.Namespace, *, engine: str, precision: str, notes: Path | None) -> ExportOptions:
    from sparkclin.export.convert import ExportOptions
    from sparkclin.export.heads.labels import read_labels

    return ExportOptions(
        checkpoint=given.checkpoint,
        name=given.name,
        models=given.models,
        revision=given.revision,
        tokenizer=given.tokenizer,
        engine=engine,
        precision=precision,
        notes=notes,
        language=given.language,
        description=given.description,
        force=given.force,
        global_attention=given.global_attention,
        labels=read_labels(given.labels) if given.labels else (),
        problem_type=given.problem_type,
    )


def summary(parity: dict[str, Any]) -> str:
    """A manifest's figures in a line."""
    ids = f"ids of {parity['id_rows_identical']} of {parity['id_rows']} texts identical"
    if precision := parity.get("precision"):
        figures = precision["documents"]
        cosines = f"{figures['mean_cosine']:.5f} on average, {figures['worst_cosine']:.5f} at worst"
        return f"{ids}, document vectors of {precision['notes']} notes against fp32: cosine {cosines}"
    return f"{ids}, max |Δ| {max(figure['max_abs_difference'] for figure in parity['vectors']):.1e}"


def run_verify(given: argparse.Namespace) -> None:
    from sparkclin.export.convert import VerifyOptions, verify

    options = VerifyOptions(
        name=given.name,
        models=given.models,
        engine=given.engine,
        precision=given.precision,
        language=given.language,
        checkpoint=given.checkpoint,
        revision=given.revision,
        tokenizer=given.tokenizer,
        notes=given.notes,
    )
    with steps_alone() as steps:
        report = verify(options, steps=steps)
    print(report.to_text())


def parse_convert(arguments: Sequence[str], *, prog: str = PROG) -> argparse.Namespace:
    """Return the options, with the default engine and precision filled in."""
    parser = convert_parser(prog)
    given = parser.parse_args(arguments)
    if given.all and (given.engine or given.precision):
        parser.error("--all makes every engine and precision: leave out --engine and --precision")
    given.engine, given.precision = given.engine or TENSORFLOW.name, given.precision or PRECISIONS[0]
    return given


def convert_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Export a checkpoint into a Spark NLP model, verify it, and register it.",
        epilog=f"`{prog} verify NAME` compares a registered model with its checkpoint again.",
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a checkpoint's folder, or a hub id")
    parser.add_argument("--revision", help="of a hub id: a branch, tag or commit; default: its default branch")
    parser.add_argument(
        "--tokenizer",
        metavar="NAME_OR_FOLDER",
        help="the folder or hub id of a tokenizer, for a checkpoint without tokenizer files; default: the "
        "checkpoint's own",
    )
    parser.add_argument("--name", required=True, help="the name to ask pretrained() for, such as clinical_longformer")
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="the repository to register it in")
    parser.add_argument(
        "--engine",
        choices=EXPORTERS,
        help=f"default: {TENSORFLOW.name}, which stock pretrained() finds",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help=f"default: {PRECISIONS[0]}; bf16 and int8 are faster, not exact, and not there with every engine",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="every engine and precision whose packages are installed, in one start; those that are there already are "
        "left alone without --force, and one that is refused does not stop the others",
    )
    add_notes(parser)
    parser.add_argument(
        "--global-attention",
        choices=GLOBAL_ATTENTIONS,
        help="Longformer's: of no position, of a row's first, of that and the question behind it; default: as "
        "transformers has it for the head: first for classification, question for question answering, else none",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="the names of the labels, one per line in the order of the ids; default: those in config.json",
    )
    parser.add_argument(
        "--problem-type",
        choices=PROBLEM_TYPES,
        help="of a sequence classification: how its labels go together; default: as config.json has it",
    )
    parser.add_argument("--language", default="en", help="default: en")
    parser.add_argument("--description", default="", help="a line for `sparkclin models`")
    parser.add_argument(
        "--force", action="store_true", help="make a new version of a name that exists; never skips checks"
    )
    return parser


def verify_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{prog} verify", description="Compare a registered model with the checkpoint it was made from."
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="the repository it is registered in")
    parser.add_argument("--engine", choices=EXPORTERS, help="default: the fastest that there is")
    parser.add_argument("--precision", choices=PRECISIONS, help="default: fp32 where there is one")
    parser.add_argument("--language", help="of a name that exists in several languages")
    parser.add_argument("--checkpoint", help="its folder or hub id; default: the hub id and commit in the manifest")
    parser.add_argument("--revision", help="of the hub id: another branch, tag or commit")
    parser.add_argument("--tokenizer", metavar="NAME_OR_FOLDER", help="its folder or hub id; default: as at the export")
    add_notes(parser)
    return parser


def add_notes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--notes",
        type=Path,
        metavar="FILE",
        help="notes to compare bf16 or int8 with fp32 on (.jsonl, .parquet: note_id, text, specialties where known; "
        ".txt: one per line); default: the sample notes that come with sparkclin",
    )


if __name__ == "__main__":
    sys.exit(main())
