"""Folders for temporary files: the owner's, gone at the end, and gone with the next process after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkclin.errors import SetupError
from sparkclin.spark import scratch
from sparkclin.spark.scratch import PREFIX, remove_abandoned, remove_own, scratch_folder
from tests.sparkclin.processes import run_python

LEAVES = """
import os, signal, sys
from pathlib import Path
from sparkclin.spark.scratch import remove_with_own, scratch_folder
folder = scratch_folder(sys.argv[1])
(folder / "blocks").mkdir()
(folder / "blocks" / "shuffle").write_text("x")
remove_with_own(Path(sys.argv[2]))
print(folder, flush=True)
if len(sys.argv) > 3:
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def _none_in_use(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The session of the tests has one."""
    monkeypatch.setattr(scratch, "_in_use", {})
    monkeypatch.setattr("atexit.register", lambda *_: None)
    yield
    remove_own()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """What Spark NLP leaves in Java's folder for temporary files."""
    folder = tmp_path / "0247e92c61e4_onnx88"
    folder.mkdir()
    (folder / "model.onnx").write_text("x")
    return folder


def test_it_is_the_owners_and_one_for_each_place(place: Path) -> None:
    folder = scratch_folder(place)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert scratch_folder(place) == folder
    assert scratch_folder(place / "another") != folder
    assert list(place.glob(f".{PREFIX}*")) == []


def test_a_process_removes_its_own_at_the_end(place: Path, elsewhere: Path) -> None:
    done = run_python(LEAVES, str(place), str(elsewhere))
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).exists()
    assert not elsewhere.exists()


def test_what_a_killed_process_leaves_is_removed_by_the_next(place: Path, elsewhere: Path) -> None:
    killed = run_python(LEAVES, str(place), str(elsewhere), "kill")
    assert killed.returncode == -signal.SIGKILL
    left = Path(killed.stdout.strip())
    assert (left / "blocks" / "shuffle").exists()
    assert elsewhere.exists()
    scratch_folder(place)
    assert not left.exists()
    assert not elsewhere.exists()


def test_that_of_a_living_process_stays(place: Path) -> None:
    waits = (
        f"import sys; from sparkclin.spark.scratch import *; print(scratch_folder({str(place)!r}), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        folder = Path(other.stdout.readline().strip())
        remove_abandoned(place)
        assert folder.exists()
        other.communicate("\n")
    assert not folder.exists()


def test_folders_of_others_stay(place: Path, tmp_path: Path) -> None:
    """Without a lock, under a name alike, or linked to."""
    for name in ("mine", f"{PREFIX}without-lock"):
        (place / name).mkdir(parents=True)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "lock").touch()
    (place / f"{PREFIX}link").symlink_to(tmp_path / "target")
    remove_abandoned(place)
    assert sorted(path.name for path in place.iterdir()) == ["mine", f"{PREFIX}link", f"{PREFIX}without-lock"]


def test_a_forked_process_removes_nothing(place: Path) -> None:
    folder = scratch_folder(place)
    scratch._end(os.getpid() + 1)
    assert folder.exists()


def test_without_a_place_the_error_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"can be made in .*file/below \(Not a directory\); name another one with the"):
        scratch_folder(tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("chosen", "starts_java", "expected"),
    [
        ({}, False, {"spark.local.dir": "T"}),
        ({}, True, {"spark.local.dir": "T", "spark.driver.extraJavaOptions": '"-Djava.io.tmpdir=T"'}),
        (
            {"spark.driver.extraJavaOptions": "-Xss4m"},
            True,
            {"spark.local.dir": "T", "spark.driver.extraJavaOptions": '-Xss4m "-Djava.io.tmpdir=T"'},
        ),
        ({"spark.driver.extraJavaOptions": "-Djava.io.tmpdir=/theirs"}, True, {"spark.local.dir": "T"}),
        ({"spark.local.dir": "A,B"}, False, {"spark.local.dir": "A,B"}),
    ],
)
def test_which_settings_name_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chosen: dict[str, str],
    *,
    starts_java: bool,
    expected: dict[str, str],
) -> None:
    monkeypatch.setattr(scratch, "scratch_folder", lambda place=None: place if place in ("A", "B") else "T")
    monkeypatch.delenv("SPARK_LOCAL_DIRS", raising=False)
    assert scratch.scratch_settings(chosen, starts_java=starts_java) == expected
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    assert "spark.local.dir" not in scratch.scratch_settings(chosen, starts_java=starts_java)
