"""OpenVINO in a worker: its memory does not grow with the number of shapes that it has read."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sparkclin.engines import BF16, FP32, INT8
from sparkclin.export.graph.openvino import write_model
from sparkclin.export.trained import TrainedModel
from sparkclin.inference.model import ModelFiles
from sparkclin.models.bundle import hash_files
from sparkclin.wire.tags import Vocabulary
from testkit.checkpoints import random_checkpoint

READ = """
import json, pickle, sys
import numpy as np, psutil
from sparkclin.inference.openvino import open_model
from testkit.shapes import batch_shapes, random_rows

files, vocabulary, stops = pickle.load(sys.stdin.buffer)
model, generator, found = open_model(files), np.random.default_rng(0), []
for number, shape in enumerate(batch_shapes(files.row_limits[-1])[: max(stops)], start=1):
    model.run(random_rows(generator, shape, vocabulary), ["mean"])
    if number in stops:
        found.append(psutil.Process().memory_info().rss)
print(json.dumps(found))
"""

SETTLED, MORE = 1000, 700
"""Shapes after which the caches are full, and how many follow: without a bound these take 0.6 MB each."""

MOST_GROWTH = 30 * 2**20
"""Of resident bytes. At most 2 MB were seen, in fp32 and bf16."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return TrainedModel.read(str(random_checkpoint(tmp_path_factory.mktemp("checkpoint"))))


@pytest.mark.slow
@pytest.mark.parametrize("precision", [FP32, BF16, INT8])
def test_memory_is_flat_over_the_shapes_of_batches(trained: TrainedModel, precision: str, tmp_path: Path) -> None:
    write_model(tmp_path, trained.row_bodies(), precision=precision, pad_id=trained.config.pad_id)
    files = ModelFiles(
        folder=str(tmp_path),
        sha256="",
        hashes=tuple(hash_files(tmp_path).items()),
        row_limits=trained.config.row_limits,
        precision=precision,
        group_size=trained.config.width,
        threads=1,
    )
    settled, after = resident_bytes(files, trained.config.vocabulary, stops=[SETTLED, SETTLED + MORE])
    assert after - settled < MOST_GROWTH


def resident_bytes(files: ModelFiles, vocabulary: Vocabulary, *, stops: Sequence[int]) -> list[int]:
    """Return what a process of its own has resident after it has read so many shapes."""
    command = [sys.executable, "-c", READ]
    given = pickle.dumps((files, vocabulary, stops))
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True)
    found: list[int] = json.loads(done.stdout)
    return found
