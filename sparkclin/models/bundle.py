"""An exported model folder ("bundle") and the manifest that says what made it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from sparkclin.errors import ModelError, OptionError, masked
from sparkclin.hashing import sha256_of_text
from sparkclin.inference.model import ModelFiles, shortened
from sparkclin.models.trust import check_variable
from sparkclin.schema import ANSWER, CLASSIFY, EMBED, ENGINE, ENTITIES, MODEL, MODEL_DIGEST, PRECISION
from sparkclin.spark import storage
from sparkclin.text.pieces import PieceEncoder, named_ids
from sparkclin.text.pooling import MAX, MEAN
from sparkclin.text.tokenization import PairOptions
from sparkclin.text.windows import WindowOptions, default_stride
from sparkclin.wire.outputs import Output, Outputs
from sparkclin.wire.tags import Vocabulary

MANIFEST_FILE = "sparkclin.json"
TOKENIZER_FILE = "tokenizer.json"
STAGE_FILE = "metadata/part-00000"
"""Spark ML's, of a saved annotator."""

FORMAT_REVISION = 5
OLDEST_REVISION = 2

DIGEST_DIGITS = 16
"""Of a SHA-256, where it is to tell a few models apart."""

BYTES_PER_CHECKSUM = 512
"""Of Hadoop's files of checksums, which have 4 bytes for each so many, behind a head of 8."""

SHOWN_PROBLEMS = 5
"""Of a bundle in an error."""

