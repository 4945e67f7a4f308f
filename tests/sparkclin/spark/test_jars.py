from __future__ import annotations

import json
import sys
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from sparkclin.errors import SetupError
from sparkclin.hashing import sha256_of_file
from sparkclin.spark import jars
from sparkclin.spark.jars import (
    MANIFEST,
    JarManifest,
    check_jars,
    collect,
    fetch,
    locked,
    problems,
    set_up_jars,
)
from sparkclin.spark.settings import EXCLUDES, PACKAGES


def make_jars(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(zipfile.ZipInfo("member"), name)  # of 1980, so that a name has one hash
    return [folder / name for name in names]


@pytest.fixture(autouse=True)
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The jars of these tests are the pinned ones."""
    names = ("a.jar", "b.jar", "native-linux-x86_64.jar", "native-windows-x86_64.jar")
    written = tmp_path / "pins" / "jars.sha256"
    lines = [f"{sha256_of_file(jar)}  {jar.name}\n" for jar in make_jars(written.parent, *names)]
    written.write_text("# comment\n" + "".join(lines))
    monkeypatch.setattr(jars, "PINS", written)
    return written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two jars and its manifest."""
    made = tmp_path / "environment" / "jars"
    collect(make_jars(tmp_path / "ivy", "a.jar", "b.jar"), made, packages=PACKAGES, excludes=EXCLUDES)
    return made


class Registry:
    """Takes the place of Spark's resolver: gives the same jars, or refuses, and counts."""

    def __init__(self, found: list[Path]) -> None:
        self.found = found
        self.calls = 0

    def __call__(self, *_: Sequence[str], **__: object) -> list[Path]:
        self.calls += 1
        return self.found


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry(
        make_jars(tmp_path / "ivy", "a.jar", "b.jar", "native-linux-x86_64.jar", "native-windows-x86_64.jar")
    )
    monkeypatch.setattr(jars, "_resolve", made)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return made


def test_a_manifest_is_read_as_it_was_written(folder: Path) -> None:
    manifest = JarManifest.read(folder)
    assert [file.name for file in manifest.files] == ["a.jar", "b.jar"]
    assert (manifest.packages, manifest.excludes) == (PACKAGES, EXCLUDES)
    assert manifest.files[0].size_bytes == (folder / "a.jar").stat().st_size
    assert problems(folder) == []
    assert sorted(path.name for path in folder.parent.iterdir()) == ["jars"]


def remove(folder: Path) -> None:
    (folder / "a.jar").unlink()


def truncate(folder: Path) -> None:
    (folder / "a.jar").write_bytes(b"PK")


def add(folder: Path) -> None:
    (folder / "c.jar").write_bytes(b"PK")


def resolve_others(folder: Path) -> None:
    text = (folder / MANIFEST).read_text().replace(":5.5.3", ":5.5.2")
    (folder / MANIFEST).write_text(text)


def alter(folder: Path) -> None:
    """Another content of the same size."""
    jar = folder / "a.jar"
    jar.write_bytes(jar.read_bytes().replace(b"a.jar", b"x.jar"))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (remove, "a.jar: missing"),
        (truncate, r"a.jar: 2 bytes, expected \d+"),
        (alter, "a.jar: changed"),
        (add, "c.jar: not in the manifest"),
        (resolve_others, "spark-nlp_2.12:5.5.3 is not among what was resolved"),
    ],
)
def test_a_session_notices_jars_that_are_not_as_they_were_set_up(folder: Path, harm: object, message: str) -> None:
    assert callable(harm)
    check_jars(folder)
    harm(folder)
    with pytest.raises(SetupError, match=rf"{message}.*Run `sparkclin setup`"):
        check_jars(folder)


@pytest.mark.parametrize(
    "text", [None, "", "{}", "[]", '{"revision": 1, "packages": [], "excludes": [], "files": [1]}']
)
def test_a_folder_without_a_manifest_is_refused(folder: Path, text: str | None) -> None:
    (folder / MANIFEST).unlink()
    if text is not None:
        (folder / MANIFEST).write_text(text)
    with pytest.raises(SetupError, match=r"manifest\.json cannot be read.*Run `sparkclin setup`"):
        check_jars(folder)


def test_a_manifest_of_a_later_sparkclin_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"revision": 2}))
    with pytest.raises(SetupError, match="its revision is 2, expected 1"):
        check_jars(folder)


