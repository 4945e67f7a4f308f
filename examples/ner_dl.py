"""Spark NLP's own NerDL on our token vectors: trained on a CoNLL file, saved, loaded again, and run over notes.

    python -m examples.ner_dl train CORPUS --output NER_DL
    python -m examples.ner_dl tag NOTES --ner NER_DL --output ENTITIES

CORPUS and NOTES are those of `python -m sparkclin.evaluation.ner`, which scores ENTITIES too. NerDL trains a network of
its own, which also reads the characters of words; the model whose vectors it reads does not change.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sparkclin
from sparkclin.errors import ModelError, OptionError, exit_status
from sparkclin.evaluation.ner import read_conll
from sparkclin.evaluation.notes import read_notes
from sparkclin.schema import EMBED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

DEMO_MODEL = "clinical_longformer_demo"
COLUMNS = ["document", "token", "word_embeddings"]
"""What NerDL reads: the sentences, their words, and a vector per word."""

GRAPH_WIDTHS = (100, 128, 256, 300, 384, 512, 768, 1024, 2048, 4096)
"""The widths of vectors that NerDL has a TensorFlow graph for: `ner-dl/blstm_10_WIDTH_128_120.pb` in Spark NLP 5.5.3's
jar. Those graphs take up to 10 labels (B- and I- count) and 120 different characters."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """`learning_rate` is the first epoch's; Spark NLP divides it by 1 + 0.005 · epoch. `batch` counts sentences."""

    epochs: int = 10
    learning_rate: float = 3e-3
    batch: int = 8
    seed: int = 1


def train(spark: SparkSession, corpus: Path, *, model: str, options: TrainOptions) -> Any:
    """A NerDLModel of the sentences of a CoNLL file. Each is a note; the loss of every epoch is printed.

    Raises InputError for broken labels, and Spark NLP's own error for more labels or characters than a graph takes.
    """
    from sparknlp.annotator import NerDLApproach

    sentences = read_conll(corpus)
    rows = [
        (str(index), s.text, [(*of_word, label) for of_word, label in zip(s.ranges, s.labels, strict=True)])
        for index, s in enumerate(sentences)
    ]
    labelled = "note_id string, text string, labels array<struct<begin: int, end: int, label: string>>"
    approach = (
        NerDLApproach()
        .setInputCols(COLUMNS)
        .setLabelColumn("label")
        .setOutputCol("ner")
        .setMaxEpochs(options.epochs)
        .setLr(options.learning_rate)
        .setBatchSize(options.batch)
        .setRandomSeed(options.seed)
    )
    return approach.fit(with_labels(word_vectors(spark.createDataFrame(rows, labelled), model=model)))


def tag(notes: DataFrame, ner: Any, *, model: str) -> DataFrame:
    """(note_id, text) -> note_id, begin, end, text, label of every entity; offsets in code points, ends exclusive.

    A note without entities has one row, with nulls, as in what find_entities() gives.
    """
    from pyspark.sql import functions as F
    from sparknlp.annotator import NerConverter

    converter = NerConverter().setInputCols(["document", "token", "ner"]).setOutputCol("entities")
    tagged: DataFrame = converter.transform(ner.transform(word_vectors(notes, model=model)))
    found = tagged.withColumn("entity", F.explode_outer("entities"))
    begin, end = F.col("entity.begin"), F.col("entity.end") + 1
    return found.select(
        "note_id",
        begin.alias("begin"),
        end.alias("end"),
        F.col("text").substr(begin + 1, end - begin).alias("text"),
        F.col("entity.metadata")["entity"].alias("label"),
    )


def word_vectors(notes: DataFrame, *, model: str) -> DataFrame:
    """Adds COLUMNS, Spark NLP annotations, to notes (note_id, text). Words are those of the model's tokenizer.

    A word's vector is the mean of its pieces' vectors, read with the whole note around it. Vectors that no graph is
    wide enough for are filled up with zeros, which add nothing to a product. The column's `ref` is the model's name:
    NerDL refuses the vectors of another. Raises ModelError for a model without vectors.
    """
    from pyspark.ml import Pipeline
    from pyspark.sql import functions as F

    bundle = sparkclin.active_repository().find(model)
    bundle.manifest.check_task(EMBED)
    embeddings = sparkclin.pretrained(model).setInputCols(["document", "token"]).setOutputCol("embeddings")
    stages = [
        sparkclin.NoteTokenizer.pretrained(model),
        embeddings,
        sparkclin.VectorPooler.of(embeddings, level="token"),
    ]
    pooled = Pipeline(stages=stages).fit(notes).transform(notes)
    sentences, words = F.col("pieces.sentences"), _words()
    width = graph_width(bundle.manifest.width)

    def sentence_of(word: Column) -> Column:
        return F.size(F.filter(sentences, lambda sentence: sentence["end"] <= word["begin"])).cast("string")

    def document(sentence: Column, index: Column) -> Column:
        return annotation("document", sentence, {"sentence": index.cast("string")})

    def token(word: Column) -> Column:
        return annotation("token", word, {"sentence": sentence_of(word)})

    def vector(word: Column) -> Column:
        whole_word = {"pieceId": F.lit("-1"), "isWordStart": F.lit("true")}
        named = {"sentence": sentence_of(word), "token": text_of(word), **whole_word}
        zeros = F.array_repeat(F.lit(0.0).cast("float"), F.lit(width) - F.size(word["vector"]))
        return annotation("word_embeddings", word, named, vector=F.concat(word["vector"], zeros))

    made = {
        "document": F.transform(sentences, document),
        "token": F.transform(words, token),
        "word_embeddings": F.transform(words, vector),
    }
    annotated = pooled.withColumns(made)
    for name in COLUMNS:
        of_vectors = {"ref": model, "dimension": width} if name == "word_embeddings" else {}
        annotated = annotated.withMetadata(name, {"annotatorType": name, **of_vectors})
    return annotated.drop("assembled", "detected", "pieces")


