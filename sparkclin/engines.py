"""The table of engines. A next engine is one row here, one file in `export/graph/` and, if it has a Spark NLP class of
its own for packed batches, one builder in `sparkclin/models/hosts.py`.

Nothing outside this table compares the names of engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparkclin.schema import ANSWER, CLASSIFY, EMBED, ENTITIES


@dataclass(frozen=True, kw_only=True)
class Annotator:
    """A Spark NLP class that a bundle is saved as. `graph_file` is where a saved one keeps the graph: a zip file."""

    name: str
    graph_file: str


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What runs a model's graph inside Spark.

    `annotators` are the stock classes that a bundle is saved as, by task; see `annotator()`. `host_annotator` is the
    Spark NLP class that packed batches pass through, whatever the task. `precisions` are those that an export can make.
    `packages` are the Maven coordinates that the engine needs beside Spark NLP's own. `leaves_copies` says that Spark
    NLP unpacks the graph into Java's folder for temporary files and leaves it there.
    """

    name: str
    annotators: Mapping[str, Annotator]
    host_annotator: str
    precisions: tuple[str, ...]
    packages: tuple[str, ...] = ()
    device: str = "cpu"
    leaves_copies: bool = False

    def annotator(self, task: str) -> Annotator:
        """The stock class for a task; where Spark NLP has none, the one of vectors."""
        return self.annotators.get(task, self.annotators[EMBED])


def _annotators(kind: str, engine: str) -> dict[str, Annotator]:
    """Those of a kind of encoder, such as RoBerta: the classes for a task keep their graph under one name."""
    embeddings = Annotator(name=f"{kind}Embeddings", graph_file=f"{kind.lower()}_{engine}")
    tasks = {ENTITIES: "TokenClassification", CLASSIFY: "SequenceClassification", ANSWER: "QuestionAnswering"}
    graph_file = f"{kind.lower()}_classification_{engine}"
    of_tasks = {task: Annotator(name=f"{kind}For{what}", graph_file=graph_file) for task, what in tasks.items()}
    return {EMBED: embeddings, **of_tasks}


PRECISIONS = ("fp32", "int8")
"""In order of preference: exact, then small."""

ONNX = Engine(
    name="onnx",
    annotators=_annotators("RoBerta", "onnx"),
    host_annotator="UAEEmbeddings",
    precisions=("fp32", "int8"),
    leaves_copies=True,
)
TENSORFLOW = Engine(
    name="tensorflow",
    annotators=_annotators("Longformer", "tensorflow"),
    host_annotator="RoBertaSentenceEmbeddings",
    precisions=("fp32",),
    packages=("org.tensorflow:tensorflow-core-platform:0.4.2",),
)

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (ONNX, TENSORFLOW)}
"""By name, in order of preference: the fastest first."""

STOCK_ENGINE = TENSORFLOW.name
"""Whose model a caller in the JVM gets for a name: only Python's calls tell which annotator they ask for."""


def preference(*, engine: str, precision: str) -> tuple[int, int]:
    """The rank of a version, the smallest preferred: exact before small, then fast before slow.

    What the tables do not have comes last.
    """
    return _rank(precision, PRECISIONS), _rank(engine, tuple(ENGINES))


def _rank(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)
