"""Ids and vectors of an exported model against the reference, before anybody else may use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sparkclin.engines import PRECISIONS
from sparkclin.export.candidate import Candidate
from sparkclin.export.engines import Vectors
from sparkclin.export.errors import ParityError
from sparkclin.export.routes.route import ORDINARY_IDS, PathOutput, Route, real
from sparkclin.export.steps import SILENT, Steps
from sparkclin.export.verify.expected import SEED, Expected, lengths_of
from sparkclin.export.verify.heads import labels_differ, separators_of
from sparkclin.export.verify.quantization import QuantizationReport, cosines, measure
from sparkclin.export.verify.samples import Batch


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a comparison of vectors; None for no limit."""

    max_abs_difference: float | None
    min_cosine: float

    def to_text(self) -> str:
        near = "" if self.max_abs_difference is None else f"max |Δ| ≤ {self.max_abs_difference:g}, "
        return f"{near}cosine ≥ {self.min_cosine:g}"


EXACT_PRECISION = PRECISIONS[0]
# fp32 against the reference.
EXACT = Limits(max_abs_difference=1e-4, min_cosine=0.999999)
# What the head makes inside the graph against the same made of the graph's own vectors.
HEAD = Limits(max_abs_difference=1e-5, min_cosine=0.999999)
# int8 by one path against another: a last digit that rounds the other way is a whole step of 8 bits, and the model
# may make much of it (0.995 was seen); a wrong id or mask is far below.
ROUNDING = Limits(max_abs_difference=None, min_cosine=0.99)


@dataclass(frozen=True, kw_only=True)
class VectorFigure:
    """A full row of `length` ids batched with a padded one of half of it, by one path; the worst over all vectors."""

    path: str
    length: int
    max_abs_difference: float
    min_cosine: float

    def keeps(self, limits: Limits | None) -> bool:
        if limits is None:
            return True
        near = limits.max_abs_difference is None or self.max_abs_difference <= limits.max_abs_difference
        return near and self.min_cosine >= limits.min_cosine


