"""A worker opens a model once. If it cannot, the error names the remedy."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import pytest

from sparkclin.engines import ENGINES, InWorkers
from sparkclin.errors import ModelError, SetupError
from sparkclin.inference import model
from sparkclin.inference.model import (
    ModelFiles,
    check_library,
    open_model,
    processor_name,
    shortened,
    worker_model,
)

HERE = ModelFiles(folder=".", sha256="1", hashes=(), row_limits=(8,), precision="fp32", group_size=2, threads=1)
ENGINE = InWorkers(module="tests.sparkclin.inference.nothing", library="nothing", extra="some")


def test_a_folder_that_this_machine_does_not_see(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is not on this machine\. Every worker reads the model there"):
        open_model(ENGINE, replace(HERE, folder=str(tmp_path / "elsewhere")))


def test_a_library_that_is_not_installed() -> None:
    with pytest.raises(SetupError, match=r"has no nothing .* pip install 'sparkclin\[some\]'"):
        open_model(ENGINE, HERE)


def test_a_missing_library_is_found_without_importing_it() -> None:
    check_library(replace(ENGINE, library="json"))
    with pytest.raises(SetupError, match=r"has no nothing\. Install it on every machine"):
        check_library(ENGINE)


def test_a_file_is_read_only_if_it_is_the_exported_one(tmp_path: Path) -> None:
    whole, altered, foreign = (tmp_path / name for name in ("whole", "altered", "foreign"))
    for file in (whole, altered, foreign):
        file.write_bytes(b"graph")
    exported = sha256(b"graph").hexdigest()
    hashes = (("whole", exported), ("altered", sha256(b"another").hexdigest()), ("missing", exported))
    files = replace(HERE, folder=str(tmp_path), hashes=hashes)
    assert files.checked("whole") == whole
    for name, found in [("altered", exported[:12]), ("missing", "FileNotFoundError"), ("foreign", "no such file")]:
        with pytest.raises(ModelError, match=f"{name} on this machine .*{found}"):
            files.checked(name)


def test_only_a_hash_is_shortened() -> None:
    assert shortened("0123456789abcdef" * 4) == "SHA-256 0123456789ab…"
    assert shortened("no such file") == "no such file"


def test_a_worker_opens_a_model_once_and_holds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[ModelFiles] = []
    monkeypatch.setattr(model, "_open", {})

    def opening(_engine: InWorkers, files: ModelFiles) -> object:
        opened.append(files)
        return object()

    monkeypatch.setattr(model, "open_model", opening)
    other = replace(HERE, sha256="2")
    first = worker_model(ENGINE, HERE)
    assert worker_model(ENGINE, HERE) is first
    worker_model(ENGINE, other)
    assert worker_model(ENGINE, HERE) is not first
    assert opened == [HERE, other, HERE]


def test_every_engine_of_the_table_has_its_module() -> None:
    for engine in ENGINES.values():
        assert (engine.spark_nlp is None) != (engine.in_workers is None)
        if engine.in_workers:
            assert import_module(engine.in_workers.module).open_model


def test_the_processor_has_a_name() -> None:
    assert processor_name() == processor_name().strip() != ""
