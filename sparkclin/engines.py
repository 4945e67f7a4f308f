"""The table of engines. A next engine is one row here and one file in `export/graph/`. One that Spark NLP runs may need
a builder in `sparkclin/models/hosts.py` for its class for packed batches; one that runs in the Python workers, a module
in `sparkclin/inference/`.

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
class SparkNlp:
    """How Spark NLP runs an engine's models, in the JVM.

    `annotators` are the stock classes that a bundle is saved as, by task; see `annotator()`. `host_annotator` is the
    class that packed batches pass through, whatever the task. `packages` are the Maven coordinates that are needed
    beside Spark NLP's own. `leaves_copies` says that Spark NLP unpacks the graph into Java's folder for temporary files
    and leaves it there.
    """

    annotators: Mapping[str, Annotator]
    host_annotator: str
    packages: tuple[str, ...] = ()
    leaves_copies: bool = False

    def annotator(self, task: str) -> Annotator:
        """The stock class for a task; where Spark NLP has none, the one of vectors."""
        return self.annotators.get(task, self.annotators[EMBED])


@dataclass(frozen=True, kw_only=True)
class InWorkers:
    """How Spark's Python workers run an engine's models, without Spark NLP.

    `module` has `open_model()` (`sparkclin.inference.model`), `library` is the package that it imports, and `extra` is
    how to install that with sparkclin.
    """

    module: str
    library: str
    extra: str


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What runs a model's graph inside Spark: `spark_nlp` or `in_workers` says how. `precisions` are those that an
    export can make."""

    name: str
    precisions: tuple[str, ...]
    spark_nlp: SparkNlp | None = None
    in_workers: InWorkers | None = None

    def annotator_name(self, task: str) -> str:
        """Of the stock class for a task; empty where Spark NLP does not run the engine's models."""
        return self.spark_nlp.annotator(task).name if self.spark_nlp else ""


def _annotators(kind: str, engine: str) -> dict[str, Annotator]:
    """Those of a kind of encoder, such as RoBerta: the classes for a task keep their graph under one name."""
    embeddings = Annotator(name=f"{kind}Embeddings", graph_file=f"{kind.lower()}_{engine}")
    tasks = {ENTITIES: "TokenClassification", CLASSIFY: "SequenceClassification", ANSWER: "QuestionAnswering"}
    graph_file = f"{kind.lower()}_classification_{engine}"
    of_tasks = {task: Annotator(name=f"{kind}For{what}", graph_file=graph_file) for task, what in tasks.items()}
    return {EMBED: embeddings, **of_tasks}


FP32, BF16, INT8 = PRECISIONS = ("fp32", "bf16", "int8")
"""In order of preference: exact, then near, then small."""

OPENVINO = Engine(
    name="openvino",
    precisions=(FP32, BF16, INT8),
    in_workers=InWorkers(module="sparkclin.inference.openvino", library="openvino", extra="openvino"),
)
ONNX = Engine(
    name="onnx",
    precisions=(FP32, INT8),
    spark_nlp=SparkNlp(annotators=_annotators("RoBerta", "onnx"), host_annotator="UAEEmbeddings", leaves_copies=True),
)
TENSORFLOW = Engine(
    name="tensorflow",
    precisions=(FP32,),
    spark_nlp=SparkNlp(
        annotators=_annotators("Longformer", "tensorflow"),
        host_annotator="RoBertaSentenceEmbeddings",
        packages=("org.tensorflow:tensorflow-core-platform:0.4.2",),
    ),
)

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (OPENVINO, ONNX, TENSORFLOW)}
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
