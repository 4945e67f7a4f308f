"""Spark NLP's stock annotators, by task: what an export gives them, and what comes back through them.

Classifier annotators split words by byte-level BPE without a space before them, and annotators of questions split
running text; hence the style of codes. All read the graph's one output, under names of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkclin.export.assets import BARE, RUNNING, SPACED, OrdinaryAssets, with_codes
from sparkclin.export.engines import SparkNlpExporter, Vectors
from sparkclin.export.errors import CheckpointError
from sparkclin.export.graph.encoder import EncoderConfig
from sparkclin.export.graph.ops import Body
from sparkclin.export.graph.packed import STOCK_SEPARATORS
from sparkclin.export.heads.head import Head
from sparkclin.export.routes.route import Compare, Numbers, Pairs
from sparkclin.export.scheme import DYNAMIC, Scheme
from sparkclin.export.sparknlp import annotated, run_windows, save_annotator, send
from sparkclin.export.steps import SILENT, Steps
from sparkclin.export.verify.samples import Batch
from sparkclin.schema import ANSWER, CLASSIFY, EMBED, ENTITIES
from sparkclin.stages.stock_answers import chosen_pieces
from sparkclin.text.labels import LOGITS, MULTI_LABEL, REGRESSION, SINGLE_LABEL, THRESHOLD, probabilities
from sparkclin.wire.annotations import DOCUMENT, QUESTION_DOCUMENT, code_words, running_text

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a saved annotator is told of its model."""

    name: str
    width: int
    problem_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stock:
    """The stock annotators for a task, which are alike in all engines.

    `logits` are the outputs that they read, as in WriteModel. `style` is one of CODE_STYLES. `own_names` are keys that
    they write beside labels, so no label may have such a name. `configure` sets a loaded annotator up; `run` sends a
    batch through it and says how what comes back is compared, None where nothing comes back that could be. `surplus` is
    by how many ids a row is longer than the model sees it.
    """

    style: str
    configure: Callable[[Any, Told], Any]
    run: Callable[[SparkSession, Any, Batch, Head, Told], Compare | None]
    logits: Mapping[str, int | None] = field(default_factory=dict)
    own_names: tuple[str, ...] = ()
    surplus: Callable[[EncoderConfig], int] = lambda _config: 0

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raises CheckpointError for labels that Spark NLP could not give back as they are."""
        problems = [f"{label!r} is a name of Spark NLP's own" for label in labels if label in self.own_names]
        problems += [f"{label!r} has white space at an end, or line breaks" for label in labels if not _is_line(label)]
        if problems:
            raise CheckpointError(f"labels: {'; '.join(problems)}. Give them other names with --labels FILE.")


def _is_line(label: str) -> bool:
    return label.splitlines() == [label.strip()]


def _vectors(model: Any, told: Told) -> Any:
    columns = model.setInputCols(["document", "token"]).setOutputCol("embeddings")
    return columns.setDimension(told.width).setStorageRef(told.name)


def _run_vectors(spark: SparkSession, annotator: Any, batch: Batch, _head: Head, _told: Told) -> Compare:
    found = run_windows(spark, annotator, batch.windows())

    def compare(states: Vectors) -> Pairs:
        for ours, expected in zip(found, batch.real(states), strict=False):
            yield ours, expected[: len(ours)]  # the last special piece's vector does not come back

    return compare


def _entities(model: Any, _told: Told) -> Any:
    return model.setInputCols(["document", "token"]).setOutputCol("ner")


def _run_entities(spark: SparkSession, annotator: Any, batch: Batch, head: Head, _told: Told) -> Compare:
    windows = [row[1:-1].tolist() for row in batch.rows()]
    found = of_windows(send(spark, annotator, windows).collect()[0][annotator.getOutputCol()], head.labels)

    def compare(states: Vectors) -> Pairs:
        for window, of_row in enumerate(batch.real(states)):
            logits = np.stack([head.expected(state[None].astype(np.float64))[LOGITS] for state in of_row[1:-1]])
            yield np.stack(found[window]), probabilities(logits, SINGLE_LABEL)

    return compare


def _labels(model: Any, told: Told) -> Any:
    columns = model.setInputCols(["document", "token"]).setOutputCol("class").setCoalesceSentences(False)
    if told.problem_type == MULTI_LABEL:
        return columns.setActivation("sigmoid").setThreshold(THRESHOLD)
    return columns.setActivation("softmax")


def _run_labels(spark: SparkSession, annotator: Any, batch: Batch, head: Head, told: Told) -> Compare | None:
    if told.problem_type in (None, REGRESSION):
        return None  # Spark NLP makes probabilities of whatever numbers there are
    problem_type = told.problem_type
    windows = [row[1:-1].tolist() for row in batch.rows()]
    found = of_windows(send(spark, annotator, windows).collect()[0][annotator.getOutputCol()], head.labels)

    def compare(states: Vectors) -> Pairs:
        for window, of_row in enumerate(batch.real(states)):
            logits = head.expected(of_row[:1].astype(np.float64))[LOGITS][None]
            expected = probabilities(logits, problem_type)
            # Without a label above the threshold, nothing comes back.
            nothing = expected if expected.max() <= THRESHOLD else 0 * expected
            yield (found[window][0][None] if window in found else nothing), expected

    return compare


def of_windows(annotations: Sequence[Any], labels: Sequence[str]) -> dict[int, list[Numbers]]:
    """Annotations with a score per label -> of each window its scores, (labels,) per annotation. Where the annotation's
    own label is not the likeliest, or not above the threshold, they are NaN."""
    found: dict[int, list[Numbers]] = defaultdict(list)
    for annotation in annotations:
        scores = np.array([float(annotation.metadata[label]) for label in labels])
        own = scores[labels.index(annotation.result)]
        right = own == scores.max() or own > THRESHOLD
        found[int(annotation.metadata["sentence"])].append(scores if right else scores * np.nan)
    return found


def _answers(model: Any, _told: Told) -> Any:
    return model.setInputCols([QUESTION_DOCUMENT, DOCUMENT]).setOutputCol("answer")


def _run_answers(spark: SparkSession, annotator: Any, batch: Batch, head: Head, _told: Told) -> Compare:
    """The span that came back and the best one, each by its sum of logits: two spans may be as good."""
    config = batch.config
    words = code_words(config.vocab_size)
    seconds = [first_of_second(row, batch) for row in batch.rows()]
    sent: list[tuple[list[Any], ...]] = []
    for row, second in zip(batch.rows(), seconds, strict=True):
        question = running_text(row[1 : second - config.separators], words)
        context = running_text([config.sep_id, *row[second:-1]], words)
        sent.append(tuple([(DOCUMENT, 0, len(text) - 1, text, {}, [])] for text in (question, context)))
    frame = annotated(spark, {QUESTION_DOCUMENT: DOCUMENT, DOCUMENT: DOCUMENT}, sent)
    annotator.setInputCols([QUESTION_DOCUMENT, DOCUMENT])
    chosen = annotator.transform(frame).select(*chosen_pieces(annotator.getOutputCol()))
    spans = [(first, last) for first, last in chosen.collect()]

    def compare(states: Vectors) -> Pairs:
        for of_row, second, (first, last) in zip(batch.real(states), seconds, spans, strict=True):
            logits = np.stack([head.expected(state[None].astype(np.float64))[LOGITS] for state in of_row[second:-1]])
            best = (np.maximum.accumulate(logits[:, 0]) + logits[:, 1]).max()
            found = logits[first, 0] + logits[last, 1] if first <= last else np.nan
            yield np.array([[found]]), np.array([[best]])

    return compare


def first_of_second(row: npt.NDArray[np.int32], batch: Batch) -> int:
    """Where the second text of a row begins."""
    return int(np.flatnonzero(row == batch.config.sep_id)[0]) + batch.config.separators


STOCK: dict[str, Stock] = {
    EMBED: Stock(style=SPACED, configure=_vectors, run=_run_vectors),
    ENTITIES: Stock(
        style=BARE,
        configure=_entities,
        run=_run_entities,
        logits={"logits": None},
        own_names=("sentence", "word"),
    ),
    CLASSIFY: Stock(style=BARE, configure=_labels, run=_run_labels, logits={"logits": None}, own_names=("sentence",)),
    ANSWER: Stock(
        style=RUNNING,
        configure=_answers,
        run=_run_answers,
        logits={"start_logits": 0, "end_logits": 1},
        surplus=lambda config: STOCK_SEPARATORS + 1 - config.separators,
    ),
}
"""By task."""


def stock_of(task: str) -> Stock:
    """Those for a task; where Spark NLP has none, those of vectors."""
    return STOCK.get(task, STOCK[EMBED])


def save(
    spark: SparkSession,
    exporter: SparkNlpExporter,
    graph: Path,
    target: Path,
    *,
    task: str,
    body: Body,
    precision: str,
    scheme: Scheme = DYNAMIC,
    ordinary: OrdinaryAssets,
    max_row: int,
    told: Told,
    labels: Sequence[str] = (),
    steps: Steps = SILENT,
) -> None:
    """Writes a graph with its vocabulary into the folder `graph`, and saves it in `target` as the stock annotator for
    `task`. `max_row` is the longest row in ids that the annotator sends.

    Raises CheckpointError for a tokenizer that does not fit, or a model that is too large.
    """
    stock = stock_of(task)
    with steps.step("graph built"):
        exporter.graphs().write(graph, body, precision=precision, scheme=scheme, logits=stock.logits)
        with_codes(ordinary, style=stock.style, labels=labels).write(graph / "assets")
    annotator = exporter.spark_nlp.annotator(task).name
    with steps.step("saved by Spark NLP"):
        save_annotator(
            spark,
            graph,
            target,
            annotator=annotator,
            max_row=max_row,
            configure=lambda model: stock.configure(model, told),
        )
