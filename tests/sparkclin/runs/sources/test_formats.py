"""The format of an input by the names of its files."""

from __future__ import annotations

import pytest

from sparkclin.errors import InputError
from sparkclin.runs.sources.files import InputFile, InputFiles
from sparkclin.runs.sources.formats import advice_on_format, check_compression, ending_of, format_of


def files_of(*names: str, size: int = 9) -> InputFiles:
    read = tuple(InputFile(path=f"file:/in/{n}", name=n, below=n, size=size, changed=0) for n in names)
    return InputFiles(path="/in", shown="/in", base="file:/in", roots=("file:/in",), read=read, not_read=())


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.csv", ".csv"), ("a.CSV.gz", ".csv"), ("ward.7/a.tsv", ".tsv"), ("ward.csv/a", ""), ("a", ""),
        (".csv", ""), ("ward/.csv", ""), ("a.b.jsonl.bz2", ".jsonl"), ("a.gz", ".gz"), ("a.TGZ", ".tgz"), ("a.", ""),
    ],
)  # fmt: skip
def test_an_ending_is_that_of_the_unpacked_file_in_lower_case(name: str, ending: str) -> None:
    assert ending_of(name) == ending


@pytest.mark.parametrize(
    ("names", "format_"),
    [
        (["a.parquet"], "parquet"), (["a.csv", "b.tsv", "c.csv.gz"], "csv"),
        (["a.jsonl", "b.NDJSON", "c.json"], "jsonl"), (["a.txt"], "text"),
    ],
)  # fmt: skip
def test_names_say_one_format(names: list[str], format_: str) -> None:
    assert format_of(files_of(*names)) == format_


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["a.csv", "b.txt", "c.csv"],
            r"\(2 .csv, 1 .txt; known are .parquet, .csv, .tsv, .jsonl, .ndjson, .json, .txt",
        ),
        (["a.doc"], r"\(1 .doc;"),
        (["a", "b.csv"], r"\(1 without an ending, 1 .csv;"),
    ],
)
def test_names_that_say_none_or_several_are_refused(names: list[str], said: str) -> None:
    with pytest.raises(InputError, match=f"the names of the files of /in do not say one format {said}"):
        format_of(files_of(*names))


@pytest.mark.parametrize("name", ["a.csv.bz2", "a.csv.GZ", "a.zip", "a.tar", "a.tbz", "a.7z", "a.csv.Z", "a.zst"])
def test_files_that_are_packed_in_another_way_than_gzip_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^1 files of /in are packed in another way than \.gz"):
        check_compression(files_of("a.csv", "b.csv.gz", name))


def test_gzip_without_a_byte_is_refused() -> None:
    check_compression(files_of("a.csv.gz", "b.csv"))
    check_compression(files_of("b.csv", size=0))
    with pytest.raises(InputError, match=r"^2 files of /in are named \.gz and have no byte \(a\.csv\.gz, c\.csv\.gz\)"):
        check_compression(files_of("a.csv.gz", "b.csv", "c.csv.gz", size=0))


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (["a.jsonl", "b.json"], "Their names say --input-format jsonl."),
        (["a.csv"], "Look."),
        (["a.doc"], "Look."),
        (["a.jsonl", "b.txt"], "Look."),
    ],
)
def test_an_error_advises_the_format_that_names_say(names: list[str], advice: str) -> None:
    assert advice_on_format(files_of(*names), "csv", otherwise="Look.") == advice
    assert advice_on_format(files_of("a.csv"), "csv") == "Check --input-format."