CHECKPOINTS = {
    EMBED: "…Model or …ForMaskedLM",
    ENTITIES: "…ForTokenClassification",
    CLASSIFY: "…ForSequenceClassification",
    ANSWER: "…ForQuestionAnswering",
}
"""What a model for a task is exported from."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a bundle is and what made it.

    `max_pieces` is the most pieces a window may have, special pieces not counted; `width` the length of a vector;
    `vocab_size` the number V of ordinary piece ids (codes are V…2V−1); `cls_id` and `sep_id` the ids of the special
    pieces that begin and end a window, `pad_id` that of padding; `engine` and `precision` are names of
    `sparkclin.engines`; `created` is UTC, ISO 8601 with milliseconds; `source` names the checkpoint, and
    `tokenizer_source` the tokenizer that replaced the checkpoint's own, if any; `config` the checkpoint's
    configuration, with the labels and the problem type that a user stated; `libraries` name -> version; `parity` the
    figures of the export's verification; `files` path in the bundle -> SHA-256.

    `task` is what the model's head is for and `labels` its labels; `outputs` says how many numbers each output has that
    the graph gives per segment part; `selects_outputs` whether it gives only those that are asked for. `problem_type`
    is transformers' word for how labels go together, such as multi_label_classification; None for other tasks.
    `global_attention` says which positions have it (`sparkclin.export.graph.model_input`), `separators` which ids
    separate two texts in a row. `row_limits` are the longest rows in ids of each graph, ascending, of a model that runs
    in the Python workers, and `group_size` is how many numbers of a state share a scale in int8; the others have one
    graph, no limits, and 0. A model for the workers has no `annotator`.
    """

    name: str
    language: str
    family: str
    engine: str
    precision: str
    annotator: str
    max_pieces: int
    width: int
    vocab_size: int
    cls_id: int
    sep_id: int
    pad_id: int
    created: str
    source: str
    source_sha256: dict[str, str]
    config: dict[str, Any]
    libraries: dict[str, str]
    parity: dict[str, Any]
    files: dict[str, str]
    tokenizer_source: str = ""
    description: str = ""
    task: str = EMBED
    labels: tuple[str, ...] = ()
    outputs: tuple[Output, ...]
    selects_outputs: bool = True
    problem_type: str | None = None
    global_attention: str = "none"
    separators: tuple[int, ...] = ()
    row_limits: tuple[int, ...] = ()
    group_size: int = 0
    format_revision: int = FORMAT_REVISION

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Manifest:
        """Raises ModelError where `text` is not a manifest of a revision this version reads."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{where} cannot be read as JSON ({error}). Export the model again.") from None
        found = raw.get("format_revision") if isinstance(raw, dict) else None
        if type(found) is not int or not OLDEST_REVISION <= found <= FORMAT_REVISION:
            raise ModelError(
                f"{where} has format_revision {found!r}; this sparkclin reads {OLDEST_REVISION} to {FORMAT_REVISION}. "
                "Use the sparkclin that exported it or a later one, or export the model again with this version."
            )
        raw = _with_defaults(raw) | {"format_revision": FORMAT_REVISION}
        known = {f.name for f in fields(cls)}
        wrong = sorted(known ^ set(raw))
        if wrong:
            raise ModelError(f"{where} lacks or adds the fields {', '.join(wrong)}. Export the model again.")
        kinds = get_type_hints(cls)
        if wrong := sorted(name for name, value in raw.items() if not _is_of(kinds[name], value)):
            raise ModelError(f"{where} has values of another type in {', '.join(wrong)}. Export the model again.")
        outputs = tuple(Output(output["name"], output["size"]) for output in raw["outputs"])
        lists = {name: tuple(raw[name]) for name in ("labels", "separators", "row_limits")}
        manifest = cls(**{**raw, **lists, "outputs": outputs})
        manifest._check_created(where)
        return manifest

    def _check_created(self, where: str) -> None:
        try:
            _ = self.created_ms
        except (ValueError, OverflowError):
            raise ModelError(f"{where} has no time in created. Export the model again.") from None

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(
            size=self.vocab_size,
            cls_id=self.cls_id,
            sep_id=self.sep_id,
            pad_id=self.pad_id,
            separators=len(self.separators),
        )

    @property
    def segment_outputs(self) -> Outputs:
        return Outputs(all=self.outputs, selectable=self.selects_outputs)

    def check_task(self, task: str) -> None:
        """Raises ModelError for a model that was exported for another one."""
        if self.task != task:
            raise ModelError(
                f"{self.name} is a model for the task {self.task!r}; {task!r} takes one that was exported from a "
                f"{CHECKPOINTS[task]} checkpoint."
            )

    def pairing(self, *, first: bool) -> PairOptions:
        """How it reads two texts in a row; raises ModelError where its tokenizer has no such rows."""
        if not self.separators:
            raise ModelError(f"the tokenizer of {self.name} has no rows of two texts: it takes notes without a pair.")
        return PairOptions(separators=self.separators, first=first)

    def windows(
        self, *, max_pieces: int | None = None, stride: int | None = None, max_note_pieces: int | None = None
    ) -> WindowOptions:
        """How the model's notes are cut where the user does not say: windows as long as it reads, an eighth shared.

        Raises OptionError for windows that are longer than the model reads, or a stride that does not fit them.
        """
        most = self.max_pieces if max_pieces is None else max_pieces
        if most > self.max_pieces:
            raise OptionError(
                f"max_pieces is {most}, more than the model reads: {self.name} reads at most {self.max_pieces}."
            )
        shared = default_stride(most) if stride is None else stride
        return WindowOptions(max_pieces=most, stride=shared, max_note_pieces=max_note_pieces)

    @property
    def created_ms(self) -> int:
        """`created` as milliseconds since 1970, the last part of the bundle folder's name."""
        moment = datetime.fromisoformat(self.created.replace("Z", "+00:00")).astimezone(UTC)
        return round(moment.timestamp() * 1000)


