"""Draw a map of notes: `sparkclin map VECTORS --color COLUMN --output map.html`. Needs no Spark."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sparkclin.errors import exit_status
from sparkclin.maps.note_map import MOST_NOTES, MapOptions, note_map
from sparkclin.maps.page import map_html
from sparkclin.maps.projection import METHODS, PCA
from sparkclin.runs.html_page import check_file, write_file

OPTION = "--output"


def main(arguments: Sequence[str] | None = None, *, prog: str = "sparkclin map") -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    asked = parser(prog).parse_args(arguments)
    return exit_status(lambda: draw(asked))


def draw(asked: argparse.Namespace) -> None:
    """Writes the page, and prints what it shows."""
    file = check_file(asked.output, option=OPTION)
    notes = note_map(asked.vectors, options_of(asked))
    write_file(file, map_html(notes), option=OPTION)
    print(f"{asked.output}\n{notes.summary()}")


def options_of(asked: argparse.Namespace) -> MapOptions:
    """Raises OptionError for what cannot be."""
    return MapOptions(
        color=asked.color,
        hover=tuple(asked.hover),
        notes=asked.notes,
        method=asked.method,
        sample=asked.sample,
        seed=asked.seed,
    )


def parser(prog: str = "sparkclin map") -> argparse.ArgumentParser:
    build = argparse.ArgumentParser(
        prog=prog, description="Draw a map of notes by their vectors, as an HTML file that needs no network."
    )
    add = build.add_argument
    add("vectors", metavar="VECTORS", help="where a run at level document has written, on this machine, as Parquet")
    add(OPTION, required=True, metavar="FILE.html", help="the page; must not exist")
    add("--color", metavar="COLUMN", help="a column of the vectors' table or of --notes, by which notes have colours")
    add("--hover", nargs="+", default=[], metavar="COLUMN", help="what else a note shows beside its id")
    add("--notes", metavar="FILE", help="a table with note_id and these columns: jsonl, csv or parquet")
    add("--method", choices=METHODS, default=PCA, help=f"umap needs the extra `map`; default: {PCA}")
    add("--sample", type=int, default=MOST_NOTES, metavar="N", help=f"draw N of more notes; default: {MOST_NOTES:,}")
    add("--seed", type=int, default=0, metavar="N", help="of --sample and umap; default: 0")
    return build
