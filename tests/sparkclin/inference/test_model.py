"""A model in a worker: opened once, and with an error that says what to do where it cannot be."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from sparkclin.engines import ENGINES, InWorkers
from sparkclin.errors import ModelError, SetupError
from sparkclin.inference import model
from sparkclin.inference.model import ModelFiles, open_model, processor_name, worker_model

HERE = ModelFiles(folder=".", sha256="1", hashes=(), row_limits=(8,), precision="fp32", group_size=2, threads=1)
ENGINE = InWorkers(module="tests.sparkclin.inference.nothing", library="nothing", extra="some")


def test_a_folder_that_this_machine_does_not_see(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is not on this machine\. Every worker reads the model there"):
        open_model(ENGINE, replace(HERE, folder=str(tmp_path / "elsewhere")))


def test_a_library_that_is_not_installed() -> None:
    with pytest.raises(SetupError, match=r"has no nothing .* pip install 'sparkclin\[some\]'"):
        open_model(ENGINE, HERE)


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
