"""Ids and vectors of an exported model against the reference, before anybody else may use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evaluation.notes import Note
from export.checkpoint import Checkpoint
from export.engines import Engine, Graph, Vectors
from export.errors import ParityError
from export.graph.encoder import EncoderConfig
from export.sparknlp import load_annotator, run_windows
from export.verify.quantization import QuantizationReport, cosines, measure
from export.verify.reference import Reference, reference_ids, reference_model
from export.verify.samples import Batch, Pack

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Row lengths in ids, special pieces included: around every place where the graph takes another way, for the window of
# 512 that Clinical-Longformer has. The longest row that a model reads is compared too.
LENGTHS = (1, 2, 255, 256, 257, 258, 511, 512, 513, 769, 1025, 4096)
SEED = 20220304


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a comparison of vectors must keep to; None is no limit."""

    max_abs_difference: float | None
    min_cosine: float

    def to_text(self) -> str:
        near = "" if self.max_abs_difference is None else f"max |Δ| ≤ {self.max_abs_difference:g}, "
        return f"{near}cosine ≥ {self.min_cosine:g}"


# fp32 against the reference.
EXACT = Limits(max_abs_difference=1e-4, min_cosine=0.999999)
# Pooling inside the graph against pooling the same graph's vectors: only sums and maxima.
POOLING = Limits(max_abs_difference=1e-5, min_cosine=0.999999)
# int8 by one route against another: a last digit that rounds the other way is a whole step of 8 bits, and the model
# may make much of it (0.995 was seen); a wrong id or mask is far below.
ROUNDING = Limits(max_abs_difference=None, min_cosine=0.99)


