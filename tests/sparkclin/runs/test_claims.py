"""Claims on the local disk and on a file system that only Hadoop knows (a viewfs mount)."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparkclin.errors import IncompleteError, InputError
from sparkclin.runs import claims
from sparkclin.runs.claims import Claim, claimed, claims_on, remove_unlocked
from sparkclin.spark import storage

LONG_AGO_S = 1_000_000_000


def nothing() -> None:
    pass


def age(claim: str, tmp_path: Path) -> None:
    """Make a claim look as if its last heartbeat were long ago."""
    os.utime(tmp_path / claim.rpartition("/")[2], (LONG_AGO_S, LONG_AGO_S))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other runs seem to be on other machines, whose locks are not seen here."""
    monkeypatch.setattr(claims, "_is_locked", lambda path: False)  # noqa: ARG005
    kernels = iter(range(100))
    monkeypatch.setattr(claims, "this_kernel", lambda: str(next(kernels)))


def test_a_claim_is_there_while_the_block_runs(folder: str) -> None:
    with claimed(f"{folder}/out", on_loss=nothing) as claim:
        assert claims_on(f"{folder}/out") == [claim.path]
        assert claims_on(f"{folder}/other") == []
    assert claims_on(f"{folder}/out") == []


def refused(location: str) -> str:
    with pytest.raises(InputError) as raised, claimed(location, on_loss=nothing):
        pytest.fail("it was not refused")
    return str(raised.value)


def test_a_second_claim_is_refused(folder: str) -> None:
    with claimed(f"{folder}/out", on_loss=nothing) as claim:
        assert f"another run is writing {folder}/out: process {os.getpid()} on " in (said := refused(f"{folder}/out/"))
        assert ("run again 300 s later" in said) == storage.is_remote(f"{folder}/out")  # else a lock is proof of life
        assert claims_on(f"{folder}/out") == [claim.path]
        claim.beat()


@pytest.mark.usefixtures("elsewhere")
def test_a_claim_is_stale_without_a_recent_heartbeat(folder: str, tmp_path: Path) -> None:
    with claimed(f"{folder}/out", on_loss=nothing) as first:
        refused(f"{folder}/out")
        age(first.path, tmp_path)
        with claimed(f"{folder}/out", on_loss=nothing) as second:
            assert claims_on(f"{folder}/out") == [second.path]
        with pytest.raises(IncompleteError, match="another run has taken over"):
            first.beat()
        assert claims_on(f"{folder}/out") == []  # it is not written again


@pytest.mark.usefixtures("elsewhere")
def test_a_late_claim_holds_as_long_as_nobody_else_has_one(folder: str, tmp_path: Path) -> None:
    with claimed(f"{folder}/out", on_loss=nothing) as claim:
        age(claim.path, tmp_path)
        claim.beat()
        age(claim.path, tmp_path)
        other = Claim(f"{folder}/out")
        (tmp_path / other.path.rpartition("/")[2]).write_text("{}")
        with pytest.raises(IncompleteError, match="another run has taken over"):
            claim.beat()


def test_a_killed_run_of_this_machine_needs_no_waiting(tmp_path: Path) -> None:
    """Its lock is free. A claim whose owner is not known, such as one that is just being written, counts as alive."""
    with claimed(f"{tmp_path}/out", on_loss=nothing) as claim:
        left = Path(Claim(f"{tmp_path}/out").path)
        left.write_text(Path(claim.path).read_text())
        remove_unlocked(f"{tmp_path}/out")
        assert claims_on(f"{tmp_path}/out") == [claim.path]
    left.write_text("{")
    remove_unlocked(f"{tmp_path}/out")
    assert left.exists()
    assert "another run is writing" in (said := refused(f"{tmp_path}/out"))
    assert "its claim does not name the process" in said
    assert "If it was killed, run again 300 s later." in said
    os.utime(left, (LONG_AGO_S, LONG_AGO_S))
    with claimed(f"{tmp_path}/out", on_loss=nothing):
        assert not left.exists()


def test_a_run_learns_from_its_heartbeat_that_it_was_taken_over(
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claims, "BEAT_EVERY_S", 0.01)
    learned = threading.Event()

    def work() -> None:
        with claimed(f"{folder}/out", on_loss=learned.set) as claim:
            (tmp_path / claim.path.rpartition("/")[2]).unlink()
            assert learned.wait(60)
            raise ValueError("a job was cancelled")

    with pytest.raises(IncompleteError, match="another run has taken over"):
        work()


def test_a_heartbeat_that_fails_is_made_up_for_by_the_next(
    folder: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beaten, fails = threading.Event(), iter([OSError("no answer"), OSError("no answer")])
    refresh = storage.refresh

    def answer(location: str) -> None:
        if error := next(fails, None):
            raise error
        refresh(location)
        beaten.set()

    monkeypatch.setattr(claims, "BEAT_EVERY_S", 0.01)
    monkeypatch.setattr(storage, "refresh", answer)
    with claimed(f"{folder}/out", on_loss=nothing) as claim:
        assert beaten.wait(60)
        assert not claim.lost


def test_of_runs_that_start_together_at_most_one_goes_on(folder: str) -> None:
    n_runs = 4
    ready, tried = threading.Barrier(n_runs), threading.Barrier(n_runs)

    def goes_on(_: int) -> bool:
        ready.wait()
        try:
            with claimed(f"{folder}/out", on_loss=nothing):
                tried.wait()
        except InputError:
            tried.wait()
            return False
        except BaseException:
            tried.abort()  # the others would wait for ever
            raise
        return True

    with ThreadPoolExecutor(n_runs) as pool:
        for _ in range(10):
            assert sum(pool.map(goes_on, range(n_runs))) <= 1
