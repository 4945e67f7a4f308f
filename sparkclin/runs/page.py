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
from string import Template

from sparkclin.errors import InputError, OptionError
from sparkclin.runs.findings import Findings, Mark, MarkedNote, Variant, by_label
from sparkclin.spark.storage import OWNER_ONLY, as_url, is_remote, is_taken, is_within, local_path, write_text

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
        if is_remote(self.path):
            raise OptionError(f"the page is a file of this machine, and {self.path} is not. Write it here and copy it.")
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
    if is_taken(options.path):
        raise InputError(f"{options.file} exists already; nothing is overwritten. Choose another --page.")
    if not options.file.absolute().parent.is_dir():
        raise InputError(f"{options.file.parent} is not a folder. Make it, or choose another --page.")


def write_page(findings: Findings, options: PageOptions) -> None:
    """Writes the page whole, readable by its owner only; raises InputError where it cannot be written."""
    try:
        write_text(options.file, page_html(findings), mode=OWNER_ONLY)
    except OSError as error:
        raise InputError(f"nothing can be written to {options.file} ({error.strerror}). Check --page.") from None


def page_html(findings: Findings) -> str:
    """The page as text. All that comes from notes or from the model is escaped."""
    marked = {mark.label for note in findings.notes for mark in note.marks}
    labels = sorted(marked | {variant.label for variant in findings.variants})
    hues = {label: HUES[number % len(HUES)] for number, label in enumerate(labels)}
    return _PAGE.substitute(
        model=escape(findings.model),
        description=escape(findings.description),
        shown=f"{len(findings.notes):,} of {findings.n_notes:,} notes",
        tables="\n".join(_table(label, rows, hues[label]) for label, rows in by_label(findings.variants)),
        notes="\n".join(_note(note, hues) for note in findings.notes),
    )


def _table(label: str, variants: Sequence[Variant], hue: int) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(variant.words)}</td><td>{variant.entities:,}</td><td>{variant.notes:,}</td></tr>"
        for variant in variants
    )
    caption = f'<caption>most frequent: <mark style="--hue:{hue}">{escape(label)}</mark></caption>'
    return f"<table>{caption}\n<tr><th>in lower case</th><th>found</th><th>in notes</th></tr>\n{rows}\n</table>"


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


_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Entities found by $model</title>
<style>
:root { color-scheme: light dark; --page: #fff; --text: #1c1c1e; --faint: #62626a; --line: #d8d8de;
        --saturation: 85%; --lightness: 86%; }
@media (prefers-color-scheme: dark) {
  :root { --page: #17181b; --text: #e6e6e9; --faint: #a0a0aa; --line: #3a3b42; --saturation: 45%; --lightness: 27%; }
}
body { margin: 0 auto; padding: 1.5rem; max-width: 60rem; background: var(--page); color: var(--text);
       font: 16px/1.65 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1rem; margin: 0 0 .5rem; }
small { color: var(--faint); font-weight: normal; }
header p { margin: .3rem 0; color: var(--faint); }
.warning { color: var(--text); font-weight: 600; }
.tables { display: flex; flex-wrap: wrap; gap: 1rem 3rem; margin: 1.5rem 0; }
table { border-collapse: collapse; align-self: flex-start; font-size: .9rem; }
caption { text-align: left; padding-bottom: .4rem; }
th, td { padding: .1rem 1rem .1rem 0; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
th { font-weight: normal; color: var(--faint); }
article { border-top: 1px solid var(--line); padding: 1rem 0; }
pre { margin: 0; font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; }
mark { background: hsl(var(--hue) var(--saturation) var(--lightness)); color: inherit; padding: .08em .3em;
       border-radius: .3em; box-decoration-break: clone; -webkit-box-decoration-break: clone; }
mark small { color: inherit; opacity: .75; font-size: .68em; margin-left: .45em; user-select: none; }
</style>
</head>
<body>
<header>
<h1>Entities found by $model</h1>
<p>$description</p>
<p class="warning">This page contains the text of notes. It shows $shown.</p>
</header>
<div class="tables">
$tables
</div>
$notes
</body>
</html>
""")
