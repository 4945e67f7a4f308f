"""int8 that keeps a model's vectors: schemes from the fastest to the safest, and the first that passes on notes.

Trained encoders have channels with values far from all others. Such a value takes the scale of what it is quantized
with, and few steps are left to the rest. So what is tried moves the difference into the weights (SmoothQuant, Xiao et
al., 2023) and keeps tables as they are: first with static scales, which are known from the notes, then with dynamic
ones, a scale per piece. If no such scheme passes, a part of a state has a scale of its own, where the engine can, and
what suffers most is kept in higher precision: the value projections, then whole layers, the worst first.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from sparkclin.export.candidate import Candidate
from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.errors import ParityError
from sparkclin.export.graph.encoder import LAYER, TABLES, VALUE_PROJECTION, LayerWeights
from sparkclin.export.graph.ops import Array
from sparkclin.export.routes.route import Route, States
from sparkclin.export.scheme import DYNAMIC, Scheme
from sparkclin.export.steps import SILENT, Steps
from sparkclin.export.verify.expected import SAMPLE_PIECES, Expected
from sparkclin.export.verify.heads import separators_of
from sparkclin.export.verify.quantization import LIMITS, QuantizationReport, measure
from sparkclin.models.card import schemes_table

SENSITIVITY_PIECES = 4_000
"""That each layer by itself is tried on."""

SMOOTHING = (0.5, 0.75)
"""How much of the difference between channels moves from what meets a layer into its weights: SmoothQuant's α."""

FEWEST = np.float32(1e-5)
"""A channel with less is as good as empty."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A scheme, what became of the vectors of the sample, and how many pieces per second this process made."""

    scheme: Scheme
    report: QuantizationReport
    pieces_per_s: float

    @property
    def passed(self) -> bool:
        return self.report.passed

    def to_text(self) -> str:
        """In a line, as it comes."""
        documents, pieces = self.report.documents, self.report.pieces
        cosines = f"cosine of documents {documents.worst_cosine:.5f}, of pieces {pieces.worst_cosine:.5f} at worst"
        return f"{self.scheme.name}: {self.pieces_per_s:,.0f} pieces/s, {cosines}{'' if self.passed else ', FAILED'}"

    def to_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "scheme": self.scheme.name,
            "kept": sorted(self.scheme.kept),
            "group_size": self.scheme.group_size,
            "documents": asdict(self.report.documents),
            "pieces": asdict(self.report.pieces),
            "pieces_per_s": round(self.pieces_per_s),
            "passed": self.passed,
        }


def choose_scheme(
    candidate: Candidate, route: Route, expected: Expected, *, scratch: Path, steps: Steps = SILENT
) -> list[Tried]:
    """What was tried, in order, each of it said in a line; the last one is to be taken.

    Raises ParityError, with the table, where none passes.
    """
    trials = Trials(candidate, route, expected, scratch, steps)
    short = (trials.smoothed, trials.with_tables)
    tried: list[Tried] = []
    for first, stages in ((trials.static, short), (DYNAMIC, (*short, trials.finer, trials.keeping))):
        best, n_before = first, len(tried)
        for stage in stages:
            for scheme in stage(best):
                tried.append(trials.measure(scheme, most_pieces=SAMPLE_PIECES))
                steps.say(f"    {tried[-1].to_text()}")
                if tried[-1].passed:
                    return tried
            best = max(tried[n_before:], key=lambda found: found.report.pieces.mean_cosine).scheme
    table = schemes_table([found.to_dict() for found in tried])
    raise ParityError(
        "No int8 scheme keeps the vectors of notes near enough to fp32's "
        f"({LIMITS[candidate.precision].to_text()}); nothing was registered. Export it with a higher --precision.\n"
        + table
    )


