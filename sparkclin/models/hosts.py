"""Host annotators: the Spark NLP classes that packed batches pass through. A packed batch goes in as a document, and
whatever the graph gives for it comes out as one vector.

Stock annotators of tokens give a vector per word. Two annotators of sentences return the graph's output for a row
unchanged, whatever its length: `RoBertaSentenceEmbeddings` with TensorFlow, and `UAEEmbeddings` with ONNX Runtime (by
cls pooling, where the graph gives one position per row). They are made here around the model that the bundle's own
annotator has loaded, so that it is in memory once. They get a vocabulary of their own: the codes of all positions' ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import engine_of, load
from sparkclin.spark.session import scala_object
from sparkclin.wire import codes
from sparkclin.wire.annotations import DOCUMENT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NO_LIMIT = 1_000_000
"""In pieces: Spark NLP cuts what exceeds the limit that it is given."""

# The first begins every row; the others are what the classes ask their vocabularies for.
WORDPIECE_SPECIALS = ("[CLS]", "[SEP]", "[UNK]")


@dataclass(frozen=True)
class _Hosted:
    """Which host annotator was made: for which Spark application, bundle and request, and the column it writes."""

    application: str
    location: str
    request: int
    output_col: str


_loaded: dict[_Hosted, Any] = {}
_models: dict[tuple[str, str], Any] = {}


def load_host(spark: SparkSession, bundle: Bundle, *, request: int, output_col: str) -> Any:
    """A bundle as an annotator that reads packed batches, one per row, from the column `document`.

    `request` says which outputs the graph gives (`Outputs.request`): the id of the host's first special piece, which
    begins every packed batch, is n_tagged + request. The annotator is the same one for the same bundle and request as
    long as the Spark application runs: each loading of a model hands another copy of it to the application, and takes
    seconds. Raises ModelError for an engine that is not in the table.
    """
    key = _Hosted(str(spark.sparkContext.applicationId), bundle.location, request, output_col)
    if key not in _loaded:
        for stale in [other for other in _loaded if other.application != key.application]:
            del _loaded[stale]
        words = HostWords(n_tagged=bundle.manifest.vocabulary.n_tagged, request=request)
        host = _HOSTS[engine_of(bundle).host_annotator](spark, _model(key, bundle), words)
        host.setInputCols([DOCUMENT]).setOutputCol(output_col).setCaseSensitive(True).setBatchSize(1)
        _loaded[key] = host._set(maxSentenceLength=NO_LIMIT)  # the setters refuse more than 512
    return _loaded[key]


def _model(key: _Hosted, bundle: Bundle) -> Any:
    """The bundle's own annotator, loaded once for all requests of an application."""
    for stale in [other for other in _models if other[0] != key.application]:
        del _models[stale]
    if (key.application, key.location) not in _models:
        _models[key.application, key.location] = load(bundle)
    return _models[key.application, key.location]


@dataclass(frozen=True, kw_only=True)
class HostWords:
    """A host's vocabulary in id order: the codes of all positions' ids, then, behind `request` unused ids, its own
    special pieces."""

    n_tagged: int
    request: int

    def codes(self) -> list[str]:
        return [codes.encode(index) for index in range(self.n_tagged)]

    def specials(self, own: Sequence[str]) -> list[str]:
        return [*(f"[unused{index}]" for index in range(self.request)), *own]


def _uae(spark: SparkSession, loaded: Any, words: HostWords) -> Any:
    from sparknlp.annotator import UAEEmbeddings

    jvm: Any = spark._jvm
    model = loaded._java_obj.getModelIfNotSet().onnxWrapper()
    host = jvm.com.johnsnowlabs.nlp.embeddings.UAEEmbeddings()
    host.setVocabulary(_to_ids(jvm, _scala_seq(jvm, [*words.codes(), *words.specials(WORDPIECE_SPECIALS)])))
    host.setModelIfNotSet(spark._jsparkSession, _nothing(jvm), model, _nothing(jvm))
    return UAEEmbeddings(java_model=host).setPoolingStrategy("cls")


def _roberta_sentences(spark: SparkSession, loaded: Any, words: HostWords) -> Any:
    from sparknlp.annotator import RoBertaSentenceEmbeddings

    jvm: Any = spark._jvm
    in_bpe = [codes.in_bytes(code) for code in words.codes()]
    vocabulary = [*(codes.SPACE + code for code in in_bpe), *words.specials(codes.SPECIAL_PIECES)]
    # In running text, unlike in a token of its own, a word's space is a part of it.
    merges = [*codes.merges(words.n_tagged), *((codes.SPACE, code) for code in in_bpe)]
    firsts, seconds = (_scala_seq(jvm, part) for part in zip(*merges, strict=True))
    model = loaded._java_obj.getModelIfNotSet().tensorflowWrapper()
    host = jvm.com.johnsnowlabs.nlp.embeddings.RoBertaSentenceEmbeddings()
    host.setVocabulary(_to_ids(jvm, _scala_seq(jvm, vocabulary)))
    host.setMerges(_to_ids(jvm, firsts.zip(seconds, _can_build_seq(jvm))))
    host.setSignatures(loaded._java_obj.getSignatures().get())
    host.setModelIfNotSet(spark._jsparkSession, model, _nothing(jvm), _nothing(jvm))
    return RoBertaSentenceEmbeddings(java_model=host)


_HOSTS: dict[str, Callable[[SparkSession, Any, HostWords], Any]] = {
    "UAEEmbeddings": _uae,
    "RoBertaSentenceEmbeddings": _roberta_sentences,
}
"""By the name in the table of engines."""


def _nothing(jvm: Any) -> Any:
    return scala_object(jvm, "scala.None")


def _can_build_seq(jvm: Any) -> Any:
    return scala_object(jvm, "scala.collection.Seq").canBuildFrom()


def _scala_seq(jvm: Any, words: Sequence[str]) -> Any:
    """Words without line breaks as a Scala Seq, in a few calls to the JVM whatever their number."""
    lines = jvm.java.util.regex.Pattern.compile("\n").splitAsStream("\n".join(words))
    listed = lines.collect(jvm.java.util.stream.Collectors.toList())
    return jvm.scala.collection.JavaConverters.asScalaBufferConverter(listed).asScala()


def _to_ids(jvm: Any, seq: Any) -> Any:
    """A Scala Seq as a Map from what is in it to its index."""
    return seq.zipWithIndex(_can_build_seq(jvm)).toMap(getattr(jvm.scala.Predef, "$conforms")())
