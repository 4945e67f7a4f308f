"""The table of engines. A next engine is one row here, one file in `export/graph/` and, if it has a Spark NLP class of
its own for packed batches, one builder in `sparkclin/models/hosts.py`.

Nothing outside this table compares the names of engines.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What runs a model's graph inside Spark.

    `annotator` is the Spark NLP class that a bundle is saved as; it gives a vector per piece. `host_annotator` is the
    Spark NLP class that packed batches pass through. `graph_file` is where a saved annotator keeps the graph: a zip
    file. `precisions` are those that an export can make. `packages` are the Maven coordinates that the engine needs
    beside Spark NLP's own. `leaves_copies` says that Spark NLP unpacks the graph into Java's folder for temporary files
    and leaves it there.
    """

    name: str
    annotator: str
    host_annotator: str
    graph_file: str
    precisions: tuple[str, ...]
    packages: tuple[str, ...] = ()
    device: str = "cpu"
    leaves_copies: bool = False


PRECISIONS = ("fp32", "int8")
"""In order of preference: exact, then small."""

ONNX = Engine(
    name="onnx",
    annotator="RoBertaEmbeddings",
    host_annotator="UAEEmbeddings",
    graph_file="roberta_onnx",
    precisions=("fp32", "int8"),
    leaves_copies=True,
)
TENSORFLOW = Engine(
    name="tensorflow",
    annotator="LongformerEmbeddings",
    host_annotator="RoBertaSentenceEmbeddings",
    graph_file="longformer_tensorflow",
    precisions=("fp32",),
    packages=("org.tensorflow:tensorflow-core-platform:0.4.2",),
)

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (ONNX, TENSORFLOW)}
"""By name, in order of preference: the fastest first."""

STOCK_ANNOTATOR = TENSORFLOW.annotator
"""What a caller in the JVM gets for a name: only Python's calls tell which annotator they ask for."""


def preference(*, engine: str, precision: str) -> tuple[int, int]:
    """The rank of a version, the smallest preferred: exact before small, then fast before slow.

    What the tables do not have comes last.
    """
    return _rank(precision, PRECISIONS), _rank(engine, tuple(ENGINES))


def _rank(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)
