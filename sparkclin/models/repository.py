"""A repository of bundles, in the layout that Spark NLP's own model servers have.

    ROOT/metadata.json                                             one record per line
    ROOT/<name>_<lang>_<libVersion>_<sparkVersion>_<epoch ms>/     one bundle each

A version is never changed once it is registered; a later one of the same name goes before it.
"""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sparkclin.engines import PRECISIONS, preference
from sparkclin.errors import ModelError
from sparkclin.hashing import sha256_of_text
from sparkclin.models.bundle import MANIFEST_FILE, Bundle, Manifest, problems_of
from sparkclin.models.trust import SHA256
from sparkclin.spark import storage

METADATA_FILE = "metadata.json"
MANIFEST_KEY = "manifestSha256"
LIB_VERSION = (5, 5, 0)
SPARK_VERSION = (3, 0)
"""The oldest Spark NLP and Spark that a bundle is made for, as its record says."""

OF_MANIFEST = ("name", "language", "time_ms", "annotator", "engine", "precision")
"""What a record repeats of the manifest."""

UNREADABLE = frozenset(' \t\n"#%*<>?[\\]^`{|}')
"""Not in a path that Spark NLP loads from: 5.5.3 makes a URI of it without escaping, and Hadoop takes some of these for
wildcards."""

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""A model's name and its language. Both are parts of a folder's name, which must stay below the root and within the 255
bytes of a file system."""

PLAIN_EXPECTED = "at most 100 letters, digits, '_', '.' and '-', with a letter or digit first"
"""PLAIN in words, for errors."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A line of metadata.json. `time_ms` is the bundle's time in milliseconds since 1970, `manifest_sha256` the SHA-256
    of its manifest, which holds the hashes of all its files."""

    name: str
    language: str
    lib_version: tuple[int, ...]
    spark_version: tuple[int, ...]
    time_ms: int
    annotator: str
    engine: str
    precision: str
    manifest_sha256: str

    @classmethod
    def of(cls, manifest: Manifest) -> Record:
        return cls(
            name=manifest.name,
            language=manifest.language,
            lib_version=LIB_VERSION,
            spark_version=SPARK_VERSION,
            time_ms=manifest.created_ms,
            annotator=manifest.annotator,
            engine=manifest.engine,
            precision=manifest.precision,
            manifest_sha256=sha256_of_text(manifest.to_json()),
        )

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Read a line; raise ValueError, with the reason in a few words, if it is not a record of a bundle."""
        try:
            raw: dict[str, Any] = json.loads(line)
            return cls(
                name=_text(raw["name"], "name", PLAIN),
                language=_text(raw["language"], "language", PLAIN),
                lib_version=_version(raw["libVersion"]["parts"]),
                spark_version=_version(raw["sparkVersion"]["parts"]),
                time_ms=_to_ms(raw["time"]),
                annotator=_text(raw.get("annotator", ""), "annotator"),
                engine=_text(raw.get("engine", ""), "engine"),
                precision=_text(raw.get("precision", PRECISIONS[0]), "precision"),
                manifest_sha256=_text(raw[MANIFEST_KEY], MANIFEST_KEY, SHA256),
            )
        except KeyError as error:
            raise ValueError(f"it has no {error.args[0]}") from None
        except json.JSONDecodeError:
            raise ValueError("it is not JSON") from None
        except (TypeError, AttributeError, RecursionError, OverflowError):
            raise ValueError("a value is of another type") from None

    def to_json(self) -> str:
        raw = {
            "name": self.name,
            "language": self.language,
            "libVersion": {"parts": self.lib_version},
            "sparkVersion": {"parts": self.spark_version},
            "readyToUse": self.in_spark_nlp,
            "time": to_iso(self.time_ms),
            "isZipped": True,  # Spark NLP's word for "a folder once it is on a disk"
            "category": "ml",
            "checksum": "",
            "annotator": self.annotator,
            "engine": self.engine,
            "precision": self.precision,  # ours, as what follows: Spark NLP passes over it
            MANIFEST_KEY: self.manifest_sha256,
        }
        return json.dumps(raw, separators=(",", ":"))

    @property
    def in_spark_nlp(self) -> bool:
        """Return whether Spark NLP can load it. Spark NLP skips records that are not ready to use."""
        return bool(self.annotator)

    @property
    def folder(self) -> str:
        versions = (".".join(map(str, parts)) for parts in (self.lib_version, self.spark_version))
        return "_".join([self.name, self.language, *versions, str(self.time_ms)])

    @property
    def age(self) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """Return the key by which Spark NLP orders versions of a name; the greatest is the newest."""
        return self.spark_version, self.lib_version, self.time_ms


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A request to a repository; None means any. `in_spark_nlp` asks for a model that Spark NLP can load."""

    name: str
    language: str | None = None
    engine: str | None = None
    precision: str | None = None
    annotator: str | None = None
    in_spark_nlp: bool | None = None

    def fits(self, record: Record) -> bool:
        return all(value in (None, getattr(record, name)) for name, value in vars(self).items())

    def __str__(self) -> str:
        rest = [value for name, value in vars(self).items() if name != "name" and isinstance(value, str)]
        rest += ["for Spark NLP"] if self.in_spark_nlp else []
        return repr(self.name) + (f" ({', '.join(rest)})" if rest else "")


def _preference(record: Record) -> tuple[Any, ...]:
    """Exact before small, fast before slow, and then the newest; the greatest is preferred."""
    ranks = preference(engine=record.engine, precision=record.precision)
    return *(-rank for rank in ranks), record.age


class ModelRepository:
    """The bundles below `root`: a local folder, or the URL of one that Spark reads (`s3a://…`, `hdfs://…`).

    A URL is read through the running Spark session. Registering is for local folders.
    """

    def __init__(self, root: str | Path) -> None:
        """Raise ModelError for a URL that neither Spark NLP nor SparkContext.addFile() can read."""
        location = str(root) if storage.is_remote(str(root)) else str(storage.local_path(str(root)))
        if storage.is_remote(location) and (odd := sorted(set(location) & UNREADABLE)):
            raise ModelError(
                f"Spark cannot copy models from {location!r} to its workers: move them to a URL without "
                f"{' '.join(map(repr, odd))}."
            )
        self.root = location.rstrip("/") if storage.is_remote(location) else str(Path(location).absolute())

    def __repr__(self) -> str:
        return f"ModelRepository({self.root!r})"

    def metadata_lines(self) -> list[str]:
        """Return the lines of metadata.json, one per record; raise ModelError if the file does not exist."""
        try:
            text = storage.read_text(f"{self.root}/{METADATA_FILE}")
        except OSError:
            raise ModelError(
                f"{self.root} has no {METADATA_FILE}: not a model repository. "
                "Name the folder that was given to `sparkclin export --models`."
            ) from None
        except UnicodeDecodeError:
            raise ModelError(f"{self.root}/{METADATA_FILE} is not text in UTF-8. Copy the repository again.") from None
        return [line for line in text.splitlines() if line.strip()]

    def lines_for_spark_nlp(self) -> list[str]:
        """The records of what Spark NLP can load; raises ModelError as records() does."""
        return [line for line, record in self._records_of_lines() if record.in_spark_nlp]

    def records(self) -> list[Record]:
        """All versions of all models: by name and language, the newest version of each first.

        Raise ModelError if metadata.json is missing, or a line is not a record.
        """
        records = [record for _, record in self._records_of_lines()]
        newest_first = sorted(records, key=lambda record: record.age, reverse=True)
        return sorted(newest_first, key=lambda record: (record.name, record.language))

    def _records_of_lines(self) -> list[tuple[str, Record]]:
        """Each line of metadata.json with its record; raises ModelError as records() does."""
        records, wrong = [], []
        for number, line in enumerate(self.metadata_lines(), start=1):
            try:
                records.append((line, Record.from_json(line)))
            except ValueError as error:
                wrong.append(f"{number} ({error})")
        if wrong:
            raise ModelError(
                f"{self.root}/{METADATA_FILE}: no record of a model that `sparkclin export` registered in line "
                f"{', '.join(wrong)}. Remove it, and export that model again."
            )
        return records

    def resolve(self, wanted: Wanted) -> Record:
        """Return the newest version of the preferred kind among the wanted ones.

        Raise ModelError, listing the models, if none fits, or if the name exists in several languages and `wanted` does
        not choose one.
        """
        records = self.records()
        languages = sorted({record.language for record in records if record.name == wanted.name})
        if wanted.language is None and len(languages) > 1:
            raise ModelError(
                f"{self.root} has {wanted.name!r} in {len(languages)} languages ({', '.join(languages)}): choose one "
                "with --language, or with language= in Python."
            )
        matching = [record for record in records if wanted.fits(record)]
        if not matching:
            there = sorted({f"{r.name} ({r.language}, {r.engine} {r.precision})" for r in records})
            raise ModelError(
                f"there is no model {wanted} in {self.root}. "
                + (f"It has: {', '.join(there)}." if there else "It is empty; `sparkclin export` puts models there.")
            )
        return max(matching, key=_preference)

    def find(
        self, name: str, language: str | None = None, *, engine: str | None = None, precision: str | None = None
    ) -> Bundle:
        """Return the newest version of a model; without `engine` or `precision` the preferred one: exact, and then
        fast.

        Raise ModelError as resolve() and bundle() do.
        """
        return self.find_wanted(Wanted(name=name, language=language, engine=engine, precision=precision))

    def find_wanted(self, wanted: Wanted) -> Bundle:
        """Do the same for a request."""
        return self.bundle(self.resolve(wanted))

    def bundles(self, name: str | None = None, language: str | None = None) -> list[Bundle]:
        """Return all versions of all models, or of the models with a name or language, in the order of records().

        Raises ModelError where one cannot be read.
        """
        wanted = {"name": name, "language": language}
        return [
            self.bundle(record)
            for record in self.records()
            if all(value in (None, getattr(record, field)) for field, value in wanted.items())
        ]

    def newest(self) -> list[Bundle]:
        """The newest version of each model, language, engine and precision."""
        firsts = {(r.name, r.language, r.engine, r.precision): r for r in reversed(self.records())}
        return [self.bundle(record) for record in reversed(firsts.values())]

    def location(self, record: Record) -> str:
        return f"{self.root}/{record.folder}"

    def url(self, record: Record) -> str:
        """location() as Spark takes it."""
        return storage.as_url(self.location(record))

    def register(self, staged: Path, manifest: Manifest) -> Bundle:
        """Take `staged`, a finished bundle in a folder right below the root, into the repository as the newest version.

        The manifest is written here. Its `created` moves on by milliseconds where that is needed to be later than all
        versions there are. Folders of other versions are not touched; metadata.json is replaced whole, and last.
        Raises ModelError where a file is not what the manifest says, for a record or a manifest that could not be read
        back, for a model of Spark NLP in a path that Spark NLP cannot load from, or where the repository is not on the
        local disk.
        """
        if storage.is_remote(self.root):
            raise ModelError(
                f"cannot register in {self.root}: register in a local folder, then copy that folder there."
            )
        root = Path(self.root)
        if staged.absolute().parent != root:
            raise ModelError(
                f"{staged} is not right below {root}: a bundle must be staged there, to be renamed in one step."
            )
        Manifest.from_json(manifest.to_json(), where=str(staged))
        if manifest.annotator:
            check_spark_nlp_reads(self.root)
        if problems := problems_of(staged, manifest):
            raise ModelError(f"{staged} is not what its manifest says: {'; '.join(problems)}. Nothing was registered.")
        with _locked(root):
            there = self._records_of_lines() if (root / METADATA_FILE).exists() else []
            manifest = _later_than_all(manifest, [record for _, record in there])
            record = Record.of(manifest)
            lines = [*(line for line, _ in there), _readable_line(record)]
            storage.write_text(staged / MANIFEST_FILE, manifest.to_json())
            staged.rename(root / record.folder)
            storage.write_text(root / METADATA_FILE, "".join(f"{line}\n" for line in lines))
        return self.bundle(record)

    def bundle(self, record: Record) -> Bundle:
        """Return a record's bundle; raise ModelError if its manifest is not the registered one, or contradicts the
        record, by which a model is chosen."""
        bundle = Bundle.read(self.location(record), manifest_sha256=record.manifest_sha256)
        exported = Record.of(bundle.manifest)
        if differing := [name for name in OF_MANIFEST if getattr(record, name) != getattr(exported, name)]:
            said = [f"{name} {getattr(record, name)!r} for {getattr(exported, name)!r}" for name in differing]
            raise ModelError(
                f"{self.root}/{METADATA_FILE} says otherwise than the manifest of {record.folder}: {', '.join(said)}. "
                "Nothing of the model was loaded: copy the repository again from where it was exported."
            )
        return bundle


def check_spark_nlp_reads(location: str) -> None:
    """Raise ModelError if Spark NLP cannot load models from a folder. Models of the Python workers load from any."""
    if problems := spark_nlp_problems(location):
        raise ModelError("; ".join(problems) + ".")


def spark_nlp_problems(location: str) -> list[str]:
    """Return what keeps Spark NLP from loading models from a folder, with a remedy."""
    inside = storage.as_url(f"{location}/{METADATA_FILE}")  # what links lead to is a part of it
    odd = sorted(set(inside) & UNREADABLE)
    if not odd:
        return []
    return [
        f"Spark NLP cannot load from {location!r}, because it does not escape {' '.join(map(repr, odd))} in "
        f"{inside.rpartition('/')[0]}: use another folder, or --engine openvino, which runs without Spark NLP"
    ]


def to_iso(time_ms: int) -> str:
    """Milliseconds since 1970 as UTC, ISO 8601: `2022-03-04T12:58:32.345Z`."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _readable_line(record: Record) -> str:
    """Return the record's line of metadata.json; raise ModelError if Record.from_json() would refuse it."""
    line = record.to_json()
    try:
        Record.from_json(line)
    except ValueError as error:
        raise ModelError(
            f"{record.name!r} cannot be registered, because its record could not be read back: {error}. Names and "
            f"languages have {PLAIN_EXPECTED}."
        ) from None
    return line


def _text(value: Any, name: str, kind: re.Pattern[str] = re.compile(r"[^\0/]*")) -> str:
    if not isinstance(value, str) or not kind.fullmatch(value):
        raise ValueError(f"{name} is {str(value)[:40]!r}")
    return value


def _version(parts: Any) -> tuple[int, ...]:
    if not isinstance(parts, list) or not all(type(part) is int for part in parts):
        raise ValueError(f"a version is {str(parts)[:40]!r}")
    return tuple(parts)


def _to_ms(iso: str) -> int:
    try:
        return (datetime.fromisoformat(iso) - _EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        raise ValueError(f"time is {iso[:40]!r}") from None


def _later_than_all(manifest: Manifest, records: Sequence[Record]) -> Manifest:
    """The manifest, its time moved on where a version of the same name in `records` has the same or a later one."""
    taken = [r.time_ms for r in records if (r.name, r.language) == (manifest.name, manifest.language)]
    return replace(manifest, created=to_iso(max([manifest.created_ms, *(time + 1 for time in taken)])))


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Only one process at a time registers below `root`."""
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
