"""The jars of a session, resolved once into a folder of the environment, with a manifest of their hashes.

Which jars these are is pinned by SHA-256 in `jars.sha256`, whatever the registry, a mirror or a copied folder gives.
Their hashes are compared when they are fetched and before a JVM of ours starts, which takes 0.25 s for 403 MB. Two
processes may do this at once: one fetches, the other waits. A folder appears whole or not at all.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sparkclin.errors import SetupError
from sparkclin.hashing import sha256_of_file
from sparkclin.spark.settings import EXCLUDES, PACKAGES, settings_of_file, spark_home

MANIFEST = "manifest.json"
REVISION = 1

PINS = Path(__file__).with_name("jars.sha256")
"""The jars that may be used, as `sha256sum` writes and checks them; written by `make pins`."""

_SYSTEMS = {"linux": "-linux-", "darwin": "-macosx-", "win32": "-windows-"}
"""What the names of jars with native code for one operating system hold, by sys.platform."""

WITHOUT_REGISTRY = (
    "A mirror of the registry is named by the environment variable DEFAULT_ARTIFACT_REPOSITORY. Without any, copy the "
    "folder share/sparkclin/jars of an environment where `sparkclin setup` has run, and give the copy to "
    "`sparkclin setup --jars FOLDER`."
)

Progress = Callable[[int, int], None]
"""Called with the number of jars that are there and of all jars known so far."""


@dataclass(frozen=True, kw_only=True)
class JarFile:
    """A jar by its name in the folder; `sha256` is hexadecimal."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class JarManifest:
    """What was resolved (Maven coordinates `group:artifact:version`, exclusions `group:artifact`), and what came of
    it."""

    packages: tuple[str, ...]
    excludes: tuple[str, ...]
    files: tuple[JarFile, ...]

    @property
    def size_mb(self) -> float:
        """Of all jars together."""
        return sum(file.size_bytes for file in self.files) / 1e6

    def to_json(self) -> str:
        return json.dumps({"revision": REVISION, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def read(cls, folder: Path) -> JarManifest:
        """The manifest of a folder of jars; raises SetupError where there is none, or none that can be read."""
        path = folder / MANIFEST
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["revision"] != REVISION:
                raise SetupError(
                    f"{path} is of another version of sparkclin: its revision is {found['revision']}, expected "
                    f"{REVISION}. Run `sparkclin setup`."
                )
            return cls(
                packages=tuple(found["packages"]),
                excludes=tuple(found["excludes"]),
                files=tuple(JarFile(**file) for file in found["files"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SetupError(
                f"{folder} is not a folder of jars that `sparkclin setup` made: {MANIFEST} cannot be read "
                f"({type(error).__name__}). Run `sparkclin setup`."
            ) from None


def environment_jars() -> Path:
    """Where this environment has its jars, or would have them."""
    return Path(sys.prefix, "share", "sparkclin", "jars")


def jar_paths(folder: Path) -> list[Path]:
    """The jars of a folder, in the order of its manifest."""
    return [folder / file.name for file in JarManifest.read(folder).files]


def pinned_hashes() -> dict[str, str]:
    """The SHA-256 of every jar that may be used, by its name; those of all operating systems, and those for S3."""
    lines = PINS.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("  ", 1) for line in lines if line and not line.startswith("#"))
    return {name: sha256 for sha256, name in pairs}


def problems(folder: Path) -> list[str]:
    """How the jars of a folder differ from its manifest, and the manifest from PACKAGES and from what is pinned; empty
    where all is right. Raises SetupError without a manifest."""
    manifest = JarManifest.read(folder)
    missing = sorted(set(PACKAGES) - set(manifest.packages))
    found = [f"{package} is not among what was resolved" for package in missing]
    names = {file.name for file in manifest.files}
    found += [f"{path.name}: not in the manifest" for path in sorted(folder.glob("*.jar")) if path.name not in names]
    found += [f"{file.name}: {what}" for file in manifest.files if (what := _difference(folder, file))]
    return found + _unpinned(manifest.files)


def check_jars(folder: Path) -> None:
    """Raise SetupError where the jars are not those that were set up, byte for byte."""
    if found := problems(folder):
        raise SetupError(
            f"the jars in {folder} are not as `sparkclin setup` left them: {_first(found)}. Run `sparkclin setup`."
        )


def set_up_jars(folder: Path, *, source: Path | None = None, progress: Progress | None = None) -> JarManifest:
    """Make `folder` hold the jars of PACKAGES; what is there and has the right hashes stays, without a network.

    The jars come from `source`, a copy of another environment's folder, or from the Maven registry. Two processes at
    once are safe. Raises SetupError where the source is not as its manifest says, or the registry does not answer.
    """
    with locked(folder.with_name(f"{folder.name}.lock")):
        if source is None and folder.exists() and not _unusable(folder):
            return JarManifest.read(folder)
        if source is not None:
            if found := problems(source):
                raise SetupError(f"the jars in {source} cannot be used: {_first(found)}. Copy the folder again.")
            manifest = JarManifest.read(source)
            collect(jar_paths(source), folder, packages=manifest.packages, excludes=manifest.excludes)
        else:
            fetch(folder, progress=progress)
        return JarManifest.read(folder)


def fetch(
    folder: Path,
    *,
    packages: Sequence[str] = PACKAGES,
    excludes: Sequence[str] = EXCLUDES,
    progress: Progress | None = None,
) -> None:
    """Resolve Maven packages with everything they ask for, and put `folder` with the jars and the manifest in place.

    Jars of other operating systems are left out. Raises SetupError, with Ivy's reason, where a package is not found,
    and where a jar is not the pinned one.
    """
    with resolved(packages, excludes, progress=progress) as jars:
        collect((jar for jar in jars if _of_this_system(jar.name)), folder, packages=packages, excludes=excludes)


@contextmanager
def resolved(
    packages: Sequence[str], excludes: Sequence[str], *, progress: Progress | None = None
) -> Iterator[list[Path]]:
    """Where Ivy has put the jars, of all operating systems. Its folders do not stand two processes at once: they are
    this one's inside of the block."""
    ivy = Path(settings_of_file().get("spark.jars.ivy") or Path.home() / ".ivy2")
    with locked(ivy / ".sparkclin.lock"):
        yield _resolve(packages, excludes, ivy=ivy, progress=progress)


def collect(jars: Iterable[Path], folder: Path, *, packages: Sequence[str], excludes: Sequence[str]) -> None:
    """Copy jars to `folder`, with a manifest; the folder that was there is replaced whole. Call it under a lock.

    Raises SetupError, and leaves what was there, where a jar is not the pinned one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        files = tuple(_copy(jar, staged / jar.name) for jar in sorted(jars))
        if found := _unpinned(files):
            raise SetupError(
                f"the jars that were fetched are not those that sparkclin pins: {_first(found)}. "
                "Ask who runs the mirror, or remove them from Ivy's folder (~/.ivy2) and run `sparkclin setup` again."
            )
        manifest = JarManifest(packages=tuple(packages), excludes=tuple(excludes), files=files)
        (staged / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        staged.chmod(0o755)
        _replace(folder, staged)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; it ends with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another process that fetches the jars", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unusable(folder: Path) -> bool:
    try:
        return bool(problems(folder))
    except SetupError:
        return True


def _difference(folder: Path, file: JarFile) -> str | None:
    path = folder / file.name
    if not path.is_file():
        return "missing"
    if path.stat().st_size != file.size_bytes:
        return f"{path.stat().st_size:,} bytes, expected {file.size_bytes:,}"
    return "changed" if sha256_of_file(path) != file.sha256 else None


def _unpinned(files: Iterable[JarFile]) -> list[str]:
    pinned = pinned_hashes()
    return [
        f"{file.name}: its SHA-256 is {file.sha256}, expected {pinned.get(file.name, 'no such jar')}"
        for file in files
        if pinned.get(file.name) != file.sha256
    ]


def _copy(jar: Path, target: Path) -> JarFile:
    if not zipfile.is_zipfile(jar):
        raise SetupError(f"{jar} is not a whole jar. Remove it and run `sparkclin setup` again.")
    shutil.copyfile(jar, target)
    return JarFile(name=target.name, size_bytes=target.stat().st_size, sha256=sha256_of_file(target))


def _replace(folder: Path, staged: Path) -> None:
    """Put `staged` in the place of `folder`. Between the two renames there is none; a process that looks then waits."""
    old = staged.with_name(f"{staged.name}.old")
    if folder.exists() or folder.is_symlink():
        folder.rename(old)
    staged.rename(folder)
    if old.is_symlink():
        old.unlink()
    else:
        shutil.rmtree(old, ignore_errors=True)


def _of_this_system(name: str) -> bool:
    others = (part for system, part in _SYSTEMS.items() if system != sys.platform)
    return not any(part in name for part in others)


def _first(found: Sequence[str], limit: int = 3) -> str:
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return "; ".join(found[:limit]) + more


_LIST_JARS = """
import sys
from pathlib import Path
from pyspark import SparkConf, SparkContext
SparkContext._ensure_initialized()  # the JVM is spark-submit's own; no session is started
Path(sys.argv[1]).write_text(SparkConf().get("spark.jars", ""), encoding="utf-8")
"""


def _resolve(packages: Sequence[str], excludes: Sequence[str], *, ivy: Path, progress: Progress | None) -> list[Path]:
    """Where Ivy has put the jars. Spark's own Ivy, so that the user's settings and mirrors hold."""
    with tempfile.TemporaryDirectory(prefix="sparkclin-") as folder:
        script, listed = Path(folder, "list_jars.py"), Path(folder, "jars")
        script.write_text(_LIST_JARS, encoding="utf-8")
        command = [
            str(spark_home() / "bin" / "spark-submit"),
            *("--master", "local[1]", "--deploy-mode", "client", "--driver-memory", "512m"),
            *("--packages", ",".join(packages), "--exclude-packages", ",".join(excludes)),
            *("--conf", f"spark.jars.ivy={ivy}", "--conf", "spark.jars="),
            *(str(script), str(listed)),
        ]
        environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_HOME": str(spark_home())}
        environment.pop("PYSPARK_DRIVER_PYTHON", None)
        lines = _run(command, environment, progress)
        if not listed.is_file():
            raise SetupError(f"the jars could not be fetched: {_ivys_reason(lines)}. {WITHOUT_REGISTRY}")
        urls = listed.read_text(encoding="utf-8").split(",")
    return [Path(unquote(urlsplit(url).path)) for url in urls if url]


def _run(command: Sequence[str], environment: dict[str, str], progress: Progress | None) -> list[str]:
    """Run Spark's resolver and return what it printed; `progress` follows its lines."""
    lines: list[str] = []
    known, done = 0, 0
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())
            known += line.startswith("\tfound ")
            done += "[SUCCESSFUL ]" in line
            if progress is not None and known:
                progress(done, max(done, known))  # a package may have several jars
    return lines


def _ivys_reason(lines: Sequence[str]) -> str:
    """The lines that say why, of the hundreds that Ivy prints."""
    unresolved = [found[1] for line in lines if (found := re.search(r"unresolved dependency: (\S+?):? ", line + " "))]
    if unresolved:
        return f"the registry does not have, or did not give, {_first(sorted(set(unresolved)))}"
    errors = [line for line in lines if re.search(r"error|exception|download failed", line, flags=re.IGNORECASE)]
    return _first(errors or lines[-1:] or ["spark-submit printed nothing"])
