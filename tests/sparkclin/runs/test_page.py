"""The page, as a browser's parser reads it: the text of notes is text, whatever is written in it."""

from __future__ import annotations

import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sparkclin.errors import InputError, OptionError
from sparkclin.runs.findings import Findings, Mark, MarkedNote, Variant
from sparkclin.runs.page import HUES, PageOptions, check_page, page_html, write_page

TEXT = "\n\nBP <script>alert('x')</script> & &amp; </pre> 🩺 fever\n> 38 \"C\""


def findings(*notes: MarkedNote, variants: tuple[Variant, ...] = ()) -> Findings:
    return Findings(model="m <1>", description="F1 & all", n_notes=1_234, notes=notes, variants=variants)


def marks_of(text: str, *words: str) -> tuple[Mark, ...]:
    return tuple(Mark(text.index(word), text.index(word) + len(word), "Sign", 0.75) for word in words)


class Read(HTMLParser):
    """The tags of a page, the text of each <pre> without the labels, and the text of each <mark> in one."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.notes: list[str] = []
        self.marked: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "!doctype"):
            self.open.append(tag)
        if tag == "pre":
            self.notes.append("")
        elif tag == "mark" and "pre" in self.open:
            self.marked.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "pre" in self.open and self.open[-1] != "small":
            self.notes[-1] += data
            if self.open[-1] == "mark":
                self.marked[-1] += data


def test_all_of_a_note_is_text() -> None:
    note = MarkedNote("<b>7</b>", TEXT, marks_of(TEXT, "<script>alert(", "& &amp;", "fever\n>"))
    page = Read(page_html(findings(note, variants=(Variant("Sign", "<i>&</i>", 1, 1),))))
    assert page.open == []
    # A browser drops the first line break of a <pre>.
    assert page.notes == [f"\n{TEXT}"]
    assert page.marked == ["<script>alert(", "& &amp;", "fever\n>"]
    assert {"script", "b", "i"} & set(page.tags) == set()


def test_the_first_line_break_of_a_note_is_kept() -> None:
    assert "<pre>\n\n\nBP" in page_html(findings(MarkedNote("a", TEXT, ())))


def test_offsets_are_code_points() -> None:
    text = "🩺🤒 gout 🩺"
    assert Read(page_html(findings(MarkedNote("a", text, (Mark(3, 7, "Sign", 1.0),))))).marked == ["gout"]


@pytest.mark.parametrize(
    ("ranges", "marked"),
    [
        ([(0, 4), (2, 7)], ["abcd", "efg"]),
        ([(0, 7), (2, 4)], ["abcdefg"]),
        ([(5, 99)], ["fg"]),
        ([(3, 3)], []),
    ],
)
def test_no_character_is_shown_twice(ranges: list[tuple[int, int]], marked: list[str]) -> None:
    note = MarkedNote("a", "abcdefg", tuple(Mark(begin, end, "Sign", 0.5) for begin, end in ranges))
    page = Read(page_html(findings(note)))
    assert (page.notes, page.marked) == (["\nabcdefg"], marked)


def test_it_needs_no_network_and_no_script() -> None:
    note = MarkedNote("a", "see https://example.org/x.png", ())
    page = page_html(findings(note))
    read = Read(page)
    assert {"script", "link", "img", "iframe", "object"} & set(read.tags) == set()
    assert {"src", "href", "onload"} & {name for name, _ in read.attributes} == set()
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "@import" not in page


def test_it_follows_the_readers_light_or_dark() -> None:
    page = page_html(findings())
    assert "color-scheme: light dark" in page
    assert "@media (prefers-color-scheme: dark)" in page


def test_it_says_what_it_shows() -> None:
    page = page_html(findings(MarkedNote("a", "x", ()), variants=(Variant("Sign", "gout", 1_500, 12),)))
    assert "<h1>Entities found by m &lt;1&gt;</h1>\n<p>F1 &amp; all</p>" in page
    assert "contains the text of notes. It shows 1 of 1,234 notes." in page
    assert "<tr><td>gout</td><td>1,500</td><td>12</td></tr>" in page


def test_each_label_has_its_colour_everywhere() -> None:
    labels = [f"L{number}" for number in range(len(HUES) + 1)]
    note = MarkedNote("a", "x" * len(labels), tuple(Mark(i, i + 1, label, 0.5) for i, label in enumerate(labels)))
    page = page_html(findings(note, variants=(Variant("L1", "x", 1, 1),)))
    assert f'<mark style="--hue:{HUES[1]}">L1</mark>' in page
    assert f'<mark style="--hue:{HUES[1]}" title="L1, 0.50">x<small>L1</small></mark>' in page
    assert page.count(f"--hue:{HUES[0]}") == 2


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    write_page(findings(), PageOptions(path=str(file)))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text(encoding="utf-8") == page_html(findings())
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    check_page(PageOptions(path=str(file)), output=str(tmp_path / "out"))
    for link in (tmp_path / "gone", __file__):
        file.unlink(missing_ok=True)
        file.symlink_to(link)
        with pytest.raises(InputError, match=r"page\.html exists already; nothing is overwritten"):
            check_page(PageOptions(path=str(file)), output=str(tmp_path / "out"))


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    options = PageOptions(path=str(tmp_path / "none" / "page.html"))
    with pytest.raises(InputError, match="none is not a folder"):
        check_page(options, output=str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"nothing can be written to .*Check --page"):
        write_page(findings(), options)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"path": "s3a://bucket/page.html"}, "a file of this machine"), ({"path": "x", "notes": 0}, "a page of 0 notes")],
)
def test_a_page_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        PageOptions(**options)  # type: ignore[arg-type]