def _words() -> Column:
    """The words of VectorPooler's column; a note without any has one row without a vector there."""
    from pyspark.sql import functions as F

    return F.filter("vectors", lambda row: row["vector"].isNotNull())


def with_labels(words: DataFrame) -> DataFrame:
    """Adds `label`, an annotation per word of the tokenizer, of `labels` (begin, end, label), one per word of the file.

    The tokenizer may cut a word of the file ("IL-2"). The first part keeps its B-; what follows is inside.
    """
    from pyspark.sql import functions as F

    def label(word: Column) -> Column:
        whole = F.filter("labels", lambda entry: (entry["begin"] <= word["begin"]) & (word["begin"] < entry["end"]))[0]
        begins_inside = (whole["begin"] < word["begin"]) & whole["label"].startswith("B-")
        iob = F.when(begins_inside, F.concat(F.lit("I-"), whole["label"].substr(3, 250))).otherwise(whole["label"])
        return annotation("named_entity", word, {"word": text_of(word)}, result=F.coalesce(iob, F.lit("O")))

    labelled = words.withColumn("label", F.transform(_words(), label))
    return labelled.withMetadata("label", {"annotatorType": "named_entity"})


def annotation(
    kind: str,
    span: Column,
    metadata: Mapping[str, Column],
    *,
    result: Column | None = None,
    vector: Column | None = None,
) -> Column:
    """Spark NLP's struct, of a span with begin and end; its own ends are inclusive. The result is the span's text."""
    from pyspark.sql import functions as F

    pairs = [column for name, value in metadata.items() for column in (F.lit(name), value)]
    return F.struct(
        F.lit(kind).alias("annotatorType"),
        span["begin"].alias("begin"),
        (span["end"] - 1).alias("end"),
        (text_of(span) if result is None else result).alias("result"),
        F.create_map(*pairs).alias("metadata"),
        (F.array().cast("array<float>") if vector is None else vector).alias("embeddings"),
    )


def text_of(span: Column) -> Column:
    from pyspark.sql import functions as F

    return F.col("text").substr(span["begin"] + 1, span["end"] - span["begin"])


def graph_width(width: int) -> int:
    """The smallest width of GRAPH_WIDTHS that a vector fits into. Raises ModelError where there is none."""
    for known in GRAPH_WIDTHS:
        if known >= width:
            return known
    raise ModelError(f"the model's vectors have {width} numbers; NerDL's graphs take at most {GRAPH_WIDTHS[-1]}.")


def load(path: Path) -> Any:
    """The NerDLModel of a folder that `train` wrote. Raises ModelError where there is none."""
    from sparknlp.annotator import NerDLModel

    if not (path / "metadata").is_dir():
        raise ModelError(f"{path} is no saved NerDL model. Make one: python -m examples.ner_dl train CORPUS --output …")
    return NerDLModel.load(path.resolve().as_uri())


def run(asked: argparse.Namespace) -> None:
    """Does what the options ask for. Raises SparkclinError for what the user can mend."""
    if asked.output.exists():
        raise OptionError(f"{asked.output} is there already. Delete it, or choose another --output.")
    output = asked.output.resolve().as_uri()
    spark = sparkclin.spark_session(app_name="sparkclin ner_dl")
    if asked.models:
        sparkclin.use_models(spark, asked.models)
    if asked.action == "train":
        options = TrainOptions(epochs=asked.epochs, learning_rate=asked.lr, batch=asked.batch, seed=asked.seed)
        train(spark, asked.corpus, model=asked.model, options=options).save(output)
        return
    ner = load(asked.ner)
    rows = [(note.note_id, note.text) for note in read_notes(asked.notes)]
    notes = spark.createDataFrame(rows, "note_id string, text string")
    tag(notes, ner, model=asked.model).write.parquet(output)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m examples.ner_dl", description=(__doc__ or "").splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    training, tagging = (actions.add_parser(name) for name in ("train", "tag"))
    training.add_argument("corpus", type=Path, help="CoNLL file: word, tab, IOB2 label")
    training.add_argument("--epochs", type=int, default=TrainOptions.epochs, help="default: %(default)s")
    training.add_argument("--lr", type=float, default=TrainOptions.learning_rate, help="default: %(default)s")
    training.add_argument("--batch", type=int, default=TrainOptions.batch, help="sentences; default: %(default)s")
    training.add_argument("--seed", type=int, default=TrainOptions.seed, help="default: %(default)s")
    tagging.add_argument("notes", type=Path, help=".jsonl or .parquet with note_id and text")
    tagging.add_argument("--ner", type=Path, required=True, metavar="FOLDER", help="what `train` wrote")
    for action in (training, tagging):
        action.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="must not exist")
        action.add_argument("--model", default=DEMO_MODEL, metavar="NAME", help="whose vectors; default: %(default)s")
        action.add_argument("--models", metavar="DIR", help="default: $SPARKCLIN_MODELS, else the demo models")
    asked = parser.parse_args(arguments)
    return exit_status(lambda: run(asked))


if __name__ == "__main__":
    sys.exit(main())
