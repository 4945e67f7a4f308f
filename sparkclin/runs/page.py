"""One HTML page of notes with their entities marked: a file that needs no network and runs no script.

It contains note text, so it is made only where a user asks for it, and only its owner may read it. Why not by a
library: displaCy brings all of spaCy into the runtime (40 packages, 240 MB beside the 500 MB of the rest), and
spark-nlp-display 5.0 brings IPython (17 packages, 62 MB) and does not escape what is in a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from sparkclin.errors import OptionError
from sparkclin.runs.findings import Findings, Mark, MarkedNote, Variant, by_label
from sparkclin.runs.html_page import check_file, check_is_here, html_page, write_file
from sparkclin.spark.storage import as_url, is_remote, is_within, local_path

DEFAULT_NOTES = 20
HUES = (210, 25, 140, 285, 50, 340, 175, 250)
"""Degrees on the colour wheel, for the labels in order; a ninth label has the first one's."""


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """`path` is a file of this machine that is not there yet; at most `notes` notes are shown.

    Raises OptionError for a path on another file system, or less than one note.
    """

    path: str
    notes: int = DEFAULT_NOTES

    def __post_init__(self) -> None:
        check_is_here(self.path)
        if self.notes < 1:
            raise OptionError(f"a page of {self.notes} notes was asked for: there is at least one.")

    @property
    def file(self) -> Path:
        return local_path(self.path)


def check_page(options: PageOptions, *, output: str) -> None:
    """Raises InputError where something is at the page's path already, or its folder is not there, and OptionError
    where it is the path of the `output`."""
    if not is_remote(output) and is_within(as_url(options.path), as_url(output)):
        raise OptionError(f"{options.file} is the output's place too. Choose another --page.")
    check_file(options.path, option="--page")


def write_page(findings: Findings, options: PageOptions) -> None:
    """Writes the page whole, readable by its owner only; raises InputError where it cannot be written."""
    write_file(options.file, page_html(findings), option="--page")


def page_html(findings: Findings) -> str:
    """The page as text. All that comes from notes or from the model is escaped."""
    marked = {mark.label for note in findings.notes for mark in note.marks}
    labels = sorted(marked | {variant.label for variant in findings.variants})
    hues = {label: HUES[number % len(HUES)] for number, label in enumerate(labels)}
    title = f"Entities found by {findings.model}"
    tables = "\n".join(_table(label, rows, hues[label]) for label, rows in by_label(findings.variants))
    shows = f"It shows {len(findings.notes):,} of {findings.n_notes:,} notes."
    return html_page(
        title=title,
        style=_STYLE,
        body=f"""\
<header>
<h1>{escape(title)}</h1>
<p>{escape(findings.description)}</p>
<p class="warning">This page contains the text of notes. {shows}</p>
</header>
<div class="tables">
{tables}
</div>
{"".join(_note(note, hues) for note in findings.notes)}""",
    )


def _table(label: str, variants: Sequence[Variant], hue: int) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(variant.words)}</td><td>{variant.entities:,}</td><td>{variant.notes:,}</td></tr>"
        for variant in variants
    )
    caption = f'<caption>most frequent: <mark style="--hue:{hue}">{escape(label)}</mark></caption>'
    head = "<tr><th>in lower case</th><th>found</th><th>in notes</th></tr>"
    return f"<div class='card'><table>{caption}\n{head}\n{rows}\n</table></div>"


def _note(note: MarkedNote, hues: dict[str, int]) -> str:
    heading = f"<h2>{escape(note.note_id)} <small>{len(note.marks):,} entities</small></h2>"
    # A parser drops the first line break behind <pre>, so that one is ours.
    return f"<article>{heading}<pre>\n{''.join(_marked(note, hues))}</pre></article>"


def _marked(note: MarkedNote, hues: dict[str, int]) -> Iterator[str]:
    """The text in pieces of HTML; of entities that share characters, the earlier one has them."""
    at = 0
    for mark in note.marks:
        begin, end = max(mark.begin, at), min(mark.end, len(note.text))
        if begin < end:
            yield escape(note.text[at:begin])
            yield _entity(note.text[begin:end], mark, hues[mark.label])
            at = end
    yield escape(note.text[at:])


def _entity(text: str, mark: Mark, hue: int) -> str:
    title = f"{mark.label}, {mark.score:.2f}"
    label = f"<small>{escape(mark.label)}</small>"
    return f'<mark style="--hue:{hue}" title="{escape(title)}">{escape(text)}{label}</mark>'


_STYLE = """\
body { max-width: 64rem; }
header p { color: var(--faint); }
header .warning { color: var(--warn); }
.tables { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1rem;
          margin: 1.25rem 0; }
.tables .card { align-self: start; padding: .8rem 1.1rem; }
.tables table { width: 100%; font-size: .9rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
.tables caption { padding: 0 0 .4rem; }
.tables th, .tables td { padding: .2rem 0 .2rem 1rem; border-bottom: 1px solid var(--line); text-align: right;
                         white-space: nowrap; }
.tables tr:last-child td { border-bottom: 0; }
.tables th:first-child, .tables td:first-child { width: 99%; padding-left: 0; text-align: left; white-space: normal;
                                                 overflow-wrap: anywhere; }
article { padding: 1rem 1.25rem 1.15rem; margin-bottom: 1rem; }
article h2 { margin-bottom: .5rem; }
pre { margin: 0; font: inherit; font-size: 1rem; line-height: 1.75; white-space: pre-wrap; overflow-wrap: anywhere; }
mark { background: hsl(var(--hue) var(--saturation) var(--lightness)); color: inherit; padding: .08em .3em;
       border-radius: .3em; box-decoration-break: clone; -webkit-box-decoration-break: clone; }
mark small { color: inherit; opacity: .8; font-size: .7em; margin-left: .45em; user-select: none; }
"""
