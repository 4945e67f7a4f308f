"""A run's claim on an output: only one run at a time may write it, on every file system.

A run first writes a claim, a file of its own next to the output, and only then lists the claims of others. So of two
runs that start together at least one sees the other, and stops. A heartbeat keeps the claim's time of change recent.
A claim is stale if it is STALE_AFTER_S older than one that was just written: the file system's clock dates both, so
the clocks of the machines do not matter. On the local disk a run also locks its claim. The kernel frees the lock when
the process ends, which proves at once that a run on the same machine has ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from sparkclin.errors import IncompleteError, InputError
from sparkclin.spark import storage

BEAT_EVERY_S = 30.0
STALE_AFTER_S = 300.0

UNIQUE_DIGITS = 12
"""Length of the random part of the names that a run gives its claim and its folder."""

ROWS = "rows"
"""The folder of the rows in a run's own folder."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UNKNOWN = "?"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The process that wrote a claim. `kernel` identifies the running kernel, which containers share and machines do
    not: a lock is only known to be free within one kernel."""

    host: str = _UNKNOWN
    kernel: str = _UNKNOWN
    process: int = 0
    started: str = _UNKNOWN

    def __str__(self) -> str:
        if self == Owner():
            return "its claim does not name the process"
        return f"process {self.process} on {self.host}, since {self.started}"

    @classmethod
    def this_process(cls) -> Owner:
        return cls(
            host=platform.node(),
            kernel=this_kernel(),
            process=os.getpid(),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    @classmethod
    def of(cls, claim: str) -> Owner:
        """Return the owner of a claim; unknown if its content is not there yet or cannot be read."""
        try:
            return cls(**json.loads(storage.read_text(claim)))
        except (OSError, ValueError, TypeError):
            return cls()


def this_kernel() -> str:
    """Return the identity of the running kernel; outside Linux the name of the machine."""
    with suppress(OSError):
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return platform.node()


class Claim:
    """The claim of this run on the output at `location`."""

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")
        token = uuid4().hex[:UNIQUE_DIGITS]
        self.path = _beginning(self.location, "run") + token
        self.folder = _beginning(self.location, "unfinished") + token
        self.rows = f"{self.folder}/{ROWS}"
        self.lost = False
        self._one_at_a_time = threading.Lock()

    def beat(self) -> None:
        """Show that this run is alive.

        Raises IncompleteError if another run has taken the output over, and OSError if the file system does not answer.
        A run that takes over first deletes the stale claim, so a claim that exists and was never late is valid.
        """
        with self._one_at_a_time:
            try:
                before = storage.entry_at(self.path).changed
                storage.refresh(self.path)
                late = storage.entry_at(self.path).changed - before > STALE_AFTER_S * 1000
            except FileNotFoundError:
                self.lost = True
            else:
                self.lost = self.lost or (late and claims_on(self.location) != [self.path])
        if self.lost:
            raise self.loss()

    def loss(self) -> IncompleteError:
        return IncompleteError(
            f"another run has taken over {self.location}, because this one was silent for more than "
            f"{STALE_AFTER_S:.0f} s, as a suspended process is. This run published and removed nothing there. Run it "
            "again later, or choose another --output."
        )


@contextmanager
def claimed(location: str, *, on_loss: Callable[[], object]) -> Iterator[Claim]:
    """Claim an output until the block ends. If another run takes the output over, `on_loss` is called at each beat.

    Raises InputError if another run is writing the output, and IncompleteError, whatever the block raises, if another
    run has taken it over. OSError if no claim can be written.
    """
    claim = Claim(location)
    with _written(claim):
        _refuse_company(claim)
        with _heartbeat(claim, on_loss):
            try:
                yield claim
            except Exception:
                if claim.lost:
                    raise claim.loss() from None
                raise


def token_of(trace: str) -> str:
    """Return the random part that the names of a run's claim and of its folder have in common."""
    return trace[-UNIQUE_DIGITS:]


