"""`sparkclin setup`: the jars, and a spark-submit that works as typed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from sparkclin.spark.environment import check_replaceable, find_installation, set_up
from sparkclin.spark.jars import JarManifest, check_jars, environment_jars, set_up_jars


def main(arguments: Sequence[str] | None = None, *, prog: str = "sparkclin setup") -> int:
    """Returns the exit status; raises SparkclinError for what the user can mend."""
    asked = parser(prog).parse_args(arguments)
    if asked.check:
        check_jars(environment_jars())
        print(_are_there(JarManifest.read(environment_jars())))
        return 0
    installation = find_installation()
    check_replaceable(installation, force=asked.force)
    jars = environment_jars()
    print(f"Spark NLP's jars: into {jars}, once, some 400 MB; later runs need no registry", flush=True)
    with tqdm(desc="jars", unit="jar", disable=None, leave=False) as bar:
        manifest = set_up_jars(jars, source=asked.jars, progress=partial(_advance, bar))
    print(_are_there(manifest))
    set_up(installation, force=asked.force)
    print(f"{installation.launcher} is ready: it runs {installation.python}")
    return 0


def parser(prog: str = "sparkclin setup") -> argparse.ArgumentParser:
    build = argparse.ArgumentParser(
        prog=prog, description="Fetch Spark NLP's jars, once, and make this environment's spark-submit work as typed."
    )
    add = build.add_argument
    add(
        "--jars",
        type=Path,
        metavar="DIR",
        help="take the jars from a copy of another environment's share/sparkclin/jars",
    )
    add("--force", action="store_true", help="replace configuration files that somebody else wrote")
    add("--check", action="store_true", help="only compare the jars with what is pinned; change nothing")
    return build


def _are_there(jars: JarManifest) -> str:
    return f"{len(jars.files)} jars, {jars.size_mb:.0f} MB, are there, with the pinned SHA-256"


def _advance(bar: tqdm[NoReturn], done: int, known: int) -> None:
    bar.total = known
    bar.update(done - bar.n)
