"""A Sphinx extension: fills `<!-- generated: NAME -->` in a page with what is made of the code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from docsite.columns import answer_columns, entity_columns, label_columns, vector_columns
from docsite.error_page import error_page
from docsite.options import options_page

if TYPE_CHECKING:
    from sphinx.application import Sphinx

GENERATED: Mapping[str, Callable[[], str]] = {
    "answer_columns": answer_columns,
    "entity_columns": entity_columns,
    "errors": error_page,
    "label_columns": label_columns,
    "options": options_page,
    "vector_columns": vector_columns,
}
MARK = re.compile(r"^<!-- generated: (\w+) -->$", flags=re.MULTILINE)


def fill(page: str) -> str:
    return MARK.sub(lambda mark: GENERATED[mark[1]](), page)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", _on_read)
    return {"parallel_read_safe": True}


def _on_read(app: Sphinx, name: str, source: list[str]) -> None:  # noqa: ARG001  # Sphinx gives them
    source[0] = fill(source[0])
