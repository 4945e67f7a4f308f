"""The graphs for Python workers against transformers' models, by the code that a worker runs: no Spark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from sparkclin.export.candidate import Candidate
from sparkclin.export.engines import WORKER_EXPORTERS
from sparkclin.export.families.family import Reference
from sparkclin.export.graph.openvino import ALIGNMENT
from sparkclin.export.routes.workers import WorkerRoute
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.quantization import cosines
from sparkclin.export.verify.samples import Batch
from sparkclin.inference.openvino import FOLDER, WEIGHTS, graph_file
from sparkclin.wire.outputs import Outputs
from testkit.checkpoints import random_bigbird, random_checkpoint

LENGTHS = [1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 31, 32, 33, 40, 64, 65, 129, 198]
"""On both sides of each limit of the small models."""


@dataclass(frozen=True)
class Original:
    trained: TrainedModel
    reference: Reference

    def route(self, folder: Path, *, precision: str) -> WorkerRoute:
        [exporter] = WORKER_EXPORTERS.values()
        candidate = Candidate(
            folder=folder,
            precision=precision,
            trained=self.trained,
            tokenizer_json=self.trained.tokenizer_json,
            outputs=Outputs(all=self.trained.head.outputs),
        )
        route = WorkerRoute(candidate=candidate, exporter=exporter)
        route.build()
        return route

    def batch(self, length: int) -> Batch:
        return Batch.random(np.random.default_rng(length), length=length, config=self.trained.config)


@pytest.fixture(scope="module", params=[random_checkpoint, random_bigbird])
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Original:
    trained = TrainedModel.read(str(request.param(tmp_path_factory.mktemp("checkpoint"))))
    return Original(trained, trained.reference())


@pytest.fixture(scope="module")
def exact(original: Original, tmp_path_factory: pytest.TempPathFactory) -> WorkerRoute:
    return original.route(tmp_path_factory.mktemp("bundle"), precision="fp32")


@pytest.mark.parametrize("length", LENGTHS)
def test_rows_give_the_reference_vectors(original: Original, exact: WorkerRoute, length: int) -> None:
    batch = original.batch(length)
    found, expected = exact.states(batch.ids, batch.mask), original.reference(batch.ids, batch.mask)
    for ours, theirs in zip(batch.real(found), batch.real(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("length", [4, 12, 40, 198])
def test_segment_parts_are_pooled_from_the_reference_vectors(
    original: Original, exact: WorkerRoute, length: int
) -> None:
    batch = original.batch(length)
    states = original.reference(batch.ids, batch.mask)
    outputs = [*exact.outputs(batch), *exact.outputs_alone(batch)]
    assert [output.path for output in outputs] == [
        "worker, segment parts",
        "worker, segment parts, mean",
        "worker, segment parts, max",
    ]
    for output in outputs:
        for found, expected in output.compare(states):
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_a_row_does_not_depend_on_the_others_of_its_batch(original: Original, tmp_path: Path) -> None:
    """In int8, too: each row is quantized by itself."""
    batch = original.batch(14)
    for precision in ("fp32", "int8"):
        route = original.route(tmp_path / precision, precision=precision)
        together = route.states(batch.ids, batch.mask)
        alone = route.states(batch.ids[:1], batch.mask[:1])
        np.testing.assert_allclose(together[0], alone[0], atol=1e-5, rtol=0)


def test_there_is_a_graph_without_conditions_for_each_kind_of_row(original: Original, exact: WorkerRoute) -> None:
    limits = original.trained.config.row_limits
    assert len(limits) > 1
    assert list(limits) == sorted(limits)
    assert limits[-1] == original.trained.config.max_row
    for limit in limits:
        graph = ElementTree.parse(exact.candidate.folder / FOLDER / graph_file(limit))
        kinds = {layer.attrib["type"] for layer in graph.iterfind(".//layer")}
        assert "MatMul" in kinds
        assert "If" not in kinds


def test_weights_are_stored_once(original: Original, exact: WorkerRoute) -> None:
    """However many graphs there are: all read the piece table at one place, and the file has nothing else."""
    folder, config = exact.candidate.folder / FOLDER, original.trained.config
    read: dict[str, set[tuple[int, int]]] = {}
    for graph in folder.glob("*.xml"):
        places = ElementTree.parse(graph).iterfind(".//data[@offset]")
        read[graph.name] = {(int(place.attrib["offset"]), int(place.attrib["size"])) for place in places}
    table = config.vocab_size * config.width * np.dtype(np.float32).itemsize
    of_rows = [places for name, places in read.items() if name.startswith("rows_")]
    assert len({place for places in of_rows for place in places if place[1] == table}) == 1
    assert all(any(size == table for _, size in places) for places in of_rows)
    held = sum(size + -size % ALIGNMENT for _, size in set().union(*read.values()))
    assert (folder / WEIGHTS).stat().st_size <= held
    assert [path.name for path in folder.glob("*.bin")] == [WEIGHTS]


@pytest.mark.parametrize(("precision", "least"), [("bf16", 0.999), ("int8", 0.99)])
@pytest.mark.parametrize("length", [2, 12, 40, 198])
def test_other_precisions_are_near_the_reference(
    original: Original, tmp_path: Path, precision: str, least: float, length: int
) -> None:
    batch = original.batch(length)
    route = original.route(tmp_path, precision=precision)
    found, expected = route.states(batch.ids, batch.mask), original.reference(batch.ids, batch.mask)
    for ours, theirs in zip(batch.real(found), batch.real(expected), strict=True):
        assert cosines(ours.astype(np.float64), theirs.astype(np.float64)).min() >= least


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_what_is_not_exact_takes_less_room(
    original: Original, exact: WorkerRoute, tmp_path: Path, precision: str
) -> None:
    original.route(tmp_path, precision=precision)
    small, large = (folder / FOLDER / WEIGHTS for folder in (tmp_path, exact.candidate.folder))
    assert small.stat().st_size < large.stat().st_size


def test_bf16_weights_are_used_as_they_lie_in_the_file(original: Original, tmp_path: Path) -> None:
    """OpenVINO converts what is not marked when it opens a graph: a copy per graph and worker."""
    original.route(tmp_path, precision="bf16")
    for limit in original.trained.config.row_limits:
        layers = list(ElementTree.parse(tmp_path / FOLDER / graph_file(limit)).iterfind(".//layer"))
        stored = [layer for layer in layers if layer.find("./data[@element_type='bf16']") is not None]
        marked = [layer for layer in layers if layer.find("./rt_info/attribute[@name='decompression']") is not None]
        assert len(stored) == len(marked) == 6 * original.trained.config.layers