def test_setup_fetches_once(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "share" / "jars"
    first = set_up_jars(folder)
    assert set_up_jars(folder) == first
    assert registry.calls == 1
    names = {"linux": "native-linux-x86_64.jar", "win32": "native-windows-x86_64.jar"}
    assert [file.name for file in first.files] == ["a.jar", "b.jar", *filter(None, [names.get(sys.platform)])]


@pytest.mark.parametrize("harm", [remove, truncate, add, resolve_others, alter])
def test_setup_mends_what_is_not_right(registry: Registry, folder: Path, harm: object) -> None:
    assert callable(harm)
    harm(folder)
    set_up_jars(folder)
    assert registry.calls == 1
    assert problems(folder) == []
    assert sorted(path.name for path in folder.parent.iterdir()) == ["jars", "jars.lock"]


def test_two_at_once_fetch_once(registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "share" / "jars"
    with locked(folder.with_name("jars.lock")):
        threads = [threading.Thread(target=set_up_jars, args=(folder,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        threads[0].join(timeout=0.2)
        assert not folder.exists()
    for thread in threads:
        thread.join()
    assert registry.calls == 1
    assert problems(folder) == []
    assert "waiting for another process" in capsys.readouterr().err


def test_what_is_there_stays_where_the_registry_fails(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> list[Path]:
        raise SetupError("no registry")

    monkeypatch.setattr(jars, "_resolve", refuse)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    set_up_jars(folder)  # nothing is wrong with it, so nobody is asked
    remove(folder)
    with pytest.raises(SetupError, match="no registry"):
        set_up_jars(folder)
    assert (folder / "b.jar").exists()


def test_jars_come_from_a_copy_without_a_registry(registry: Registry, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "jars"
    set_up_jars(other, source=folder)
    assert JarManifest.read(other) == JarManifest.read(folder)
    assert registry.calls == 0
    assert problems(other) == []


def test_a_copy_that_is_not_whole_is_refused_and_nothing_is_replaced(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "jars"
    set_up_jars(other, source=folder)
    alter(folder)
    with pytest.raises(SetupError, match=r"cannot be used: a\.jar: changed"):
        set_up_jars(other, source=folder)
    assert problems(other) == []


def test_a_broken_jar_of_the_resolver_is_never_put_in_place(registry: Registry, tmp_path: Path) -> None:
    registry.found[0].write_bytes(b"half a jar")
    with pytest.raises(SetupError, match=r"a\.jar is not a whole jar"):
        fetch(tmp_path / "share" / "jars")
    assert list((tmp_path / "share").iterdir()) == []


SPARK_SUBMIT = """#!/bin/sh
printf '\tfound a#a;1 in central\n\tfound b#b;1 in central\n'
echo "downloading https://registry/a.jar ..."
echo "\t[SUCCESSFUL ] a#a;1!a.jar (1ms)"
%s
"""


def fake_spark(home: Path, monkeypatch: pytest.MonkeyPatch, *, ending: str) -> None:
    """A Spark whose spark-submit prints what Ivy prints."""
    submit = home / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)
    submit.write_text(SPARK_SUBMIT % ending, encoding="utf-8")
    submit.chmod(0o755)
    monkeypatch.setattr(jars, "spark_home", lambda: home)
    monkeypatch.setenv("HOME", str(home))


def test_the_resolvers_lines_are_progress_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (jar,) = make_jars(tmp_path / "ivy of ours", "a.jar")
    fake_spark(tmp_path / "spark", monkeypatch, ending=f'for last; do :; done; printf %s "{jar.as_uri()}" > "$last"')
    seen: list[tuple[int, int]] = []
    fetch(tmp_path / "jars", progress=lambda done, known: seen.append((done, known)))
    assert seen == [(0, 1), (0, 2), (0, 2), (1, 2)]
    assert [file.name for file in JarManifest.read(tmp_path / "jars").files] == ["a.jar"]
    assert capfd.readouterr() == ("", "")


def test_a_registry_that_does_not_answer_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = "echo ':: unresolved dependency: com.johnsnowlabs.nlp#spark-nlp_2.12;5.5.3: not found'; exit 1"
    fake_spark(tmp_path / "spark", monkeypatch, ending=ending)
    with pytest.raises(SetupError, match=r"(?s)spark-nlp_2\.12;5\.5\.3.*DEFAULT_ARTIFACT_REPOSITORY.*--jars FOLDER"):
        fetch(tmp_path / "jars")
    assert not (tmp_path / "jars").exists()