def claims_on(location: str) -> list[str]:
    """Return the claims on an output, stale ones included."""
    return _listed(_beginning(location, "run"))


def folders_of(location: str) -> list[str]:
    """Return the folders in which runs, also those that were killed, keep rows that are not published at `location`."""
    return _listed(_beginning(location, "unfinished"))


def names_of_traces(location: str) -> list[str]:
    """Return examples of what a run creates next to its output, for comparison with a glob."""
    return [_beginning(location, kind) + "0" * UNIQUE_DIGITS for kind in ("run", "unfinished")]


def remove_unlocked(location: str) -> None:
    """Remove the claims of runs on this machine that have certainly ended. No clock is needed, and no claim."""
    for claim in claims_on(location):
        if not storage.is_remote(claim) and not _is_alive(claim, now_ms=None):
            storage.delete(claim)


def _beginning(location: str, kind: str) -> str:
    parent, _, name = location.rstrip("/").rpartition("/")
    return f"{parent}/.{name}.{kind}-"


def _listed(beginning: str) -> list[str]:
    """Return the locations that begin so and end in a run's random part."""
    parent, _, prefix = beginning.rpartition("/")
    length = len(prefix) + UNIQUE_DIGITS
    names = storage.list_names(f"{parent}/") if storage.exists(f"{parent}/") else []
    return [f"{parent}/{name}" for name in names if name.startswith(prefix) and len(name) == length]


@contextmanager
def _written(claim: Claim) -> Iterator[None]:
    """Write the claim, and remove it on leaving. It is locked before it has content where locks exist."""
    content = json.dumps(asdict(Owner.this_process()))
    if storage.is_remote(claim.path):
        storage.create_text(claim.path, content)
        try:
            yield
        finally:
            with suppress(Exception):  # a claim that stays becomes stale
                storage.delete(claim.path)
        return
    path = storage.local_path(claim.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)  # waits only for another run's look, in _is_locked()
            stream.write(content)
            stream.flush()
            yield
        finally:
            path.unlink(missing_ok=True)


def _refuse_company(claim: Claim) -> None:
    """Raise InputError if another run is alive; remove stale claims."""
    now_ms = storage.entry_at(claim.path).changed
    others = [other for other in claims_on(claim.location) if other != claim.path]
    if alive := [other for other in others if _is_alive(other, now_ms=now_ms)]:
        owner = Owner.of(alive[0])
        by_lock = owner.kernel == this_kernel() and not storage.is_remote(claim.path)
        killed = "" if by_lock else f" If it was killed, run again {STALE_AFTER_S:.0f} s later."
        raise InputError(
            f"another run is writing {claim.location}: {owner}. Wait for it, or choose another --output.{killed}"
        )
    for other in others:
        with suppress(FileNotFoundError):  # it has ended in the meantime
            storage.delete(other)


def _is_alive(claim: str, *, now_ms: int | None) -> bool:
    """Return whether the run of a claim goes on. Without the file system's time, `now_ms`, only a free lock proves that
    it does not."""
    try:
        if not storage.is_remote(claim):
            owner = Owner.of(claim)  # before the lock, which a claim with content had from the start
            if _is_locked(storage.local_path(claim)):
                return True
            if owner.kernel == this_kernel():
                return False
        return now_ms is None or now_ms - storage.entry_at(claim).changed <= STALE_AFTER_S * 1000
    except FileNotFoundError:
        return False


def _is_locked(path: Path) -> bool:
    try:
        with path.open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except PermissionError:  # another user's: its heartbeat tells
        return False
    return False


@contextmanager
def _heartbeat(claim: Claim, on_loss: Callable[[], object]) -> Iterator[None]:
    """Beat in a thread. A beat that fails is made up for by the next: what counts is the one before publishing."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_EVERY_S):
            with suppress(Exception):
                claim.beat()
            if claim.lost:
                with suppress(Exception):
                    on_loss()

    thread = threading.Thread(target=beat, name="heartbeat of a claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
