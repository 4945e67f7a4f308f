"""Every file of an input is read, named or refused: hidden names, empty files, folders, odd names and places."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkclin.errors import InputError, OptionError
from sparkclin.runs.corpus import Corpus, NoteSource, count_notes, read_corpus
from sparkclin.runs.sources.files import find_files
from sparkclin.runs.sources.places import locate
from sparkclin.runs.sources.text import read_text
from sparkclin.spark import storage

ODD_NAMES = (
    *("a b.txt", "a+b.txt", "a%20b.txt", "é🩺.txt", "[x].txt", "{x}*?.txt", "a;b,c.txt", "tab\t.txt", "line\n.txt"),
    *("100%.txt", "back\\slash.txt", "a#b?c=d&e.txt", "k=v.txt", "_a=b.txt", "~x.txt", "-x.txt", "a..txt"),
)


def corpus_of(spark: SparkSession, path: object, **options: object) -> Corpus:
    return read_corpus(spark, NoteSource(path=str(path), **options))  # type: ignore[arg-type]


def texts_of(spark: SparkSession, path: object, **options: object) -> dict[object, str]:
    corpus = corpus_of(spark, path, **options)
    rows = [tuple(row) for row in corpus.notes.collect()]
    assert len(rows) == corpus.records == count_notes(corpus.notes)
    return dict(rows)


def refused(spark: SparkSession, path: object, **options: object) -> str:
    with pytest.raises(InputError) as found:
        corpus_of(spark, path, **options)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_ids_are_the_names_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    for name in ODD_NAMES:
        (tmp_path / name).write_text(f"of {name}")
    assert texts_of(spark, tmp_path) == {name: f"of {name}" for name in ODD_NAMES}


def test_a_file_without_a_byte_is_an_empty_note(spark: SparkSession, tmp_path: Path) -> None:
    for name, text in {"a.txt": "x", "b.txt": "", "c d.txt": ""}.items():
        (tmp_path / name).write_text(text)
    assert texts_of(spark, tmp_path) == {"a.txt": "x", "b.txt": "", "c d.txt": ""}
    assert texts_of(spark, tmp_path / "c d.txt") == {"c d.txt": ""}


def test_a_session_whose_source_of_text_names_no_files_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Smith has a fever.")
    spark.conf.set("spark.sql.sources.useV1SourceList", "")
    try:
        said = refused(spark, tmp_path)
    finally:
        spark.conf.unset("spark.sql.sources.useV1SourceList")
    assert said.startswith(f"{tmp_path} cannot be read by Spark (")
    assert said.endswith("useV1SourceList names text, as it does by default.")


@pytest.mark.parametrize("name", ["_x.txt", ".x.txt", "x.txt._COPYING_", "_temporary/0/x.txt", ".git/x.txt"])
@pytest.mark.parametrize("ending", ["txt", "jsonl"])
def test_what_spark_passes_over_is_refused_or_named(
    spark: SparkSession, tmp_path: Path, name: str, ending: str
) -> None:
    hidden = name.replace("txt", ending)
    (tmp_path / hidden).parent.mkdir(parents=True, exist_ok=True)
    for path in (hidden, f"a.{ending}"):
        (tmp_path / path).write_text('{"note_id": "a", "text": "x"}\n')
    message = refused(spark, tmp_path)
    assert message.startswith(f"1 files of {tmp_path} are not read by Spark, because of their names ({hidden})")
    assert "--hidden-files skip" in message
    corpus = corpus_of(spark, tmp_path, hidden_files="skip")
    assert (corpus.records, corpus.not_read) == (1, (hidden,))
    if "/" not in hidden:  # one in a hidden folder is read if it is named itself
        assert "there is no file to read" in refused(spark, tmp_path / hidden, hidden_files="skip")


def test_bookkeeping_is_left_and_named(spark: SparkSession, tmp_path: Path) -> None:
    commits = ("_SUCCESS", "_committed_7", "_committed_vacuum7", "_started_7")
    names = (*commits, ".a.txt.crc", "_report.json", "_report.md", "_report.html", ".DS_Store")
    for name in (*names, "a.txt"):
        (tmp_path / name).write_text("x")
    assert corpus_of(spark, tmp_path).not_read == tuple(sorted(names))


@pytest.mark.parametrize(
    "name",
    ["_started_insulin.txt", "_committed_suicide.txt", "_report.txt", ".note7.crc", "_started_7.txt", "_SUCCESS.txt"],
)
def test_a_note_is_no_bookkeeping(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """Nor are checksums of a file that is not there."""
    for file in (name, "a.txt"):
        (tmp_path / file).write_text("x")
    assert f"are not read by Spark, because of their names ({name})" in refused(spark, tmp_path)
    assert corpus_of(spark, tmp_path, hidden_files="skip").not_read == (name,)


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder with a link, behind which `..` is another folder than its own; notes lie in both."""
    for name in ("real/sub", "real/notes", "here/notes"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "here" / "link").symlink_to(tmp_path / "real" / "sub")
    (tmp_path / "real" / "notes" / "behind.txt").write_text("behind the link")
    (tmp_path / "here" / "notes" / "_hidden.txt").write_text("hidden")
    (tmp_path / "here" / "notes" / "beside.txt").write_text("beside the link")
    return tmp_path / "here"


