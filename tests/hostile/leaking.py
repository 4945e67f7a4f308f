"""A driver that runs the pipelines' commands on notes whose text must not be seen, one case after the other.

    python leaking.py INPUTS OUTPUTS LOCAL CASE …

LOCAL is where the local folders of executors are, which a cluster removes when the driver ends. Prints a line of JSON
per case: its exit status, how many files of shuffled rows are there then, and which files have the word that is in
INPUTS/mark.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from sparkclin.commands import embed as embed_notes
from sparkclin.commands import ner as ner_notes
from sparkclin.tasks import segment_outputs

if TYPE_CHECKING:
    import pyarrow as pa

    Batches = Iterator[pa.RecordBatch]

PACK = segment_outputs._pack
"""What runs in a task first: a killing or raising one is put in its place."""


def raising(batches: Batches, **_: object) -> Batches:
    """Text in an error, in what it was raised of and in a note that was added to it."""
    for batch in batches:
        texts = str(batch.column("text").to_pylist())
        try:
            raise KeyError(texts)
        except KeyError as error:
            failure = ValueError(f"this cannot be read: {texts}")
            failure.add_note(texts)
            raise failure from error
    yield from ()


def killing(*, driver: int | None, once: str) -> Callable[..., Batches]:
    """Kills the JVM that a task runs for, and the driver of that number."""

    def pack(batches: Batches, **options: Any) -> Batches:
        if not Path(once).exists():
            Path(once).touch()
            daemon = Path(f"/proc/{os.getppid()}/status").read_text()
            jvm = int(daemon.partition("PPid:")[2].split()[0])
            for process in filter(None, (driver, jvm)):
                os.kill(process, signal.SIGKILL)
        return PACK(batches, **options)

    return pack


def in_tasks(pack: Callable[..., Batches]) -> AbstractContextManager[object]:
    return patch.object(segment_outputs, "_pack", pack)


def embed(inputs: Path, output: Path, *options: str) -> int:
    return embed_notes.main(["--input", str(inputs), "--output", str(output), "--partitions", "2", *options])


def run_case(case: str, inputs: Path, outputs: Path) -> int:
    """The exit status of a case; those without a line here are an input of that name that cannot be read."""
    notes, output = inputs / "notes.parquet", outputs / case
    match case:
        case "embedded":
            return embed(notes, output)
        case "entities":
            return ner_notes.main(["--input", str(notes), "--output", str(output), "--partitions", "2"])
        case "for omop":
            table = ("--input", str(inputs / "note.parquet"), "--output-schema", "omop")
            return ner_notes.main([*table, "--output", str(output), "--partitions", "2"])
        case "output exists":
            return embed(notes, inputs)
        case "altered model":
            return embed(notes, output, "--models", str(inputs / "altered"), "--model", "clinical_longformer_demo")
        case "error in a worker":
            with in_tasks(raising):
                return embed(notes, output)
        case "shown on purpose":
            with in_tasks(raising):
                return shown(inputs / "control.parquet", output)
        case "killed executor":
            with in_tasks(killing(driver=None, once=str(outputs / "killed"))):
                return embed(notes, output)
        case "killed driver":
            with in_tasks(killing(driver=os.getpid(), once=str(outputs / "killed"))):
                return embed(notes, output)
    (file,) = inputs.glob(f"{case}.*")
    return embed(file, output, "--input-format", file.suffix[1:])


def shown(notes: Path, output: Path) -> int:
    try:
        return embed(notes, output, "--unsafe-debug")
    except Exception as error:  # noqa: BLE001
        print(error, file=sys.stderr)
        return 1


def files_below(folder: Path) -> list[Path]:
    """Those that are there; Path.rglob() would fail where Spark removes a folder meanwhile."""
    return [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]


def content_of(path: Path) -> bytes:
    with suppress(FileNotFoundError):  # Spark removes what it needs no more
        return path.read_bytes() if path.is_file() else b""
    return b""


def main() -> None:
    inputs, outputs, local = map(Path, sys.argv[1:4])
    mark = (inputs / "mark").read_bytes()
    for case in sys.argv[4:]:
        print(f"case: {case}", file=sys.stderr)
        status = run_case(case, inputs, outputs)
        files = files_below(local)
        shuffled = sum(path.match("shuffle_*.data") for path in files)
        text = [str(path) for path in files if mark in content_of(path)]
        print(json.dumps({"case": case, "status": status, "shuffled": shuffled, "text": text}))


if __name__ == "__main__":
    main()
