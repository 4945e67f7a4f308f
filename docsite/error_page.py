"""Each error of ours with what it means and what to do, for `docs/reference/errors.md`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from docsite.errors import Message, kinds, messages
from docsite.help import HELP
from docsite.markdown import escaped

SECTIONS = {
    "Java, Spark and the jars": ("SetupError",),
    "Models": ("ModelError",),
    "Options": ("OptionError",),
    "Input": ("InputError",),
    "Output": ("InputError",),
    "Counts that do not fit": ("IncompleteError",),
    "A step of Spark's failed": ("StepError",),
    "Export": ("CheckpointError", "ParityError"),
    "Scores": (),
}
"""Each section of the page, and the kinds that it explains."""

_BY_KIND = {kind: title for title, own in SECTIONS.items() for kind in own if title != "Output"}
_BY_PLACE = {
    "export/": "Export",
    "evaluation/": "Scores",
    "sparkclin/runs/place": "Output",
    "sparkclin/runs/page": "Output",
}

ADVICE = re.compile(
    r"[.)…] [A-Z`]|expected|[:;,] (?:or )?"
    r"(?:add|call|check|choose|copy|give|install|leave|load|look|make|move|name|put|raise|remove|repair|run|say|set|start)\b"
)
"""How a sentence goes on that says what to do."""


def section_of(message: Message) -> str:
    by_place = (title for start, title in _BY_PLACE.items() if message.place.startswith(start))
    return next(by_place, None) or _BY_KIND[message.kind]


def advises(message: Message) -> bool:
    """Whether it says by itself what to do."""
    return any(ADVICE.search(text) for text in message.all)


def help_for(message: Message) -> str:
    """What HELP says of it."""
    return " ".join(said for part, said in HELP.items() if any(part in text for text in message.all))


def error_page() -> str:
    """Markdown: a section per situation, an entry per error in the order of the alphabet."""
    explained = kinds()
    found = sorted(messages(), key=lambda message: re.sub(r"^[^\w-]+", "", message.all[0]).lower())
    parts = []
    for title, own in SECTIONS.items():
        meant = [f"`{kind}`: {escaped(explained[kind])}" for kind in own]
        # Several places may say the same: once is enough.
        entries = dict.fromkeys(
            text for message in found if section_of(message) == title for text in entries_of(message)
        )
        parts.append("\n\n".join([f"## {title}", *meant, *entries]))
    return "\n\n".join(parts)


def entries_of(message: Message) -> list[str]:
    """The sentence, and below it what to do, the kind and the file. A message that is a list of problems and nothing
    else has an entry for each."""
    own = [text for text in message.sentences if re.search(r"\w", halves(text)[0])]
    if not own:
        return [_entry(message, [problem]) for problem in message.problems]
    return [_entry(message, own, listed=message.problems)]


def _entry(message: Message, sentences: Sequence[str], *, listed: Sequence[str] = ()) -> str:
    statements, remedies = zip(*(halves(text) for text in sentences), strict=True)
    term = " *or* ".join(f"**{escaped(text)}**" for text in dict.fromkeys(statements))
    said = [*(escaped(text) for text in dict.fromkeys(remedies) if text), help_for(message)]
    source = f"`{message.kind}`, `{message.place}`"
    problems = "".join(f"    - **{escaped(problem)}**\n" for problem in listed)
    lead = f"With one or more of these:\n\n{problems}\n    " if listed else ""
    return f"{term}\n:   {lead}{' '.join(filter(None, said))} {source}"


def halves(sentence: str) -> tuple[str, str]:
    """`… is empty. Check --input.`: what is wrong, and what comes after it."""
    statement, stop, rest = " ".join(sentence.split()).partition(". ")
    return statement + stop.strip(), rest
