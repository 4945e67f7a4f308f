"""Through Spark NLP: ids as transport codes or in packed batches, vectors out of a stock annotator or a host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkclin.engines import FP32, Annotator
from sparkclin.export import stock
from sparkclin.export.candidate import Candidate
from sparkclin.export.engines import Graph, SparkNlpExporter
from sparkclin.export.graph.echo import WIDTH as ECHO_WIDTH
from sparkclin.export.graph.echo import echo
from sparkclin.export.routes.route import SHORTEST_WINDOW, PathOutput, real
from sparkclin.export.scheme import Scheme
from sparkclin.export.sparknlp import load_annotator
from sparkclin.export.steps import SILENT, Steps
from sparkclin.export.stock import Told, stock_of
from sparkclin.export.verify.samples import Batch, PackedSample
from sparkclin.schema import EMBED

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CODES, SPARK_NLP, PACKED = "graph, codes", "Spark NLP, codes", "graph, packed batch"


@dataclass(frozen=True, kw_only=True)
class SparkNlpRoute:
    """`told` is what the annotator knows of its model; `scratch` a folder for what is made on the way."""

    candidate: Candidate
    exporter: SparkNlpExporter
    spark: SparkSession
    told: Told
    scratch: Path
    steps: Steps = SILENT
    returns_vectors: bool = True
    group_sizes: tuple[int, ...] = ()

    @property
    def _annotator(self) -> Annotator:
        return self.exporter.spark_nlp.annotator(self.candidate.trained.head.task)

    def build(self) -> None:
        trained = self.candidate.trained
        task = trained.head.task
        stock.save(
            self.spark,
            self.exporter,
            self.scratch / "graph",
            self.candidate.folder,
            task=task,
            body=trained.body(),
            precision=self.candidate.precision,
            scheme=self.candidate.scheme,
            ordinary=trained.ordinary_assets(),
            max_row=trained.config.max_row + stock_of(task).surplus(trained.config),
            told=self.told,
            labels=trained.head.labels,
            steps=self.steps,
        )

    def trial(self, scheme: Scheme, folder: Path) -> Graph:
        graphs, trained = self.exporter.graphs(), self.candidate.trained
        graphs.write(folder, trained.body(), precision=self.candidate.precision, scheme=scheme)
        return graphs.read_written(folder)

    def open(self) -> Graph:
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        return self.exporter.graphs().read(self.candidate.folder / self._annotator.graph_file)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """By NoteTokenizer and an echo model with the same vocabulary."""
        from pyspark.ml import PipelineModel
        from pyspark.sql import functions as F

        from sparkclin.stages.note_tokenizer import NoteTokenizer

        config = self.candidate.trained.config
        tokenizer = NoteTokenizer(
            tokenizer=self.candidate.tokenizer_json, maxPieces=config.max_pieces, stride=0, clsId=config.cls_id
        )
        model = load_annotator(self._saved_echo(), annotator=self.exporter.spark_nlp.annotator(EMBED).name)
        # Spark NLP makes its tokenizer anew for every batch, which takes a second for a vocabulary of 100,000.
        model.setInputCols(["document", "token"]).setOutputCol("embeddings").setBatchSize(len(texts))
        frame = self.spark.createDataFrame(list(enumerate(texts)), "position int, text string")
        sent = PipelineModel([tokenizer, model]).transform(frame)
        vectors = F.col("embeddings.embeddings").alias("vectors")
        rows = sent.select("position", vectors).orderBy("position").collect()
        first, last, size = config.cls_id, config.sep_id, config.vocab_size
        return [[first, *(int(vector[0]) - size for vector in row.vectors), last] for row in rows]

    def _saved_echo(self) -> Path:
        trained, target = self.candidate.trained, self.scratch / "echo"
        stock.save(
            self.spark,
            self.exporter,
            self.scratch / "echo_graph",
            target,
            task=EMBED,
            body=partial(echo, vocabulary=trained.config.vocabulary),
            precision=FP32,
            ordinary=trained.ordinary_assets(),
            max_row=trained.config.max_row,
            told=Told(name="echo", width=ECHO_WIDTH),
        )
        return target

    def outputs(self, batch: Batch) -> Iterator[PathOutput]:
        yield PathOutput(path=CODES, compare=real(batch, self._graph.states(batch.codes(), batch.mask)))
        if batch.length > SHORTEST_WINDOW:
            head = self.candidate.trained.head
            compare = stock_of(head.task).run(self.spark, self._loaded, batch, head, self.told)
            if compare:
                yield PathOutput(path=SPARK_NLP, compare=compare)
            yield self._by_packed_batch(batch, wanted=self.candidate.outputs.names, path=PACKED)

    @cached_property
    def _loaded(self) -> Any:
        """The annotator. Its limit is one more than the row: with the code of the first special piece in front, Spark
        NLP's own comes on top."""
        config = self.candidate.trained.config
        loaded = load_annotator(self.candidate.folder, annotator=self._annotator.name)
        surplus = stock_of(self.candidate.trained.head.task).surplus(config)
        return loaded._set(maxSentenceLength=config.max_row + max(1, surplus))

    def outputs_alone(self, batch: Batch) -> Iterator[PathOutput]:
        outputs = self.candidate.outputs
        for name in outputs.names if outputs.selectable and len(outputs.all) > 1 else []:
            yield self._by_packed_batch(batch, wanted=[name], path=f"{PACKED}, {name}")

    def _by_packed_batch(self, batch: Batch, *, wanted: Sequence[str], path: str) -> PathOutput:
        outputs, head = self.candidate.outputs, self.candidate.trained.head
        sample = PackedSample.of(batch, request=outputs.request(wanted))
        found = self._graph.run(sample.ids, sample.mask).reshape(-1, outputs.n_received(wanted))
        return PathOutput(
            path=path,
            compare=lambda states: iter([(found, sample.expected(states, head, wanted=wanted))]),
            by_head=True,
        )
