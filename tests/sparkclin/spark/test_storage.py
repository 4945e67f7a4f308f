"""Files on the local disk and on a file system that only Hadoop knows (a viewfs mount) behave alike."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import OptionError, SetupError
from sparkclin.spark import storage


def names_in(folder: Path) -> list[str]:
    """Without Hadoop's checksums."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".crc")


@pytest.mark.parametrize(
    "begins", ["", "file:", "file://", "file:///", "FILE:////", "file://localhost", "FILE://LOCALHOST//"]
)
def test_a_file_of_this_machine(begins: str) -> None:
    assert storage.local_path(f"{begins}/data/a b%20é") == Path("/data/a b%20é")


@pytest.mark.parametrize("location", ["file://host/x", "FILE://host/x", "file://host", "file://localhost:80/x"])
def test_a_file_of_another_machine_is_refused(location: str) -> None:
    with pytest.raises(OptionError, match=r"names a file of the machine .* three slashes"):
        storage.local_path(location)


def test_what_is_written_is_read(folder: str, tmp_path: Path) -> None:
    file = f"{folder}/note count"
    assert not storage.exists(file)
    storage.write_text(file, "one\ntwo é\n")
    assert storage.exists(file)
    assert storage.exists(folder)
    assert storage.read_text(file) == "one\ntwo é\n"
    assert storage.size_of(file) == 11
    assert stat.S_IMODE((tmp_path / "note count").stat().st_mode) == 0o644


def test_files_below_a_folder_are_listed_with_their_state_and_hashed(folder: str, tmp_path: Path) -> None:
    (tmp_path / "a folder" / "below").mkdir(parents=True)
    (tmp_path / "a folder" / "below" / "two %20 é").write_bytes(b"content")
    (tmp_path / "a folder" / ".hidden").touch()
    found = storage.states_below(f"{folder}/a folder")
    assert {name: state.size for name, state in found.items()} == {"below/two %20 é": 7, ".hidden": 0}
    hashed = storage.sha256_of(f"{folder}/a folder/below/two %20 é")
    assert hashed == hashlib.sha256(b"content").hexdigest()
    with pytest.raises(FileNotFoundError):
        storage.sha256_of(f"{folder}/a folder/none")


