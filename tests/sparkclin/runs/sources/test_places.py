"""Where an input is, and how places are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkclin.errors import InputError
from sparkclin.runs.sources.places import Place, escaped, folders_above, locate_on_disk, plain, without_scheme
from sparkclin.spark.storage import Entry


def test_a_path_that_is_there_is_itself_whatever_its_characters(tmp_path: Path) -> None:
    (tmp_path / "a[1]*").mkdir()
    (tmp_path / "a[1]*" / "b.csv").write_text("x")
    folder, file = locate_on_disk(f"{tmp_path}/a[1]*"), locate_on_disk(f"{tmp_path}/a[1]*/b.csv")
    assert folder is not None
    assert file is not None
    assert (folder.shown, folder.path) == (f"{tmp_path}/a[1]*", rf"file://{tmp_path}/a\[1\]\*")
    assert folder.itself is not None
    assert folder.itself.is_folder
    assert folder.base == file.base == f"file://{tmp_path}/a[1]*"
    assert file.itself is not None
    assert not file.itself.is_folder


@pytest.mark.parametrize(
    ("pattern", "base"),
    [("file:/in/ward*/a.csv", "file:/in"), (r"file:/in\[1\]/x/*", "file:/in[1]/x"), ("s3a://b/{x,y}", "s3a://b")],
)
def test_names_of_a_glob_are_relative_to_what_of_it_is_none(pattern: str, base: str) -> None:
    place = Place(shown="in", path=pattern, found=(Entry(path="file:/in/ward1/a.csv"),))
    assert place.itself is None
    assert place.base == base


def test_a_glob_is_for_hadoop_and_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert locate_on_disk(f"{tmp_path}/*.csv") is None
    with pytest.raises(InputError, match=r"^nothing is there: .*/gone/\*\.csv \(its \* \? .* are wildcards"):
        locate_on_disk(f"{tmp_path}/gone/*.csv")
    with pytest.raises(InputError, match=r"^nothing is there: .*/gone\. Check --input\.$"):
        locate_on_disk(f"{tmp_path}/gone")
    with pytest.raises(InputError, match=r"has \.\. behind a wildcard"):
        locate_on_disk(f"{tmp_path}/*/../a.csv")


@pytest.mark.parametrize(("path", "pattern"), [("/a b", "/a b"), ("/a[1]{2}*?\\", r"/a\[1\]\{2\}\*\?\\"), ("", "")])
def test_a_path_becomes_a_glob_of_itself(path: str, pattern: str) -> None:
    assert escaped(path) == pattern


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("s3a://bucket/a/b", "/a/b"), ("file:/a/b/", "/a/b"), ("file:///a/b", "/a/b"), ("/a:b/c", "/a:b/c"),
        ("hdfs://h:9000/a", "/a"), ("s3a://bucket", ""), ("a-b+c.d://x/y", "/y"), ("/", ""),
    ],
)  # fmt: skip
def test_a_url_without_its_scheme_is_a_path(url: str, path: str) -> None:
    assert without_scheme(url) == path


def test_folders_above_come_the_nearest_first_without_the_root() -> None:
    assert list(folders_above("file:///a/b/c")) == ["file:///a/b", "file:///a"]
    assert list(folders_above("s3a://bucket/a/b/")) == ["s3a://bucket/a"]
    assert list(folders_above("file:///a")) == list(folders_above("s3a://bucket")) == []


def test_a_file_is_named_by_its_path_or_its_url() -> None:
    assert plain("file:///a/b c") == plain("file:/a/b c") == "/a/b c"
    assert plain("s3a://bucket/a") == "s3a://bucket/a"
    assert plain("file:/a\n") == r"'/a\n'"