@dataclass(frozen=True, kw_only=True)
class VectorFigure:
    """A full row of `length` ids batched with a padded one of half of it, on one route; the worst over all vectors."""

    route: str
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
    """Figures of all routes and lengths, with the limits that all are held to."""

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
        lines.append(f"{'route':<22}{'length':>7}{'max |Δ|':>12}{'min cosine':>14}")
        for f in self.figures:
            verdict = "" if f.keeps(self.limits) else "  FAILED"
            lines.append(f"{f.route:<22}{f.length:>7}{f.max_abs_difference:>12.2e}{f.min_cosine:>14.9f}{verdict}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """What was compared and how close it was.

    `vectors` is against the reference, with limits for fp32; `packs` compares pooling inside the graph with pooling
    the graph's own vectors. Of int8 alone there are `routes`, against the graph's own vectors by ordinary ids, and
    `quantization`.
    """

    id_rows: int
    id_rows_identical: int
    vectors: VectorTable
    packs: VectorTable
    routes: VectorTable | None
    quantization: QuantizationReport | None

    @property
    def passed(self) -> bool:
        parts = (self.vectors, self.packs, self.routes, self.quantization)
        return 0 < self.id_rows == self.id_rows_identical and all(part.passed for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """For the manifest: the figures with the limits they were held to."""
        return {
            "id_rows": self.id_rows,
            "id_rows_identical": self.id_rows_identical,
            **self.vectors.to_dict(),
            "packs": self.packs.to_dict(),
            **({"routes": self.routes.to_dict()} if self.routes else {}),
            **({"precision": self.quantization.to_dict()} if self.quantization else {}),
        }

    def to_text(self) -> str:
        """Tables for people."""
        ids = f"ids identical to the Hugging Face tokenizer's: {self.id_rows_identical} of {self.id_rows} texts"
        parts = (self.vectors, self.packs, self.routes, self.quantization)
        return "\n".join([ids, *(part.to_text() for part in parts if part)])


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An exported model in `folder`, not yet trusted, and what it was made from.

    `echo_folder` is an echo model saved with the same vocabulary.
    """

    folder: Path
    echo_folder: Path
    engine: Engine
    precision: str
    checkpoint: Checkpoint
    config: EncoderConfig
    tokenizer_json: str


def verify(spark: SparkSession, candidate: Candidate, *, notes: Sequence[Note]) -> ParityReport:
    """Compares a saved annotator with its checkpoint; int8 on `notes` too.

    Raises ParityError, with the tables of figures, where anything is off.
    """
    reference = reference_model(candidate.checkpoint, candidate.config)
    graph = candidate.engine.graphs().read(candidate.folder)
    identical = [
        theirs == ours
        for theirs, ours in zip(
            reference_ids(candidate.checkpoint, sample_texts()),
            sparknlp_ids(spark, candidate, sample_texts()),
            strict=True,
        )
    ]
    figures = list(compare_routes(spark, candidate, graph=graph, reference=reference))
    is_exact = candidate.precision == "fp32"
    report = ParityReport(
        id_rows=len(identical),
        id_rows_identical=sum(identical),
        vectors=table_against_reference(figures, limits=EXACT if is_exact else None),
        packs=table_of_packs(figures),
        routes=None if is_exact else table_of_routes(figures),
        quantization=None if is_exact else measure_on_notes(candidate, notes, graph=graph, reference=reference),
    )
    if not report.passed:
        raise ParityError(
            f"The exported model differs from {candidate.checkpoint.source}; nothing was registered.\n"
            + report.to_text()
        )
    return report


def table_against_reference(figures: Sequence[RouteFigures], *, limits: Limits | None) -> VectorTable:
    return VectorTable(against="the reference", limits=limits, figures=tuple(f.against_reference for f in figures))


def table_of_packs(figures: Sequence[RouteFigures]) -> VectorTable:
    chosen = tuple(f.against_graph for f in figures if f.route == PACK)
    return VectorTable(against="pooling the graph's own vectors", limits=POOLING, figures=chosen)


def table_of_routes(figures: Sequence[RouteFigures]) -> VectorTable:
    chosen = tuple(f.against_graph for f in figures if f.route not in (ORDINARY_IDS, PACK))
    return VectorTable(against="the graph's own vectors by ordinary ids", limits=ROUNDING, figures=chosen)


def measure_on_notes(
    candidate: Candidate, notes: Sequence[Note], *, graph: Graph, reference: Reference
) -> QuantizationReport:
    return measure(
        notes, graph=graph, reference=reference, config=candidate.config, tokenizer_json=candidate.tokenizer_json
    )


def sample_texts() -> list[str]:
    """Made-up text with everything that is hard for a tokenizer, and all of it joined to several windows' length."""
    lines = resources.files("export.verify").joinpath("sample_texts.jsonl").read_text(encoding="utf-8").split("\n")
    texts = [json.loads(line) for line in lines if line]
    return [*texts, "\n".join(texts) * 10]


def sparknlp_ids(spark: SparkSession, candidate: Candidate, texts: Sequence[str]) -> list[list[int]]:
    """The ids that reach the model by NoteTokenizer and Spark NLP, windows joined, special pieces put back."""
    from pyspark.ml import PipelineModel
    from pyspark.sql import functions as F

    from sparkclin.stages.note_tokenizer import NoteTokenizer

    config = candidate.config
    tokenizer = NoteTokenizer(
        tokenizer=candidate.tokenizer_json, maxPieces=config.max_pieces, stride=0, clsId=config.cls_id
    )
    echo = load_annotator(candidate.echo_folder, annotator=candidate.engine.annotator)
    echo.setInputCols(["document", "token"]).setOutputCol("embeddings")
    frame = spark.createDataFrame(list(enumerate(texts)), "place int, text string")
    vectors = F.col("embeddings.embeddings").alias("vectors")
    rows = PipelineModel([tokenizer, echo]).transform(frame).select("place", vectors).orderBy("place").collect()
    first, last, size = config.cls_id, config.sep_id, config.vocab_size
    return [[first, *(int(vector[0]) - size for vector in row.vectors), last] for row in rows]


ORDINARY_IDS, CODES, SPARK_NLP, PACK = "graph, ordinary ids", "graph, codes", "Spark NLP, codes", "graph, pack"


@dataclass(frozen=True)
class Answer:
    """What came back by a route, and how vectors of places, (2, P, W), are made comparable with it."""

    route: str
    found: Sequence[Vectors]
    comparable: Callable[[Vectors], Sequence[npt.NDArray[np.floating[Any]]]]


@dataclass(frozen=True, kw_only=True)
class RouteFigures:
    """A route's answer for a batch, against the reference's vectors and the graph's own by ordinary ids."""

    route: str
    against_reference: VectorFigure
    against_graph: VectorFigure


def compare_routes(
    spark: SparkSession, candidate: Candidate, *, graph: Graph, reference: Reference
) -> Iterator[RouteFigures]:
    """All routes at all lengths that the model can read."""
    config = candidate.config
    annotator = load_annotator(candidate.folder, annotator=candidate.engine.annotator)
    # One more than the row: with the code of <s> in front, Spark NLP's own <s> comes on top.
    annotator._set(maxSentenceLength=config.max_row + 1)
    generator = np.random.default_rng(SEED)
    for length in sorted({*(n for n in LENGTHS if n <= config.max_row), config.max_row}):
        batch = Batch.random(generator, length=length, config=config)
        expected, own = reference(batch.ids, batch.mask), graph.run(batch.ids, batch.mask)
        answers = [Answer(ORDINARY_IDS, batch.real(own), batch.real), by_codes(graph, batch)]
        if length > 3:  # Spark NLP makes no row without a piece, and a pack's rows have both special pieces
            answers += [Answer(SPARK_NLP, run_windows(spark, annotator, batch.windows()), batch.real)]
            answers += [by_pack(graph, batch)]
        for answer in answers:
            yield RouteFigures(
                route=answer.route,
                against_reference=figure(answer, length, expected),
                against_graph=figure(answer, length, own),
            )


def by_codes(graph: Graph, batch: Batch) -> Answer:
    return Answer(CODES, batch.real(graph.run(batch.codes(), batch.mask)), batch.real)


def by_pack(graph: Graph, batch: Batch) -> Answer:
    pack = Pack.of(batch)
    pooled = graph.run(pack.ids, pack.mask).reshape(-1, batch.config.width)
    return Answer(PACK, [pooled], lambda vectors: [pack.pool(vectors)])


def figure(answer: Answer, length: int, vectors: Vectors) -> VectorFigure:
    """The worst difference and cosine; where an answer lacks a row's last place (</s>), that place is not compared."""
    pairs = list(zip(answer.found, answer.comparable(vectors), strict=False))
    ours = np.concatenate([found for found, _ in pairs]).astype(np.float64)
    theirs = np.concatenate([expected[: len(found)] for found, expected in pairs]).astype(np.float64)
    return VectorFigure(
        route=answer.route,
        length=length,
        max_abs_difference=float(np.abs(ours - theirs).max()),
        min_cosine=float(cosines(ours, theirs).min()),
    )
