"""The Spark NLP annotators that carry packs: a pack in, and whatever the graph answers, as one vector, out.

Stock annotators of tokens give a vector a word. Two of sentences hand a row's answer on as it is, whatever its length:
`RoBertaSentenceEmbeddings` with TensorFlow and `UAEEmbeddings` with ONNX Runtime (by cls pooling, where the graph
answers with one place a row). They are made here around the model that the bundle's own annotator has loaded, so that
it is in memory once, and with a vocabulary of their own: the codes of all marked pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import load
from sparkclin.spark.session import scala_object
from sparkclin.wire import codes
from sparkclin.wire.annotations import DOCUMENT
from sparkclin.wire.packed import Vocabulary

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LONGEST_PACK = 1_000_000
"""In pieces: no limit, which Spark NLP would keep by cutting."""

# The first begins every row; the others are what the classes ask their vocabularies for.
WORDPIECE_SPECIALS = ("[CLS]", "[SEP]", "[UNK]")
BPE_SPECIALS = ("<s>", "</s>", "<pad>", "<unk>", "<mask>")


def pack_vocabulary(bundle: Bundle) -> Vocabulary:
    manifest = bundle.manifest
    return Vocabulary(size=manifest.vocab_size, cls_id=manifest.cls_id, sep_id=manifest.sep_id, pad_id=manifest.pad_id)


def load_for_packs(spark: SparkSession, bundle: Bundle, *, output_col: str) -> Any:
    """A bundle as an annotator that reads packs, one a row, from the column `document`.

    The same one for the same bundle as long as the Spark application runs: each loading of a model hands another copy
    of it to the application, and takes seconds.
    """
    application = str(spark.sparkContext.applicationId)
    key = (application, bundle.location, output_col)
    if key not in _loaded:
        for stale in [other for other in _loaded if other[0] != application]:
            del _loaded[stale]
        annotator = _CARRIERS[bundle.manifest.engine](spark, load(bundle), pack_vocabulary(bundle))
        annotator.setInputCols([DOCUMENT]).setOutputCol(output_col).setCaseSensitive(True).setBatchSize(1)
        _loaded[key] = annotator._set(maxSentenceLength=LONGEST_PACK)  # the setters refuse more than 512
    return _loaded[key]


_loaded: dict[tuple[str, str, str], Any] = {}


def _onnx(spark: SparkSession, loaded: Any, vocabulary: Vocabulary) -> Any:
    from sparknlp.annotator import UAEEmbeddings

    jvm: Any = spark._jvm
    words = [*map(codes.encode, range(vocabulary.n_marked)), *WORDPIECE_SPECIALS]
    model = loaded._java_obj.getModelIfNotSet().onnxWrapper()
    carrier = jvm.com.johnsnowlabs.nlp.embeddings.UAEEmbeddings()
    carrier.setVocabulary(_to_places(jvm, _scala_seq(jvm, words)))
    carrier.setModelIfNotSet(spark._jsparkSession, _nothing(jvm), model, _nothing(jvm))
    return UAEEmbeddings(java_model=carrier).setPoolingStrategy("cls")


def _tensorflow(spark: SparkSession, loaded: Any, vocabulary: Vocabulary) -> Any:
    from sparknlp.annotator import RoBertaSentenceEmbeddings

    jvm: Any = spark._jvm
    in_bpe = [codes.in_bytes(codes.encode(index)) for index in range(vocabulary.n_marked)]
    words = [*(codes.SPACE + code for code in in_bpe), *BPE_SPECIALS]
    # In running text, unlike in a token of its own, a word's space is a part of it.
    merges = [*codes.merges(vocabulary.n_marked), *((codes.SPACE, code) for code in in_bpe)]
    firsts, seconds = (_scala_seq(jvm, part) for part in zip(*merges, strict=True))
    model = loaded._java_obj.getModelIfNotSet().tensorflowWrapper()
    carrier = jvm.com.johnsnowlabs.nlp.embeddings.RoBertaSentenceEmbeddings()
    carrier.setVocabulary(_to_places(jvm, _scala_seq(jvm, words)))
    carrier.setMerges(_to_places(jvm, firsts.zip(seconds, _can_build_seq(jvm))))
    carrier.setSignatures(loaded._java_obj.getSignatures().get())
    carrier.setModelIfNotSet(spark._jsparkSession, model, _nothing(jvm), _nothing(jvm))
    return RoBertaSentenceEmbeddings(java_model=carrier)


_CARRIERS: dict[str, Callable[[SparkSession, Any, Vocabulary], Any]] = {"onnx": _onnx, "tensorflow": _tensorflow}


def _nothing(jvm: Any) -> Any:
    return scala_object(jvm, "scala.None")


def _can_build_seq(jvm: Any) -> Any:
    return scala_object(jvm, "scala.collection.Seq").canBuildFrom()


def _scala_seq(jvm: Any, words: Sequence[str]) -> Any:
    """Words without line breaks as a Scala Seq, in a few calls to the JVM whatever their number."""
    lines = jvm.java.util.regex.Pattern.compile("\n").splitAsStream("\n".join(words))
    listed = lines.collect(jvm.java.util.stream.Collectors.toList())
    return jvm.scala.collection.JavaConverters.asScalaBufferConverter(listed).asScala()


def _to_places(jvm: Any, seq: Any) -> Any:
    """A Scala Seq as a Map from what is in it to where."""
    return seq.zipWithIndex(_can_build_seq(jvm)).toMap(getattr(jvm.scala.Predef, "$conforms")())