@dataclass(frozen=True, kw_only=True)
class VectorTable:
    """Figures of all paths and lengths, with the limits that all are held to."""

    against: str
    limits: Limits | None
    figures: tuple[VectorFigure, ...]

    @property
    def passed(self) -> bool:
        return bool(self.figures) and all(figure.keeps(self.limits) for figure in self.figures)

    def to_dict(self) -> dict[str, Any]:
        return {
            "vectors": [asdict(figure) for figure in self.figures],
            "limits": asdict(self.limits) if self.limits else None,
        }

    def to_text(self) -> str:
        lines = [f"against {self.against} ({self.limits.to_text() if self.limits else 'not held to limits'}):"]
        lines.append(f"{'path':<22}{'length':>7}{'max |Δ|':>12}{'min cosine':>14}")
        for f in self.figures:
            verdict = "" if f.keeps(self.limits) else "  FAILED"
            lines.append(f"{f.path:<22}{f.length:>7}{f.max_abs_difference:>12.2e}{f.min_cosine:>14.9f}{verdict}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """The result of a comparison with the reference.

    `vectors` is against the reference, with limits for fp32; `packed` compares what the head makes inside the graph
    with the same made of the graph's own vectors. `head` compares what it makes of the reference's vectors with what
    transformers' class makes; an embedding head has none. Of other precisions alone there are `paths`, against the
    graph's own vectors by ordinary ids, and `quantization`.
    """

    id_rows: int
    id_rows_identical: int
    vectors: VectorTable
    packed: VectorTable
    head: VectorTable | None
    paths: VectorTable | None
    quantization: QuantizationReport | None

    @property
    def passed(self) -> bool:
        parts = (self.vectors, self.packed, self.head, self.paths, self.quantization)
        return 0 < self.id_rows == self.id_rows_identical and all(part.passed for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and their limits for the manifest."""
        return {
            "id_rows": self.id_rows,
            "id_rows_identical": self.id_rows_identical,
            **self.vectors.to_dict(),
            "packed": self.packed.to_dict(),
            **({"head": self.head.to_dict()} if self.head else {}),
            **({"paths": self.paths.to_dict()} if self.paths else {}),
            **({"precision": self.quantization.to_dict()} if self.quantization else {}),
        }

    def to_text(self) -> str:
        """Tables for people."""
        ids = f"ids identical to the Hugging Face tokenizer's: {self.id_rows_identical} of {self.id_rows} texts"
        parts = (self.vectors, self.packed, self.head, self.paths, self.quantization)
        return "\n".join([ids, *(part.to_text() for part in parts if part)])


def verify(candidate: Candidate, route: Route, expected: Expected, *, steps: Steps = SILENT) -> ParityReport:
    """Compare an exported model with the expected ids and vectors; a precision below fp32 on notes too.

    Raises ParityError, with the tables of figures, where anything is off.
    """
    source = candidate.trained.source
    with steps.step("ids compared"):
        sent = route.ids(expected.texts)
        identical = [theirs == ours for theirs, ours in zip(expected.ids, sent, strict=True)]
    with steps.step(f"vectors compared, rows of up to {lengths_of(candidate.trained)[-1]:,} ids"):
        figures = list(compare_paths(candidate, route, expected, steps=steps))
    is_exact = candidate.precision == EXACT_PRECISION
    report = ParityReport(
        id_rows=len(identical),
        id_rows_identical=sum(identical),
        vectors=table_against_reference(figures, limits=EXACT if is_exact else None),
        packed=table_of_packed(figures),
        head=table_of_head(expected, steps=steps) if candidate.trained.spec.auto_class else None,
        paths=None if is_exact or not route.returns_vectors else table_of_paths(figures),
        quantization=None if is_exact else measure_on_notes(candidate, route, expected, steps=steps),
    )
    if not report.passed:
        raise ParityError(
            f"The exported model differs from {source.source}; nothing was registered.\n" + report.to_text()
        )
    return report


def table_against_reference(figures: Sequence[PathFigures], *, limits: Limits | None) -> VectorTable:
    return VectorTable(against="the reference", limits=limits, figures=tuple(f.against_reference for f in figures))


def table_of_packed(figures: Sequence[PathFigures]) -> VectorTable:
    chosen = tuple(f.against_graph for f in figures if f.by_head)
    return VectorTable(against="the head's outputs from the graph's own vectors", limits=HEAD, figures=chosen)


def table_of_head(expected: Expected, *, steps: Steps = SILENT) -> VectorTable:
    """At the same lengths. Another label than transformers' is as bad as a difference without limit."""
    with steps.step("head compared"):
        compared = expected.logits
    figures = []
    for length, ours, theirs in compared:
        wrong = labels_differ(ours, theirs, limit=2 * (EXACT.max_abs_difference or 0.0))
        difference = float("inf") if wrong else float(np.abs(ours - theirs).max())
        cosine = float(cosines(ours, theirs).min())
        figures.append(VectorFigure(path="head", length=length, max_abs_difference=difference, min_cosine=cosine))
    return VectorTable(against="transformers' class with this head", limits=EXACT, figures=tuple(figures))


def table_of_paths(figures: Sequence[PathFigures]) -> VectorTable:
    chosen = tuple(f.against_graph for f in figures if not f.by_head and f.path != ORDINARY_IDS)
    return VectorTable(against="the graph's own vectors by ordinary ids", limits=ROUNDING, figures=chosen)


def measure_on_notes(candidate: Candidate, route: Route, expected: Expected, *, steps: Steps) -> QuantizationReport:
    with steps.step(f"{len(expected.notes)} notes compared"):
        return measure(
            expected.notes,
            graph=route.open(),
            reference=expected.reference,
            config=candidate.trained.config,
            tokenizer_json=candidate.tokenizer_json,
            precision=candidate.precision,
            separators=separators_of(candidate.trained),
            steps=steps,
        )


@dataclass(frozen=True, kw_only=True)
class PathFigures:
    """A path's output for a batch, against the reference's vectors and the graph's own by ordinary ids."""

    path: str
    by_head: bool
    against_reference: VectorFigure
    against_graph: VectorFigure


def compare_paths(candidate: Candidate, route: Route, expected: Expected, *, steps: Steps) -> Iterator[PathFigures]:
    """All paths at all lengths that the model can read, the longest row among them."""
    config, graph = candidate.trained.config, route.open()
    generator = np.random.default_rng(SEED)
    were_alone = False
    for length in steps.each(lengths_of(candidate.trained), "lengths of rows"):
        batch = Batch.random(
            generator,
            length=length,
            config=config,
            separators=separators_of(candidate.trained),
            including=list(candidate.trained.added_tokens.values()),
        )
        states, own = expected.reference(batch.ids, batch.mask), graph.states(batch.ids, batch.mask)
        outputs = [PathOutput(path=ORDINARY_IDS, compare=real(batch, own)), *route.outputs(batch)]
        if not were_alone and any(output.by_head for output in outputs):
            outputs += route.outputs_alone(batch)  # which outputs are chosen does not depend on the length
            were_alone = True
        for output in outputs:
            yield PathFigures(
                path=output.path,
                by_head=output.by_head,
                against_reference=figure(output, length, states),
                against_graph=figure(output, length, own),
            )


def figure(output: PathOutput, length: int, vectors: Vectors) -> VectorFigure:
    """Return the worst difference and cosine; not a number if the output is not."""
    found, expected = zip(*output.compare(vectors), strict=True)
    ours, theirs = (np.concatenate(numbers).astype(np.float64) for numbers in (found, expected))
    return VectorFigure(
        path=output.path,
        length=length,
        max_abs_difference=float(np.abs(ours - theirs).max()),
        min_cosine=float(cosines(ours, theirs).min()),
    )
