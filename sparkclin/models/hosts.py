"""Host annotators: the Spark NLP classes that packed batches pass through. A packed batch goes in as a document, and
whatever the graph gives for it comes out as one vector.

Stock annotators of tokens give a vector per word. Two annotators of sentences return the graph's output for a row
unchanged, whatever its length: `RoBertaSentenceEmbeddings` with TensorFlow, and `UAEEmbeddings` with ONNX Runtime (by
cls pooling, where the graph gives one position per row). They are made here around the model that the bundle's own
annotator has loaded, so that it is in memory once. They get a vocabulary of their own: the codes of positions and
requests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import engine_of, load, spark_nlp_of
from sparkclin.schema import EMBEDDINGS
from sparkclin.spark.session import scala_object
from sparkclin.wire import codes
from sparkclin.wire.annotations import DOCUMENT
from sparkclin.wire.tags import HOST_SPECIALS, Vocabulary

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NO_LIMIT = 1_000_000
"""In pieces: Spark NLP cuts what exceeds the limit that it is given."""

# The first begins every row; the others are what the classes ask their vocabularies for.
WORDPIECE_SPECIALS = ("[CLS]", "[SEP]", "[UNK]")


@dataclass(frozen=True)
class _Hosted:
    """Which host annotator was made: for which Spark application and bundle."""

    application: str
    location: str
    manifest_sha256: str


_hosts: dict[_Hosted, Future[Any]] = {}
_lock = threading.Lock()
"""Held to look into _hosts, never while a model is loaded."""


def load_host(spark: SparkSession, bundle: Bundle) -> Any:
    """A bundle as an annotator that reads packed batches, one per row, from `document`, and writes `embeddings`.

    It is the same one for the same bundle as long as the Spark application runs: each loading of a model hands another
    copy of it to the application, and takes seconds. Raises ModelError for an engine that Spark NLP does not run.
    """
    if begin := _to_be_loaded(spark, bundle):
        begin()
    return _hosts[_hosted(spark, bundle)].result()


def load_ahead(spark: SparkSession, bundle: Bundle) -> None:
    """Begins to load the host of a bundle in another thread, where Spark NLP runs its engine; load_host() waits for it,
    and raises what goes wrong."""
    if engine_of(bundle).spark_nlp and (begin := _to_be_loaded(spark, bundle)):
        threading.Thread(target=begin, name="load_ahead", daemon=True).start()


def _to_be_loaded(spark: SparkSession, bundle: Bundle) -> Callable[[], None] | None:
    """What loads a bundle's host; None where somebody does or did, whose host is in _hosts then."""
    hosted, host = _hosted(spark, bundle), Future[Any]()
    with _lock:
        for stale in [other for other in _hosts if other.application != hosted.application or _failed(_hosts[other])]:
            del _hosts[stale]
        if hosted in _hosts:
            return None
        _hosts[hosted] = host
    return partial(_load, host, spark, bundle)


def _load(host: Future[Any], spark: SparkSession, bundle: Bundle) -> None:
    try:
        made = _HOSTS[spark_nlp_of(bundle).host_annotator](spark, load(bundle), bundle.manifest.vocabulary)
        made.setInputCols([DOCUMENT]).setOutputCol(EMBEDDINGS).setCaseSensitive(True).setBatchSize(1)
        host.set_result(made._set(maxSentenceLength=NO_LIMIT))  # the setters refuse more than 512
    except BaseException as error:  # noqa: BLE001  # none is lost: load_host() raises it
        host.set_exception(error)


def _failed(host: Future[Any]) -> bool:
    return host.done() and host.exception() is not None


def _hosted(spark: SparkSession, bundle: Bundle) -> _Hosted:
    return _Hosted(str(spark.sparkContext.applicationId), bundle.location, bundle.manifest_sha256)


def host_vocabulary(vocabulary: Vocabulary, specials: Sequence[str], *, code_words: Sequence[str]) -> list[str]:
    """A host's words in id order: the codes of positions' ids, its own special pieces, the codes of requests.

    `code_words` has the code of every id below n_codes, as the host's tokenizer writes it.
    """
    unused = [f"[unused{index}]" for index in range(HOST_SPECIALS - len(specials))]
    return [*code_words[: vocabulary.n_tagged], *specials, *unused, *code_words[vocabulary.first_request :]]


def _uae(spark: SparkSession, loaded: Any, vocabulary: Vocabulary) -> Any:
    from sparknlp.annotator import UAEEmbeddings

    jvm: Any = spark._jvm
    model = loaded._java_obj.getModelIfNotSet().onnxWrapper()
    host = jvm.com.johnsnowlabs.nlp.embeddings.UAEEmbeddings()
    code_words = [codes.encode(index) for index in range(vocabulary.n_codes)]
    words = host_vocabulary(vocabulary, WORDPIECE_SPECIALS, code_words=code_words)
    host.setVocabulary(_to_ids(jvm, _scala_seq(jvm, words)))
    host.setModelIfNotSet(spark._jsparkSession, _nothing(jvm), model, _nothing(jvm))
    return UAEEmbeddings(java_model=host).setPoolingStrategy("cls")


def _roberta_sentences(spark: SparkSession, loaded: Any, vocabulary: Vocabulary) -> Any:
    from sparknlp.annotator import RoBertaSentenceEmbeddings

    jvm: Any = spark._jvm
    in_bpe = [codes.in_bytes(codes.encode(index)) for index in range(vocabulary.n_codes)]
    words = host_vocabulary(vocabulary, codes.SPECIAL_PIECES, code_words=[codes.SPACE + code for code in in_bpe])
    # In running text, unlike in a token of its own, a word's space is a part of it.
    merges = [*codes.merges(vocabulary.n_codes), *((codes.SPACE, code) for code in in_bpe)]
    firsts, seconds = (_scala_seq(jvm, part) for part in zip(*merges, strict=True))
    model = loaded._java_obj.getModelIfNotSet().tensorflowWrapper()
    host = jvm.com.johnsnowlabs.nlp.embeddings.RoBertaSentenceEmbeddings()
    host.setVocabulary(_to_ids(jvm, _scala_seq(jvm, words)))
    host.setMerges(_to_ids(jvm, firsts.zip(seconds, _can_build_seq(jvm))))
    host.setSignatures(loaded._java_obj.getSignatures().get())
    host.setModelIfNotSet(spark._jsparkSession, model, _nothing(jvm), _nothing(jvm))
    return RoBertaSentenceEmbeddings(java_model=host)


_HOSTS: dict[str, Callable[[SparkSession, Any, Vocabulary], Any]] = {
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
