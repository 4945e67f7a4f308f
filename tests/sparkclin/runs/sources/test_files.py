"""The files of an input: which are read, which are not, and what makes an input unreadable."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sparkclin.errors import InputError
from sparkclin.runs.sources.files import (
    InputFile,
    InputFiles,
    check_folders,
    find_files,
    first_failing,
    is_hidden,
)
from sparkclin.runs.sources.places import locate_on_disk


def found_in(path: Path, *, recursive: bool = False, hidden_files: str = "refuse") -> InputFiles:
    place = locate_on_disk(str(path))
    assert place is not None
    return find_files(None, place, recursive=recursive, hidden_files=hidden_files)


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("a.csv", False), ("_a.csv", True), (".a.csv", True), ("a._COPYING_", True), ("a_b.csv", False),
        ("_year=7/a.csv", False), ("_a=b.csv", False), (".a=b.csv", True), ("_temporary/a.csv", True),
        ("ward/.old/a.csv", True), ("ward/a.csv", False), ("a._COPYING_/b", True),
    ],
)  # fmt: skip
def test_spark_passes_over_names_that_begin_or_end_so(name: str, hidden: bool) -> None:  # noqa: FBT001
    assert is_hidden(name) is hidden


def test_all_files_of_a_folder_are_found_in_order(tmp_path: Path) -> None:
    write(tmp_path, "b.csv", "a.csv", "ward/c.csv", "_SUCCESS", "._SUCCESS.crc", ".a.csv.crc")
    os.utime(tmp_path / "a.csv", (1_000_000_000, 1_000_000_000))
    files = found_in(tmp_path)
    assert [(file.name, file.below, file.size) for file in files.read] == [
        ("a.csv", "a.csv", 5), ("b.csv", "b.csv", 5), ("ward/c.csv", "ward/c.csv", 10),
    ]  # fmt: skip
    assert files.not_read == ("._SUCCESS.crc", ".a.csv.crc", "_SUCCESS")
    assert (files.read[0].path, files.read[0].changed) == (f"file://{tmp_path}/a.csv", 1_000_000_000_000)
    assert (files.shown, files.base, files.roots) == (str(tmp_path), f"file://{tmp_path}", (f"file://{tmp_path}",))
    assert not files.recursive
    assert found_in(tmp_path, recursive=True).recursive


def test_a_file_is_named_relative_to_its_folder(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "b.csv")
    [file] = found_in(tmp_path / "a.csv").read
    assert (file.name, file.below) == ("a.csv", "a.csv")


def test_hidden_files_that_nobody_knows_are_refused_or_left_out(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "_b.csv", ".c.csv", "_SUCCESS", ".gone.csv.crc", "_old/d.csv")
    with pytest.raises(InputError, match=r"^4 files of .* are not read by Spark, because of their names"):
        found_in(tmp_path)
    files = found_in(tmp_path, hidden_files="skip")
    assert [file.name for file in files.read] == ["a.csv"]
    assert files.not_read == (".c.csv", ".gone.csv.crc", "_SUCCESS", "_b.csv", "_old/d.csv")


@pytest.mark.parametrize(
    "name",
    ["_SUCCESS", "_committed_12", "_committed_vacuum12", "_started_7", "_report.json", "_report.md", "_report.html",
     "_delta_log", "_metadata", "_common_metadata", ".DS_Store"],
)  # fmt: skip
def test_what_programs_leave_beside_data_is_no_problem(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a.csv", name)
    assert found_in(tmp_path).not_read == (name,)


@pytest.mark.parametrize("name", ["_SUCCESS2", "_committed_", "_report.csv", "x/_notes/_SUCCESS"])
def test_names_that_are_alike_are_not_known(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a.csv", name)
    with pytest.raises(InputError, match=r"^1 files of .* are not read by Spark"):
        found_in(tmp_path)


def test_an_input_without_a_file_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file to read in .* \(0 that Spark passes over\)"):
        found_in(tmp_path)
    write(tmp_path, "_SUCCESS")
    with pytest.raises(InputError, match=r"\(1 that Spark passes over\)"):
        found_in(tmp_path)


def test_files_in_folders_are_read_with_recursive_only(tmp_path: Path) -> None:
    write(tmp_path, "a.csv")
    check_folders(found_in(tmp_path))
    write(tmp_path, "year=7/month=8/b.csv")
    files = found_in(tmp_path)
    with pytest.raises(InputError, match=r"^1 files of .* are in folders below it \(year=7/month=8/b\.csv\)"):
        check_folders(files)
    check_folders(files, partitions=True)
    check_folders(replace(files, recursive=True))
    write(tmp_path, "year=7/ward/b.csv")
    with pytest.raises(InputError, match=r"^1 files of .* \(year=7/ward/b\.csv\)"):
        check_folders(found_in(tmp_path), partitions=True)


def test_files_without_bytes_and_files_without_records(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "b.csv", "ward/c.csv")
    (tmp_path / "b.csv").write_bytes(b"")
    files = found_in(tmp_path)
    assert [file.name for file in files.with_bytes] == ["a.csv", "ward/c.csv"]
    assert files.without_records({f"{tmp_path}/a.csv"}) == ("b.csv", "ward/c.csv")
    assert files.without_records({f"{tmp_path}/{file.name}" for file in files.read}) == ()


@pytest.mark.parametrize("n_files", range(1, 6))
def test_the_file_that_fails_is_found_by_halves(n_files: int) -> None:
    files = [InputFile(path=str(n), name=str(n), below=str(n), size=1, changed=0) for n in range(n_files)]
    for culprit in files:
        assert first_failing(files, lambda some, culprit=culprit: culprit in some) == culprit  # type: ignore[misc]
    assert first_failing(files, lambda _: False) is None
    assert first_failing([], lambda _: True) is None