@pytest.mark.parametrize(
    "path", ["link/../notes", "link/../notes/", "link/../note*", "link/../notes/*.txt", "link/../n*/*"]
)
@pytest.mark.parametrize("recursive", [False, True])
def test_the_folder_that_is_listed_is_the_one_that_spark_reads(
    spark: SparkSession, linked: Path, path: str, *, recursive: bool
) -> None:
    [(name, text)] = texts_of(spark, f"{linked}/{path}", recursive=recursive).items()
    assert text == "behind the link"
    assert str(name).rpartition("/")[2] == "behind.txt"


def test_ids_are_whole_whatever_way_leads_to_the_folder(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes" / "ward7" / "patient").mkdir(parents=True)
    (tmp_path / "notes" / "ward7" / "patient" / "note-4711.txt").write_text("x")
    (tmp_path / "job").mkdir()
    (tmp_path / "link").symlink_to("notes")
    monkeypatch.chdir(tmp_path / "job")
    ways = ["../notes", "../notes/.", "../link", ".././notes//", "../notes/ward7/..", f"//{tmp_path}/job/../notes"]
    for way in [*ways, f"file:{tmp_path}/job/../notes", "../not*"]:
        [name] = texts_of(spark, way, recursive=True)
        assert str(name).removeprefix("notes/") == "ward7/patient/note-4711.txt"


def test_a_wildcard_before_two_dots_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    assert "has .. behind a wildcard" in refused(spark, f"{tmp_path}/*/../x")


def test_a_wildcard_does_not_match_hidden_folders(spark: SparkSession, tmp_path: Path) -> None:
    for folder in (".git", "_temporary", "k=v", "ward"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}.txt".lstrip("._")).write_text(folder)
    assert "matches 2 hidden folders too (.git, _temporary)" in refused(spark, f"{tmp_path}/*")
    assert set(texts_of(spark, f"{tmp_path}/[!._]*")) == {"k=v.txt", "ward.txt"}
    assert set(texts_of(spark, f"{tmp_path}/_*")) == {"temporary.txt"}


def test_what_a_terminal_obeys_is_not_in_a_message(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "_\x1b[31mRED\x1b[2J\nfake line.txt").write_text("x")
    assert "\x1b" not in refused(spark, tmp_path)
    assert "\x1b" not in refused(spark, f"{tmp_path}/\x1b[2J")


def test_folders_are_read_if_asked(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("ward 7/é+1.txt", "ward 8/é+1.txt", "ward 8/x=y/2.txt", "3.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name if "2" not in name else "")
    message = refused(spark, tmp_path)
    assert message.startswith(f"3 files of {tmp_path} are in folders below it (ward 7/é+1.txt, ward 8/")
    expected = {name: name for name in ("ward 7/é+1.txt", "ward 8/é+1.txt", "3.txt")} | {"ward 8/x=y/2.txt": ""}
    assert texts_of(spark, tmp_path, recursive=True) == expected
    assert texts_of(spark, f"{tmp_path}/ward*", recursive=True) == {k: v for k, v in expected.items() if "/" in k}
    same_names = corpus_of(spark, f"{tmp_path}/ward */é*.txt", format="text")
    with pytest.raises(InputError, match="2 notes share 1 ids"):
        count_notes(same_names.notes)


@pytest.mark.parametrize("name", ["a[1]", "{a,b}", "x*y?", "back\\slash", "a:b", "a b%20c", "é"])
def test_a_place_that_exists_is_itself(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """And what its name would match as a glob is not."""
    for folder in (name, "a1", "a", "b", "xzyw"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "n.txt").write_text(folder)
        (tmp_path / folder / "n.jsonl").write_text(f'{{"note_id": 1, "text": "{len(folder)}"}}')
    assert texts_of(spark, tmp_path / name / "n.txt") == {"n.txt": name}
    (tmp_path / name / "n.jsonl").rename(tmp_path / name / "m.jsonl")
    (tmp_path / name / "n.txt").unlink()
    assert texts_of(spark, tmp_path / name) == {1: str(len(name))}
    assert texts_of(spark, f"file://{tmp_path}/{name}/m.jsonl") == {1: str(len(name))}


def test_a_glob_is_one_where_nothing_has_its_name(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("a1.txt", "a2.txt", "b3.txt"):
        (tmp_path / name).write_text(name)
    assert texts_of(spark, f"{tmp_path}/{{a[12],b*}}.txt") == {name: name for name in ("a1.txt", "a2.txt", "b3.txt")}
    assert texts_of(spark, f"{tmp_path}/a?.txt") == {name: name for name in ("a1.txt", "a2.txt")}
    assert "nothing is there" in (message := refused(spark, f"{tmp_path}/c*.txt"))
    assert "wildcards" in message


@pytest.mark.parametrize("name", ["[proj]", "{a,b}", "pro?", "plain"])
def test_a_folder_above_a_glob_is_itself(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """And ids begin behind it, whatever way leads there."""
    (tmp_path / name / "n" / "ward").mkdir(parents=True)
    (tmp_path / name / "n" / "ward" / "a.txt").write_text("x")
    monkeypatch.chdir(tmp_path / name)
    for path in ("n/*", f"{tmp_path}/{name}/n/*", f"file://{tmp_path}/{name}/n/*"):
        assert set(texts_of(spark, path, recursive=True)) == {"ward/a.txt"}


@pytest.mark.parametrize("change", ["longer", "as long", "removed"])
@pytest.mark.parametrize("path", ["", "/*.csv", "/b.csv"])
def test_files_that_change_while_they_are_read_are_named(
    spark: SparkSession, tmp_path: Path, path: str, change: str
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(f"note_id,text\n{name},Quackenbush\n")
    corpus = corpus_of(spark, f"{tmp_path}{path}")
    (tmp_path / "c.csv").write_text("note_id,text\nc,came later\n")
    corpus.check_unchanged()
    (tmp_path / "b.csv").unlink()
    if change != "removed":
        (tmp_path / "b.csv").write_text("text,note_id\nQuackenbush," + ("b\n" if change == "as long" else "longer\n"))
    with pytest.raises(InputError, match=r"1 of [12] files of .* have changed|cannot be looked into any more") as found:
        corpus.check_unchanged()
    assert "Quackenbush" not in str(found.value)


def test_a_gzip_without_a_byte_is_cut_off(spark: SparkSession, tmp_path: Path) -> None:
    """A file of text without a byte is an empty note; a packed one has lost all."""
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "z.txt.gz").write_bytes(b"")
    assert "1 files of" in (message := refused(spark, tmp_path))
    assert "(z.txt.gz): gzip has some even of nothing" in message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("foo://x/y", r"foo://x/y cannot be reached .*Spark knows no such scheme"),
        ("s3a://b/k", r"s3a://b/k cannot be reached .*hadoop-aws"),
        ("abfs://c@x/y", r"cannot be reached .*Add the jars of this file system"),
        ("hdfs://nowhere.invalid:9/x", r"cannot be reached .*UnknownHostException.*Check --input"),
    ],
)
def test_places_that_cannot_be_reached(spark: SparkSession, path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        corpus_of(spark, path)
    assert "\n" not in refused(spark, path)


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_place_is_refused(path: str) -> None:
    with pytest.raises(OptionError, match=r"--input is empty"):
        NoteSource(path=path)


def test_an_empty_folder_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    assert "there is no file to read" in refused(spark, tmp_path)


def test_what_is_no_file_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.txt").symlink_to(tmp_path / "gone.txt")
    assert "cannot be looked into" in refused(spark, tmp_path)
    (tmp_path / "b.txt").unlink()
    os.mkfifo(tmp_path / "b.txt")
    assert "neither a file nor a folder" in refused(spark, tmp_path)
    (tmp_path / "b.txt").unlink()
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    assert texts_of(spark, tmp_path) == {"a.txt": "x", "b.txt": "x"}


def test_names_that_java_cannot_read_are_counted(spark: SparkSession, tmp_path: Path) -> None:
    """Hadoop leaves them out and says nothing."""
    for name in (b"a.txt", b"\xff.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("x")
    assert f"1 files of {tmp_path} have names that Java cannot read" in refused(spark, tmp_path)


def test_names_that_hadoop_does_not_open_are_counted(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "08:15.txt").write_text("x")
    assert f"1 files of {tmp_path} have a colon in their names (08:15.txt)" in refused(spark, tmp_path)


def test_spark_has_to_find_the_same_files(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("x")
    files = find_files(spark, locate(spark, str(tmp_path)), recursive=False, hidden_files="refuse")
    for others, found in (([], 1), (["c.txt"], 2)):
        (tmp_path / "b.txt").unlink(missing_ok=True)
        for name in others:
            (tmp_path / name).write_text("x")
        with pytest.raises(InputError, match=rf"^2 files lie in .*, and Spark finds {found}, without 1 .*/b\.txt\)"):
            read_text(spark, NoteSource(path=str(tmp_path)), files)


def test_a_remote_folder_is_listed_as_a_local_one(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through Hadoop, here of the local disk."""
    for name in ("w/a; isDirectory=true; length=0.txt", "w/é.txt", "b.txt", "empty.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if name == "empty.txt" else name)
    local = [(entry.path, entry.size) for entry in storage.files_below(f"file://{tmp_path}")]
    monkeypatch.setattr(storage, "is_remote", lambda _: True)
    remote = [(entry.path.replace("file:", "file://"), entry.size) for entry in storage.files_below(f"file:{tmp_path}")]
    assert sorted(remote) == sorted(local)
    assert storage.entry_at(f"file:{tmp_path}/w").is_folder
    assert storage.entry_at(f"file:{tmp_path}/b.txt").size == len("b.txt")
    assert spark
