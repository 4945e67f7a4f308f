"""Find the entities of a corpus of clinical notes: `sparkclin ner --input PATH --output PATH`.

Writes one row per entity, and a run report; with `--page` also an HTML page of notes. See the README.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sparkclin.commands.running import (
    add_run_arguments,
    add_window_arguments,
    reading_of,
    request_of,
    run_command,
)
from sparkclin.errors import OptionError
from sparkclin.runs.page import DEFAULT_NOTES
from sparkclin.schema import ENTITIES
from sparkclin.text.entities import AGGREGATIONS, WORD

if TYPE_CHECKING:
    from sparkclin.models.bundle import Bundle
    from sparkclin.runs.derived import DerivedTable
    from sparkclin.runs.page import PageOptions
    from sparkclin.runs.run import RunRequest, Task
    from sparkclin.tasks.entities import NerOptions

OMOP = "omop"
SCHEMAS = (ENTITIES, OMOP)
"""The output: a row per entity, or OMOP's note_nlp in addition to these rows, SPANS."""

SPANS = "spans"


def main(arguments: Sequence[str] | None = None, *, prog: str = "sparkclin ner") -> int:
    """Return the exit status: 0, 1 for an error that the user can fix, 2 for wrong usage."""
    return run_command(parser(prog), arguments, task=task_of, request=notes_of, afterwards=show)


def task_of(asked: argparse.Namespace) -> Task:
    """Raises OptionError for options that do not go together."""
    from sparkclin.runs.page import check_page
    from sparkclin.runs.tasks import finding

    if page := page_of(asked):
        check_page(page, output=asked.output)
    elif asked.page_notes is not None:
        raise OptionError("--page-notes has no effect without --page. Add --page, or leave it out.")
    if asked.output_schema == OMOP:
        first_id = 1 if asked.first_note_nlp_id is None else asked.first_note_nlp_id
        return for_omop(finding(options_of(asked)), first_id=first_id)
    if asked.first_note_nlp_id is not None:
        raise OptionError(f"--first-note-nlp-id is for --output-schema {OMOP}.")
    return with_settings(finding(options_of(asked)), output_schema=ENTITIES)


def notes_of(asked: argparse.Namespace) -> RunRequest:
    """Return the request; with --output-schema omop the input is OMOP's table `note`."""
    if asked.output_schema == OMOP:
        return request_of(asked, text_column="note_text", integer_ids=True)
    return request_of(asked)


def with_settings(task: Task, **more: object) -> Task:
    """The task, with more settings in its report."""
    return replace(task, settings=lambda manifest: {**task.settings(manifest), **more})


def for_omop(found: Task, *, first_id: int) -> Task:
    """The task with OMOP's note_nlp, whose ids begin with `first_id`; raises OptionError where they cannot."""
    from sparkclin.runs.derived import DerivedTable
    from sparkclin.tasks.note_nlp import check_first_id, check_note_nlp, nlp_system, note_nlp

    check_first_id(first_id)

    def derived(bundle: Bundle) -> DerivedTable:
        system = nlp_system(bundle)
        return DerivedTable(
            name="note_nlp",
            rows_name=SPANS,
            make=lambda rows, notes, started: note_nlp(
                rows, notes, system=system, at=datetime.fromisoformat(started), first_id=first_id
            ),
            check=lambda written, rows: check_note_nlp(written, rows, first_id=first_id),
        )

    return replace(with_settings(found, output_schema=OMOP, first_note_nlp_id=first_id), derived=derived)


def show(asked: argparse.Namespace, request: RunRequest) -> str:
    """Writes the page that is asked for, and returns the most frequent variants; without one, nothing: it is text."""
    from sparkclin.runs.findings import read_findings
    from sparkclin.runs.page import write_page

    page = page_of(asked)
    if page is None:
        return ""
    written = replace(request, sink=request.sink.within(SPANS)) if asked.output_schema == OMOP else request
    findings = read_findings(written, model=request.model.find(task=ENTITIES), most_notes=page.notes)
    write_page(findings, page)
    shown = f"{len(findings.notes)} of {findings.n_notes} notes are in {page.path}, which contains their text."
    return f"{findings.summary()}\n\n{shown}"


def page_of(asked: argparse.Namespace) -> PageOptions | None:
    from sparkclin.runs.page import PageOptions

    if not asked.page:
        return None
    return PageOptions(path=asked.page, notes=DEFAULT_NOTES if asked.page_notes is None else asked.page_notes)


def options_of(asked: argparse.Namespace) -> NerOptions:
    from sparkclin.tasks.entities import NerOptions

    return NerOptions(aggregation=asked.aggregation, **reading_of(asked))


def parser(prog: str = "sparkclin ner") -> argparse.ArgumentParser:
    build = argparse.ArgumentParser(prog=prog, description="Find the entities of a corpus of clinical notes.")
    add_run_arguments(build)
    add = build.add_argument
    add(
        "--aggregation",
        choices=AGGREGATIONS,
        default=WORD,
        help=f"how labels of pieces become labels of words; {WORD}: a word ends before punctuation, and has the label "
        f"of its first piece; the others are those of transformers; default: {WORD}",
    )
    add(
        "--output-schema",
        choices=SCHEMAS,
        default=ENTITIES,
        help=f"{OMOP}: note_nlp, from a table `note` (the text column is note_text then); default: {ENTITIES}",
    )
    add("--first-note-nlp-id", type=int, metavar="N", help=f"with {OMOP}: the first note_nlp_id; default: 1")
    add_window_arguments(build)
    add(
        "--page",
        metavar="FILE.html",
        help="also write a page that shows notes with their entities, and print the most frequent: both contain note "
        "text, so only for notes that may be shown",
    )
    add(
        "--page-notes",
        type=int,
        metavar="N",
        help=f"on the page at most; default: {DEFAULT_NOTES}",
    )
    return build