@dataclass(frozen=True)
class Trials:
    """`scratch` is a folder for graphs, one at a time. Each stage goes on from the best scheme of those before it."""

    candidate: Candidate
    route: Route
    expected: Expected
    scratch: Path
    steps: Steps

    @property
    def static(self) -> Scheme:
        return Scheme(ranges=ranges_of(self.ranges, {}))

    def smoothed(self, best: Scheme) -> Iterator[Scheme]:
        yield best
        for share in SMOOTHING:
            smoothing = smoothing_of(self.layers, self.ranges, share)
            ranges = ranges_of(self.ranges, smoothing) if best.ranges else {}
            yield replace(best, labels=(f"smoothed by {share:g}",), smoothing=smoothing, ranges=ranges)

    def with_tables(self, best: Scheme) -> Iterator[Scheme]:
        """Those of pieces and positions: larger, and not slower."""
        yield replace(best, labels=(*best.labels, "tables kept"), kept=frozenset({TABLES}))

    def finer(self, best: Scheme) -> Iterator[Scheme]:
        for size in self.route.group_sizes:
            yield replace(best, group_size=size)

    def keeping(self, best: Scheme) -> Iterator[Scheme]:
        names = [LAYER.format(index) for index in range(len(self.layers))]
        values = frozenset(f"{name}/{VALUE_PROJECTION}" for name in names)
        yield replace(best, labels=(*best.labels, "values kept"), kept=best.kept | values)
        worst = self.by_sensitivity(names, best)
        for count in range(1, len(names)):
            kept = best.kept | frozenset(worst[:count])
            yield replace(best, labels=(*best.labels, f"{count} of {len(names)} layers kept"), kept=kept)

    def by_sensitivity(self, names: Sequence[str], scheme: Scheme) -> list[str]:
        """The layers, first those that harm the vectors most where only they are int8."""

        def harm(name: str) -> float:
            alone = replace(scheme, kept=scheme.kept | frozenset(names) - {name})
            return 1 - self.measure(alone, most_pieces=SENSITIVITY_PIECES).report.pieces.mean_cosine

        return sorted(names, key=harm, reverse=True)

    @cached_property
    def layers(self) -> tuple[LayerWeights, ...]:
        trained = self.candidate.trained
        return trained.family.load(trained.tensors, trained.config).layers

    @cached_property
    def ranges(self) -> dict[str, Array]:
        with self.steps.step("inputs of all layers measured on notes"):
            return self.expected.ranges

    def measure(self, scheme: Scheme, *, most_pieces: int) -> Tried:
        with TemporaryDirectory(dir=self.scratch) as folder:
            watched = Watched(self.route.trial(scheme, Path(folder)))
            report = measure(
                self.expected.notes,
                graph=watched,
                reference=self.expected.reference,
                config=self.candidate.trained.config,
                tokenizer_json=self.candidate.tokenizer_json,
                precision=self.candidate.precision,
                separators=separators_of(self.candidate.trained),
                most_pieces=most_pieces,
                steps=self.steps,
            )
        return Tried(scheme=scheme, report=report, pieces_per_s=statistics.median(watched.rates))


def smoothing_of(layers: Sequence[LayerWeights], ranges: Mapping[str, Array], share: float) -> dict[str, Array]:
    """What each linear layer's inputs are divided by: large where an input is large and its weights are small.

    Queries, keys and values read the same states, so they share it, and the states are quantized once.
    """
    found: dict[str, Array] = {}
    for index, layer in enumerate(layers):
        attention = layer.attention
        readers: Mapping[tuple[str, ...], Sequence[Array]] = {
            ("attention/query", "attention/key", VALUE_PROJECTION): (
                attention.query.weight,
                attention.key,
                attention.value,
            ),
            ("attention/output",): (attention.output.weight,),
            ("feed_forward/intermediate",): (layer.intermediate.weight,),
            ("feed_forward/output",): (layer.output.weight,),
        }
        for parts, weights in readers.items():
            names = [f"{LAYER.format(index)}/{part}" for part in parts]
            of_weights = np.max([np.abs(weight).max(axis=1) for weight in weights], axis=0)
            of_inputs = np.maximum(ranges[names[0]], FEWEST)
            ratio = of_inputs**share / np.maximum(of_weights, FEWEST) ** (1 - share)
            smoothing = ratio.astype(np.float32)
            found |= dict.fromkeys(names, smoothing)
    return found


def ranges_of(channels: Mapping[str, Array], smoothing: Mapping[str, Array]) -> dict[str, float]:
    """The largest magnitude of what meets each linear layer, of the largest by channel, smoothed."""
    one = np.float32(1)
    return {layer: float((largest / smoothing.get(layer, one)).max()) for layer, largest in channels.items()}


class Watched:
    """A graph, and the pieces per second of each run. The first ones of an engine may take longer."""

    def __init__(self, graph: States) -> None:
        self._graph = graph
        self.rates: list[float] = []

    def states(self, ids: Ids, mask: Ids) -> Vectors:
        begin = time.perf_counter()
        found = self._graph.states(ids, mask)
        self.rates.append(int(mask.sum()) / (time.perf_counter() - begin))
        return found