def _is_of(kind: Any, value: Any) -> bool:
    """Whether JSON's `value` is what stands there for a field of this type."""
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(_is_of(inner[0], one) for one in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(_is_of(inner[1], one) for one in value.values())
    if isinstance(kind, UnionType):
        return any(_is_of(one, value) for one in inner)
    if kind is Output:
        hints = get_type_hints(Output)
        return (
            isinstance(value, dict) and value.keys() == hints.keys() and all(_is_of(hints[n], value[n]) for n in hints)
        )
    return kind is Any or type(value) is kind  # a bool is no int


def _with_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """A manifest of an older revision with what that revision took for granted."""
    later = {
        "tokenizer_source": "",
        "problem_type": None,
        "global_attention": "none",
        "separators": (),
        "row_limits": (),
        "group_size": 0,
    }
    if raw["format_revision"] >= 3:
        kept = {name: value for name, value in raw.items() if name != "n_fields"}
        return later | kept
    width = raw.get("width", 0)
    both = {"outputs": [{"name": name, "size": width} for name in (MEAN, MAX)], "selects_outputs": False}
    parity = {"parity": _with_new_words(raw["parity"])} if "parity" in raw else {}
    return {"task": EMBED, "labels": (), **later, **both, **raw, **parity}


def _with_new_words(parity: Any) -> Any:
    """Parity figures of revision 2 with the words that are used now."""
    words = {"route": "path", "routes": "paths", "packs": "packed", "graph, pack": "graph, packed batch"}
    if isinstance(parity, dict):
        return {words.get(key, key): _with_new_words(value) for key, value in parity.items()}
    if isinstance(parity, list):
        return [_with_new_words(value) for value in parity]
    return words.get(parity, parity) if isinstance(parity, str) else parity


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle and where it is.

    `location` is a local path, or the URL of a file system that Spark reads (`s3a://…`); `manifest_sha256` is the
    SHA-256 of the manifest, as `sha256sum sparkclin.json` prints it. The manifest has the hashes of all other files, so
    this is the bundle's, wherever it lies. `read_text` gives the text of a file by its location and raises OSError
    where there is none.
    """

    location: str
    manifest: Manifest
    manifest_sha256: str
    read_text: Callable[[str], str] = field(default=storage.read_text, repr=False, compare=False)

    @classmethod
    def read(
        cls,
        location: str | Path,
        *,
        manifest_sha256: str | None = None,
        read_text: Callable[[str], str] = storage.read_text,
    ) -> Bundle:
        """Raises ModelError where `location` has no manifest, or one that this version does not read, or one that is
        not the one whose SHA-256 is given."""
        file = f"{location}/{MANIFEST_FILE}"
        try:
            text = read_text(file)
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(
                f"{location} has no readable {MANIFEST_FILE} ({type(error).__name__}): not a sparkclin bundle. "
                "Make one with `sparkclin export`."
            ) from None
        found = sha256_of_text(text)
        if manifest_sha256 not in (None, found):
            raise ModelError(
                f"{file} is not the manifest that was registered: it has {shortened(found)}, and the record in the "
                f"repository's metadata.json says {shortened(str(manifest_sha256))}. Nothing of the model was loaded: "
                f"copy {location} again from where it was exported."
            )
        return cls(
            location=str(location),
            manifest=Manifest.from_json(text, where=file),
            manifest_sha256=found,
            read_text=read_text,
        )

    def __repr__(self) -> str:
        """Three lines: what it is; how large, when and of what it was made; where it lies, and which it is."""
        manifest = self.manifest
        limits = f"{manifest.width} numbers per vector, windows of up to {manifest.max_pieces:,} pieces"
        return (
            f"Bundle {manifest.name} ({manifest.language}): {manifest.task}, {manifest.engine} {manifest.precision}\n"
            f"  {limits}; exported {manifest.created[:10]} from {manifest.source}\n"
            f"  {masked(self.location)}, sha256 {self.digest}"
        )

    @property
    def digest(self) -> str:
        """The first digits of manifest_sha256: enough to tell the versions of a model apart, and short in a row."""
        return self.manifest_sha256[:DIGEST_DIGITS]

    @property
    def made_by(self) -> dict[str, str]:
        """The values of the columns that say what made a row (`sparkclin.schema.MADE_BY`)."""
        manifest = self.manifest
        return {
            MODEL: manifest.name,
            ENGINE: manifest.engine,
            PRECISION: manifest.precision,
            MODEL_DIGEST: self.digest,
        }

    @property
    def path(self) -> Path:
        """The folder on the local disk; raises ModelError where the bundle is not there."""
        if storage.is_remote(self.location):
            raise ModelError(f"{self.location} is not on the local disk; copy the repository to it to do this.")
        return Path(self.location)

    @property
    def url(self) -> str:
        """`location` as Spark takes it."""
        return storage.as_url(self.location)

    def model_files(self, *, threads: int) -> ModelFiles:
        """Of a model that runs in the Python workers, where the folder lies at `location` on this machine."""
        manifest = self.manifest
        return ModelFiles(
            folder=self.location,
            sha256=self.manifest_sha256,
            hashes=tuple(sorted(manifest.files.items())),
            row_limits=manifest.row_limits,
            precision=manifest.precision,
            group_size=manifest.group_size,
            threads=threads,
        )

    def tokenizer_json(self) -> str:
        """Return the model's own tokenizer. Raise ModelError, as check() does, if the file was changed or the bundle is
        not trusted, and if the tokenizer can give an id that the model does not have."""
        check_variable(self.manifest_sha256, location=self.location)
        try:
            text = self.read_text(f"{self.location}/{TOKENIZER_FILE}")
        except (OSError, UnicodeDecodeError) as error:
            raise self._altered([_unreadable(TOKENIZER_FILE, error)]) from None
        if sha256_of_text(text) != self.manifest.files.get(TOKENIZER_FILE):
            raise self._altered([f"{TOKENIZER_FILE}: changed"])
        if beyond := ids_beyond(text, self.manifest.vocab_size):
            raise ModelError(
                f"{self.manifest.name} has a tokenizer with more ids than the model. The model has "
                f"{self.manifest.vocab_size} ids; tokens without one ({len(beyond)}): {named_ids(beyond)}. A note with "
                "such a token would get a wrong vector or none. Resize the checkpoint's embedding matrix, or remove "
                "these tokens from its tokenizer, and export it again."
            )
        return text

    def saved_id(self) -> str:
        """The id that Spark ML gave the annotator when it was made; raises ModelError where there is none to read."""
        try:
            text = self.read_text(f"{self.location}/{STAGE_FILE}")
            return str(json.loads(text)["uid"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._altered([_unreadable(STAGE_FILE, error)]) from None

    def check(self) -> None:
        """What goes before a byte of it is given to Spark NLP, to which a bundle is code, or to a worker.

        Every file is hashed, once in this process: again where a file's size or time of change is another one. Raises
        ModelError where a file is not what was exported, or $SPARKCLIN_TRUST is set and does not name this bundle.
        """
        check_variable(self.manifest_sha256, location=self.location)
        key = (self.location, self.manifest_sha256)
        states = _states_of(self.location)
        if _checked.get(key) != states:
            if problems := self.problems():
                raise self._altered(problems)
            _checked[key] = states

    def _altered(self, problems: Sequence[str]) -> ModelError:
        more = f" and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
        return ModelError(
            f"{self.location} is not what was exported: {'; '.join(problems[:SHOWN_PROBLEMS])}{more}. Nothing of it "
            "was loaded: copy it again from where it was exported, and see `sparkclin models check`."
        )

    def problems(self) -> list[str]:
        """What differs between the folder and its manifest; empty when every file is as it was exported."""
        return problems_of(self.location, self.manifest)


@lru_cache(maxsize=2)
def ids_beyond(tokenizer_json: str, n_ids: int) -> dict[int, str]:
    """Call PieceEncoder.beyond(). The result is kept: a run asks several times, and each takes 0.3 s."""
    return PieceEncoder(tokenizer_json).beyond(n_ids)


_checked: dict[tuple[str, str], dict[str, storage.FileState]] = {}
"""Of bundles that were as exported, by location and manifest's SHA-256: the state that their files had then."""


def problems_of(folder: str | Path, manifest: Manifest) -> list[str]:
    """What differs between a folder and a manifest of it, a phrase per file. Raises ModelError where the folder cannot
    be listed."""
    found, expected = _exported(_states_of(folder)), manifest.files
    missing = [f"{name}: missing" for name in sorted(expected.keys() - found)]
    added = [f"{name}: not in the manifest" for name in sorted(found - expected.keys())]
    shared = sorted(found & expected.keys())
    differing = [problem for name in shared if (problem := _difference(folder, name, expected[name]))]
    return [text if text.isprintable() else repr(text) for text in (*missing, *added, *differing)]


def _difference(folder: str | Path, name: str, expected: str) -> str:
    try:
        return "" if storage.sha256_of(f"{folder}/{name}") == expected else f"{name}: changed"
    except OSError as error:
        return _unreadable(name, error)


def _unreadable(name: str, error: Exception) -> str:
    return f"{name}: unreadable ({type(error).__name__})"


def _states_of(folder: str | Path) -> dict[str, storage.FileState]:
    try:
        return storage.states_below(folder)
    except OSError as error:
        raise ModelError(f"{folder} cannot be read ({type(error).__name__}): check the path and its rights.") from None


def _exported(states: Mapping[str, storage.FileState]) -> set[str]:
    """The files that a bundle's manifest must have. Hadoop's hidden `.crc` files beside them are checksums themselves:
    no reader takes them for data, and object stores drop them."""
    return {name for name in states if name != MANIFEST_FILE and not _is_checksum(name, states)}


def _is_checksum(name: str, states: Mapping[str, storage.FileState]) -> bool:
    checked = states.get(storage.checked_file(name) or "")
    return checked is not None and states[name].size <= 8 + 4 * -(-checked.size // BYTES_PER_CHECKSUM)


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder` that a manifest of it must have, by its path relative to `folder`."""
    return {name: storage.sha256_of(folder / name) for name in sorted(_exported(storage.states_below(folder)))}