def test_a_file_has_its_size_and_time_however_it_is_found(spark: SparkSession, folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("notes")
    os.utime(tmp_path / "file", (1_000_000_000, 1_000_000_000))
    [below], [matched] = storage.files_below(folder), storage.matching(spark, f"{folder}/f*")
    for entry in (storage.entry_at(f"{folder}/file"), below, matched):
        assert (entry.is_folder, entry.size, entry.changed) == (False, 5, 1_000_000_000_000)


def test_a_file_is_replaced(folder: str, tmp_path: Path) -> None:
    for text in ("old and long", "new"):
        storage.write_text(f"{folder}/file", text)
    assert storage.read_text(f"{folder}/file") == "new"
    assert names_in(tmp_path) == ["file"]


def test_a_file_can_be_its_owners_only(folder: str, tmp_path: Path) -> None:
    storage.write_text(f"{folder}/file", "text", mode=storage.OWNER_ONLY)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_a_folder_is_listed_and_measured(folder: str, tmp_path: Path) -> None:
    (tmp_path / "below" / "further").mkdir(parents=True)
    (tmp_path / "below" / "further" / "b").write_text("12345")
    (tmp_path / "a").write_text("123")
    assert [name for name in storage.list_names(folder) if not name.endswith(".crc")] == ["a", "below"]
    assert storage.size_of(folder) == 8


def test_what_is_not_there(folder: str) -> None:
    for reach in (storage.read_text, storage.list_names, storage.size_of):
        with pytest.raises(FileNotFoundError):
            reach(f"{folder}/nowhere")


def test_a_file_that_cannot_be_written_leaves_the_old_one_whole(tmp_path: Path) -> None:
    """A write that ends half-way: text that is not UTF-8 from some place on."""
    file = tmp_path / "file"
    storage.write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        storage.write_text(file, "x" * 100_000 + "\ud800")
    assert file.read_text() == "old"
    assert names_in(tmp_path) == ["file"]


def test_a_file_of_a_url_that_cannot_be_written_leaves_the_old_one_whole(mounted: str, tmp_path: Path) -> None:
    """A write that ends half-way: permissions that there are not, which are set before there is any content."""
    storage.write_text(f"{mounted}/file", "old")
    with pytest.raises(OSError, match="file"):
        storage.write_text(f"{mounted}/file", "new", mode=-1)
    assert (tmp_path / "file").read_text() == "old"
    assert names_in(tmp_path) == ["file"]


def test_what_cannot_be_replaced_stays_and_nothing_else_is_left(folder: str, tmp_path: Path) -> None:
    """Where a folder is, no file can be; that is found when all of the text is written."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").write_text("old")
    with pytest.raises(OSError, match="taken"):
        storage.write_text(f"{folder}/taken", "new")
    assert names_in(tmp_path) == ["taken"]
    assert (tmp_path / "taken" / "inside").read_text() == "old"


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    """One who opened the old file goes on reading the old one: the new one is another file under its name."""
    file = tmp_path / "file"
    storage.write_text(file, "old")
    with file.open() as reader:
        storage.write_text(file, "new content")
        assert reader.read() == "old"
    assert file.read_text() == "new content"


def test_a_reader_of_a_url_never_sees_a_part(mounted: str, tmp_path: Path) -> None:
    storage.write_text(f"{mounted}/file", "old")
    with (tmp_path / "file").open() as reader:
        storage.write_text(f"{mounted}/file", "new content")
        assert reader.read() == "old"


def test_a_file_system_that_cannot_replace_in_one_step(spark: SparkSession, mounted: str, tmp_path: Path) -> None:
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    key = "fs.AbstractFileSystem.viewfs.impl"
    known = conf.get(key)
    conf.unset(key)
    try:
        for text in ("old and long", "new"):
            storage.write_text(f"{mounted}/file", text)
    finally:
        conf.set(key, known)
    assert storage.read_text(f"{mounted}/file") == "new"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.usefixtures("spark")
def test_what_the_jvm_raises_is_an_os_error() -> None:
    with pytest.raises(OSError, match="No FileSystem for scheme"):
        storage.exists("unheard-of://of/it")


def test_a_url_needs_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "running_session", lambda: None)
    with pytest.raises(SetupError, match="Start a session first"):
        storage.read_text("s3a://bucket/file")


def test_a_bare_path_is_where_spark_means_it_to_be(spark: SparkSession, tmp_path: Path, mounted: str) -> None:
    assert storage.as_spark_means(spark, str(tmp_path)) == f"file://{tmp_path}"
    assert storage.as_spark_means(spark, f"{mounted}/x") == f"{mounted}/x"
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    before = conf.get("fs.defaultFS")
    conf.set("fs.defaultFS", "viewfs://storage/")
    try:
        assert storage.as_spark_means(spark, "/files/x") == f"{mounted}/x"
    finally:
        conf.set("fs.defaultFS", before)


@pytest.mark.parametrize(
    ("location", "remote"),
    [
        ("/data/models", False),
        ("models", False),
        ("file:/data/models", False),
        ("file:///data/models", False),
        ("s3a://bucket/models", True),
        ("hdfs://name:8020/models", True),
        ("dbfs:/models", True),
    ],
)
def test_which_locations_are_remote(location: str, *, remote: bool) -> None:
    assert storage.is_remote(location) is remote


@pytest.mark.parametrize("location", ["/data/models", "file:/data/models", "file:///data/models"])
def test_spark_gets_a_local_folder_as_a_url(location: str) -> None:
    assert storage.as_url(location) == "file:///data/models"
    assert storage.as_url("s3a://bucket/models") == "s3a://bucket/models"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("here/link/../notes", "real/notes"),
        ("here/link/..", "real"),
        ("here/link", "here/link"),
        ("here/link/x", "real/sub/x"),
        ("here/./notes/", "here/notes"),
        ("none/../notes", "notes"),
    ],
)
def test_a_local_url_is_where_this_machine_finds_it(tmp_path: Path, location: str, expected: str) -> None:
    for folder in ("real/sub", "here"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "here" / "link").symlink_to(tmp_path / "real" / "sub")
    assert storage.as_url(f"{tmp_path}/{location}") == f"file://{tmp_path}/{expected}"
    assert storage.as_url(storage.as_url(f"{tmp_path}/{location}")) == f"file://{tmp_path}/{expected}"


@pytest.mark.parametrize(
    ("pattern", "location", "matches"),
    [
        ("file:/a/*", "file:///a/out", True),
        ("file:/a/*", "file:/a/.out.unfinished-0", True),
        ("file:/a/*", "file:/a/b/out", True),
        ("file:/a/*.csv", "file:/a/out", False),
        ("file:/a/*/*.csv", "file:/a/out", False),
        ("file:/a/{b/*,x}", "file:/a/b/out", True),
        ("file:/a/[!._]*", "file:/a/.out.unfinished-0", False),
        ("hdfs://n:1/a/*", "hdfs://n:1/a/out", True),
        ("hdfs://n:1/a/*", "hdfs://m:1/a/out", False),
        ("hdfs://n:1/a/*", "file:/a/out", False),
    ],
)
def test_what_a_glob_would_match(spark: SparkSession, pattern: str, location: str, *, matches: bool) -> None:
    assert storage.would_match(spark, pattern, location) is matches


def test_a_name_is_taken_by_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    """Renaming would replace the link."""
    storage.write_text(tmp_path / "file", "text")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="link is there already"):
        storage.rename(str(tmp_path / "file"), str(tmp_path / "link"))
    assert names_in(tmp_path) == ["file", "link"]
    assert (tmp_path / "link").is_symlink()
