"""Every error of ours can be searched for, is in the document, and says what to do."""

from __future__ import annotations

import ast

import pytest

from docsite.error_page import SECTIONS, advises, entries_of, error_page, help_for, section_of
from docsite.errors import (
    BASE,
    PACKAGES,
    ROOT,
    Message,
    Module,
    Reader,
    constants_of,
    kinds,
    longest_constant,
    messages,
    searchable,
)
from docsite.help import HELP
from docsite.markdown import escaped

MESSAGES = messages()


def message_of(source: str) -> Message:
    """The first message in a module of its own."""
    module = Module(ROOT / "toy.py")  # only its name is asked for
    module.__dict__["tree"] = ast.parse(source)
    return next(Reader(module, {}).messages({"InputError": ""}))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: f"{message.place}:{message.line}")
def test_an_error_can_be_searched_for(message: Message) -> None:
    """Or each of the problems that it lists can."""
    sentences = message.problems or message.sentences
    assert sentences
    assert [text for text in sentences if not searchable(text, MESSAGES)] == [], "begin it with what is always the same"


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: f"{message.place}:{message.line}")
def test_an_error_says_what_to_do(message: Message) -> None:
    assert advises(message) or help_for(message), "say it, or add it to docsite/help.py"


def test_every_help_is_of_an_error() -> None:
    assert [part for part in HELP if not any(part in text for message in MESSAGES for text in message.all)] == []


def test_every_error_that_is_raised_is_listed() -> None:
    """By another way than the one that lists them: the lines of `raise`."""
    ours = kinds()
    raised = {
        (path.relative_to(ROOT).as_posix(), node.exc.lineno)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in ours
    }
    listed = {(message.place, message.line) for message in MESSAGES}
    assert len(raised) > 150
    again = {("sparkclin/runs/sources/lines.py", line) for place, line in raised - listed if "lines.py" in place}
    assert raised - listed == again, "only one says what another error says"
    assert len(again) <= 1


def test_every_error_is_on_the_page() -> None:
    page = error_page()
    for message in MESSAGES:
        for text in message.all:
            for constant in constants_of(" ".join(text.split()).partition(". ")[0]):
                assert escaped(constant.rstrip(".")) in page or "`" in constant or "--" in constant, constant


def test_every_kind_is_explained_and_every_section_has_errors() -> None:
    explained = [kind for own in SECTIONS.values() for kind in own]
    assert set(kinds()) - {BASE} == set(explained)
    assert {section_of(message) for message in MESSAGES} == set(SECTIONS)


@pytest.mark.parametrize(
    ("raised", "sentences"),
    [
        ('InputError("There is no note. Check it.")', ["There is no note. Check it."]),
        ('InputError(f"{n} notes have no id.")', ["… notes have no id."]),
        ('InputError(f"{a}{b}: " + f"{c!r} is odd.")', ["…: … is odd."]),
        ('InputError(f"it is {NAME}.")', ["it is empty."]),
        ('InputError(f"a" if x else "b")', ["a", "b"]),
        ('InputError(f"it is wrong. {advice(x)}")', ["it is wrong. Try it again, slowly.", "it is wrong. …"]),
    ],
)
def test_a_sentence_is_read_with_gaps(raised: str, sentences: list[str]) -> None:
    source = f'NAME = "empty"\ndef advice(x):\n    return "Try it again, slowly." if x else x\nraise {raised}'
    assert list(message_of(source).sentences) == sentences


LISTED = """
def more(n):
    yield f"{n} rows are without an id"

def check(n):
    problems = [f"{n} notes have no text"] if n else []
    problems.append(f"{n} notes share their id")
    problems += [f"{len(found)} {what}" for found, what in ((n, "notes are of no kind at all"),)]
    problems.extend(more(n))
    if problems:
        raise InputError(f"{n}: {'; '.join(problems)}. Mend them.")
"""


def test_problems_that_are_joined_are_sentences_too() -> None:
    assert set(message_of(LISTED).problems) == {
        "… notes have no text",
        "… notes share their id",
        "notes are of no kind at all",
        "… rows are without an id",
    }


def message(*sentences: str) -> Message:
    return Message(kind="InputError", place="a/b.py", line=1, sentences=sentences)


@pytest.mark.parametrize("sentence", ["… of … are …", "17 notes", "note … is … of 5", "the same words twice"])
def test_what_cannot_be_searched_for_is_noticed(sentence: str) -> None:
    others = [message(sentence), message("… the same words twice, and more")]
    assert not searchable(sentence, others)


def test_a_part_that_no_other_error_has_is_enough() -> None:
    own = message("… and … are of two kinds altogether: …")
    assert searchable(own.sentences[0], [own, message("… are of one kind")])
    assert longest_constant(own.sentences[0]) == "are of two kinds altogether:"


def test_what_to_do_is_seen() -> None:
    assert advises(message("… is empty. Check --input."))
    assert not advises(message("… is empty."))


def test_an_entry_has_the_sentence_the_help_and_the_place() -> None:
    made = entries_of(message("… is _odd_ in --input. Mend it."))
    assert made == ["**… is \\_odd\\_ in `--input`.**\n:   Mend it. `InputError`, `a/b.py`"]
