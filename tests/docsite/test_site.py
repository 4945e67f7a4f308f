"""The docs site is built as `make docs` builds it: no link leads nowhere, and nothing comes from the net."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import sparkclin
from tests.sparkclin.processes import clean_environment

ROOT = Path(__file__).parents[2]
LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


class Resources(HTMLParser):
    """What a page loads by itself: not what a reader may click."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        value = dict(attrs).get(LOADED.get(tag, ""), None)
        self.found += [value] if value and value != "#" else []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By the command of `make docs`, with this Python and into another folder."""
    pytest.importorskip("sphinx", reason="the docs extra is not installed")
    folder = tmp_path_factory.mktemp("site")
    made = build(ROOT, folder)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "docs"


def build(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    dry = ["make", "--dry-run", "--always-make", "docs"]
    recipe = subprocess.run(dry, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True).stdout
    (line,) = (line for line in recipe.splitlines() if "sphinx" in line)
    words = [
        word.replace("build/", f"{folder}/").replace(".venv/bin/python", sys.executable) for word in shlex.split(line)
    ]
    return subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_document_is_a_page(site: Path) -> None:
    """Sphinx itself refuses one that no menu leads to."""
    documents = [path for kind in ("*.md", "*.ipynb") for path in (ROOT / "docs").rglob(kind)]
    assert len(documents) > 25
    for document in documents:
        assert (site / document.relative_to(ROOT).with_suffix(".html")).exists()


def test_no_page_loads_anything_from_the_net(site: Path) -> None:
    loaded = {}
    for page in pages(site):
        reader = Resources()
        reader.feed(page.read_text(encoding="utf-8"))
        loaded[page] = [url for url in reader.found if re.match(r"(?:https?:)?//", url)]
    assert len(loaded) > 20
    assert {page: urls for page, urls in loaded.items() if urls} == {}


def test_no_style_loads_anything_from_the_net(site: Path) -> None:
    styles = [*site.rglob("*.css")]
    assert styles
    outside = re.compile(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//")
    assert [style for style in styles if outside.search(style.read_text(encoding="utf-8"))] == []


def test_what_a_page_loads_is_there(site: Path) -> None:
    for page in pages(site):
        reader = Resources()
        reader.feed(page.read_text(encoding="utf-8"))
        for url in reader.found:
            assert (page.parent / url.partition("?")[0]).exists(), f"{page}: {url}"


def test_search_needs_no_server(site: Path) -> None:
    """Its index is a script, which a page of the local disk may load; a fetch() it may not."""
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert index.startswith("Search.setIndex(")
    assert "pair_too_long" in index
    assert 'src="searchindex.js"' in (site / "search.html").read_text(encoding="utf-8")


def test_links_to_the_outside_are_whole(site: Path) -> None:
    """They are not asked for."""
    found = {url for page in pages(site) for url in re.findall(r'href="(https?:[^"]*)"', page.read_text("utf-8"))}
    assert found
    assert [url for url in found if not re.fullmatch(r"https://[\w.-]+\.[a-z]+(?:/[\w./~%+-]*)?", url)] == []


def test_the_generated_parts_are_filled(site: Path) -> None:
    reference = site / "docs" / "reference"
    assert "<!-- generated" not in "".join(page.read_text("utf-8") for page in reference.glob("*.html"))
    assert "passes over what begins with _ or ." in (reference / "errors.html").read_text("utf-8")
    assert "--hidden-files" in (reference / "options.html").read_text("utf-8")
    assert "token_index" in (reference / "columns.html").read_text("utf-8")


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = (site / "docs" / "reference" / "python.html").read_text(encoding="utf-8")
    assert [name for name in sparkclin.__all__ if f'id="sparkclin.{name}"' not in page] == ["__version__"]


@pytest.mark.parametrize("link", ["nowhere.md", "reference/errors.md#no-such-heading"])
@pytest.mark.usefixtures("site")
def test_a_broken_link_fails_the_build(link: str, tmp_path: Path) -> None:
    small = tmp_path / "root"
    (small / "docs" / "reference").mkdir(parents=True)
    conf = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    (small / "docs" / "conf.py").write_text(conf.replace("Path(__file__).parents[1]", f"Path({str(ROOT)!r})"))
    (small / "docs" / "_root").mkdir()
    toctree = "```{toctree}\nreference/errors\n```\n"
    (small / "docs" / "reference" / "errors.md").write_text("# Errors\n")
    (small / "docs" / "index.md").write_text(f"# A site\n\n[{link}]({link})\n\n{toctree}")
    made = build(small, tmp_path)
    assert made.returncode != 0
    assert link.partition("#")[2] or link in made.stderr
