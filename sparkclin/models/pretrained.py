"""Models of a local repository: `use_models()` for stock `pretrained()`, and `pretrained()` for those who prefer it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkclin.engines import ENGINES, STOCK_ENGINE, Annotator, Engine, SparkNlp
from sparkclin.errors import ModelError, SetupError
from sparkclin.models.bundle import Bundle
from sparkclin.models.repository import ModelRepository, Record, Wanted, check_spark_nlp_reads
from sparkclin.spark.scratch import remove_with_own
from sparkclin.spark.session import check_session, free_spark_nlp, running_session, scala_object

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MODELS_VARIABLE = "SPARKCLIN_MODELS"
DEMO_MODELS = Path(__file__).parents[1] / "demo" / "models"


@dataclass(frozen=True)
class _Request:
    """What a stock pretrained() call asks for, and the key of the JVM's cache of loaded models."""

    name: str
    language: str
    remote_loc: str | None


@dataclass(frozen=True)
class _Loaded:
    """Which version the JVM loaded, and the Spark application whose executors can reach it."""

    location: str
    manifest_sha256: str
    application_id: str


@dataclass(frozen=True, kw_only=True)
class _InUse:
    """What use_models() set, what was loaded from there since, and what Python's last call for a name wants of it."""

    repository: ModelRepository
    loaded: dict[_Request, _Loaded] = field(default_factory=dict)
    wanted: dict[tuple[str, str | None], Record] = field(default_factory=dict)


_in_use: _InUse | None = None

_failed: str | None = None
"""The class of what ended the last call of use_models(); None where it did what was asked, or there was none."""


def use_models(spark: SparkSession, root: str | Path | None = None) -> ModelRepository:
    """Make stock `<Annotator>.pretrained(name, lang)` load from the repository at `root`, without the internet.

    Without `root` it is active_repository().

    Spark NLP asks three downloaders for models; all three are replaced in the JVM, so this holds for Scala callers of
    the same JVM too, for as long as this Python process lives. Names that are not in `root` are an error from then on;
    other models have to be in `root` as well or be loaded by `<Annotator>.load(path)`. May be called again, for another
    root or session; the last call holds.

    After a call that fails, stock `pretrained()` raises ModelError until one succeeds: it does not go to the internet,
    as it would if nothing had been asked. To go back to Spark NLP's own downloads, start a new Python process: nothing
    of this is stored.

    The stock Python call prints a line and returns None where it does not find a name. After this it raises ModelError,
    listing what there is.

    Raises SetupError for a session that cannot run Spark NLP, and ModelError where `root` is not a model repository.
    """
    global _in_use, _failed
    _wrap_stock_download()
    try:
        repository = _served(spark, root)
    except BaseException as error:
        _failed = type(error).__name__
        with suppress(Exception):  # a session without Spark NLP has nothing that would download
            _serve(spark, None)
        raise
    _failed = None
    return repository


def _served(spark: SparkSession, root: str | Path | None) -> ModelRepository:
    global _in_use
    check_session(spark)
    free_spark_nlp(spark)
    repository = active_repository() if root is None else ModelRepository(root)
    if repository.lines_for_spark_nlp():  # a wrong record is reported now, and not by a later pretrained()
        check_spark_nlp_reads(repository.root)
    for request in _in_use.loaded if _in_use else ():
        _forget(request)
    _in_use = _InUse(repository=repository)
    _serve(spark, _in_use)
    return repository


def active_repository() -> ModelRepository:
    """The repository that use_models() set; else the one at $SPARKCLIN_MODELS; else the demo models'.

    Raises ModelError where there is none of these.
    """
    if _in_use is not None:
        return _in_use.repository
    if root := os.environ.get(MODELS_VARIABLE):
        return ModelRepository(root)
    if DEMO_MODELS.is_dir():
        return ModelRepository(DEMO_MODELS)
    raise ModelError(
        f"no model repository is set: call sparkclin.use_models(spark, folder), or set {MODELS_VARIABLE} to the folder."
    )


def pretrained(
    name: str, language: str | None = None, *, engine: str | None = None, precision: str | None = None
) -> Any:
    """Return the newest version of a model of active_repository(), as Spark NLP's annotator object. A name that exists
    in several languages needs `language`.

    Its class is the one in the table of engines for the model's task, such as LongformerEmbeddings for vectors by
    tensorflow. Without `engine` or `precision`: exact, and then fast, of those that Spark NLP runs.

    Every call loads the model anew, so what is set on one object does not show on another.
    Raises ModelError, listing what there is, for a name that is not there, and for a model of which a file is not what
    was exported, and SetupError without a session.
    """
    spark = running_session()
    if spark is None:
        raise SetupError("no Spark session is running. Start one first: sparkclin.spark_session()")
    check_session(spark)
    free_spark_nlp(spark)
    wanted = Wanted(name=name, language=language, engine=engine, precision=precision, in_spark_nlp=True)
    return load(active_repository().find_wanted(wanted))


def load(bundle: Bundle) -> Any:
    """A bundle as Spark NLP's annotator object, new with every call; raises ModelError for an unknown engine, and for a
    bundle that is not as it was exported (`Bundle.check()`).

    Some engines' models are unpacked into Java's folder for temporary files and left there; the JVM deletes those
    copies when it ends.
    """
    spark_nlp, spark = spark_nlp_of(bundle), running_session()
    stock = spark_nlp.annotator(bundle.manifest.task)
    bundle.check()
    annotator = getattr(import_module("sparknlp.annotator"), stock.name)
    if not spark_nlp.leaves_copies or spark is None:
        return _loaded(annotator, bundle)
    before = _copies(spark)
    loaded = _loaded(annotator, bundle)
    unpacked = str(loaded._java_obj.getModelIfNotSet().onnxWrapper().get().modelFileName().get())
    for copy in _copies(spark) - before:
        # The model as it lies in the bundle, and unpacked, which executors fetch from there: under a name of its own,
        # so that another application's is never taken for it.
        if copy.name in (unpacked, stock.graph_file):
            _delete_at_exit(spark, copy.parent)
    return loaded


def _loaded(annotator: Any, bundle: Bundle) -> Any:
    """Raises ModelError for what Spark NLP cannot load though it is as it was exported."""
    from py4j.protocol import Py4JJavaError

    try:
        return annotator.load(bundle.url)
    except Py4JJavaError as error:
        java: Any = error.java_exception
        raise ModelError(
            f"Spark NLP cannot load {bundle.location} ({java.getClass().getSimpleName()}), though its files are as "
            "exported. See that all machines read it there, and delete its hidden .crc files, which may not fit."
        ) from None


def bundle_of(annotator: Any) -> Bundle:
    """The version of a model of active_repository() that an annotator was loaded from, whatever loaded it.

    Spark ML gives every stage an id when it is made, which a saved one keeps. Raises ModelError where no version has
    the annotator's.
    """
    repository = active_repository()
    for record in repository.records():
        if record.annotator == annotator.name:
            bundle = repository.bundle(record)
            if bundle.saved_id() == annotator.uid:
                return bundle
    raise ModelError(
        f"no model of {repository.root} is the {annotator.name} that was given: load it by pretrained() after "
        "sparkclin.use_models(), or say which bundle it is."
    )


def engine_of(bundle: Bundle) -> Engine:
    """The engine that a bundle was exported for; raises ModelError where this version does not have it, or would run
    the bundle in another way."""
    manifest = bundle.manifest
    known = {engine.name: engine.annotator_name(manifest.task) for engine in ENGINES.values()}
    if known.get(manifest.engine) != manifest.annotator:
        names = ", ".join(f"{name} ({stock})" if stock else name for name, stock in known.items())
        raise ModelError(
            f"{bundle.location} is for the engine {manifest.engine!r} and the annotator {manifest.annotator!r}; of the "
            f"task {manifest.task!r} this sparkclin runs {names}. Use the sparkclin that exported it, or export it "
            "again with this one."
        )
    return ENGINES[manifest.engine]


def spark_nlp_of(bundle: Bundle) -> SparkNlp:
    """Return how Spark NLP runs a bundle; raise ModelError if it does not run the engine, or cannot load from there."""
    spark_nlp = engine_of(bundle).spark_nlp
    if spark_nlp is None:
        raise ModelError(
            f"{bundle.location} is for the engine {bundle.manifest.engine!r}, which runs in Spark's Python workers: "
            "Spark NLP has no annotator for it. Use sparkclin.embed() or a pipeline, or a version of the model for "
            "another engine."
        )
    check_spark_nlp_reads(bundle.location)
    return spark_nlp


def annotator_of(bundle: Bundle) -> Annotator:
    """The stock class that a bundle was saved as; raises ModelError where Spark NLP cannot load it."""
    return spark_nlp_of(bundle).annotator(bundle.manifest.task)


def _copies(spark: SparkSession) -> set[Path]:
    """The files that Spark NLP has put into Java's folder for temporary files, each into a folder of its own."""
    temporary = _gateway(spark).jvm.java.lang.System.getProperty("java.io.tmpdir")
    return set(Path(temporary).glob("*_onnx*/*"))


def _delete_at_exit(spark: SparkSession, folder: Path) -> None:
    remove_with_own(folder)
    jvm = _gateway(spark).jvm
    jvm.org.apache.spark.util.ShutdownHookManager.registerShutdownDeleteDir(jvm.java.io.File(str(folder)))


class _Downloader:
    """Spark NLP's trait ResourceDownloader (5.5.3) over a repository, or over none, after a use_models() that failed.
    py4j calls it from the JVM.

    Its methods have Scala's names and return Scala's Option. What they raise reaches the caller as the message of
    a Py4JException.
    """

    class Java:
        implements = ("com.johnsnowlabs.nlp.pretrained.ResourceDownloader",)

    def __init__(self, spark: SparkSession, in_use: _InUse | None) -> None:
        self._gateway = _gateway(spark)
        self._hadoop = spark._jsc.hadoopConfiguration()
        self._in_use = in_use

    def downloadMetadataIfNeed(self, folder: str) -> Any:  # noqa: N802, ARG002
        jvm = self._gateway.jvm
        records = jvm.java.util.ArrayList()
        for line in self._repository().lines_for_spark_nlp():
            records.add(jvm.com.johnsnowlabs.nlp.pretrained.ResourceMetadata.parseJson(line))
        return jvm.scala.collection.JavaConverters.asScalaBufferConverter(records).asScala().toList()

    def download(self, request: Any) -> Any:
        """Where Spark NLP reads the model from next."""
        record = self._record(request)
        repository = self._repository()
        repository.bundle(record).check()
        return self._gateway.jvm.scala.Option.apply(repository.url(record))

    def getDownloadSize(self, request: Any) -> Any:  # noqa: N802
        path = self._gateway.jvm.org.apache.hadoop.fs.Path(self._repository().url(self._record(request)))
        size = path.getFileSystem(self._hadoop).getContentSummary(path).getLength()
        # The Option must hold a Long. By itself py4j makes a small number an Integer.
        longs = self._gateway.new_array(self._gateway.jvm.long, 1)
        longs[0] = size
        return self._gateway.jvm.scala.Predef.wrapLongArray(longs).headOption()

    def downloadAndUnzipFile(self, source: str, unzip: bool) -> Any:  # noqa: ARG002, FBT001, N802
        raise ModelError("nothing is downloaded while sparkclin.use_models() holds: put the model into its folder.")

    def clearCache(self, request: Any) -> None:  # noqa: N802
        """Nothing to do: a repository is no cache."""

    def toString(self) -> str:  # noqa: N802
        return repr(self._in_use and self._in_use.repository)

    def _repository(self) -> ModelRepository:
        if self._in_use is None:
            raise _refusal()
        return self._in_use.repository

    def _record(self, request: Any) -> Record:
        repository, language = self._repository(), request.language()
        asked = (str(request.name()), language.get() if language.isDefined() else None)
        wanted = self._in_use.wanted.get(asked) if self._in_use else None
        return wanted or repository.resolve(Wanted(name=asked[0], language=asked[1], engine=STOCK_ENGINE))


def _refusal() -> ModelError:
    return ModelError(
        f"sparkclin.use_models() failed ({_failed}), and pretrained() would now download from the internet: nothing is "
        "loaded. Call use_models() again, with the folder of a model repository, once what it said is mended; or start "
        "a new Python process without it for Spark NLP's own downloads."
    )


def _gateway(spark: SparkSession) -> Any:
    return spark.sparkContext._gateway


def _serve(spark: SparkSession, in_use: _InUse | None) -> None:
    """Put a _Downloader in the place of Spark NLP's three."""
    from pyspark.java_gateway import ensure_callback_server_started

    gateway = _gateway(spark)
    ensure_callback_server_started(gateway)  # type: ignore[no-untyped-call]
    downloader = _Downloader(spark, in_use)
    spark_nlp = scala_object(gateway.jvm, "com.johnsnowlabs.nlp.pretrained.ResourceDownloader")
    for setter in ("publicDownloader_$eq", "privateDownloader_$eq", "communityDownloader_$eq"):
        getattr(spark_nlp, setter)(downloader)


def _wrap_stock_download() -> None:
    """Look at each name before the function that every stock pretrained() calls does.

    By itself that function prints a line and returns None for a name that is not there, and its JVM half goes on giving
    the first model it loaded of a name when a newer version has come, or when the session of that model has ended.
    """
    from sparknlp.pretrained import ResourceDownloader

    stock = ResourceDownloader.downloadModel
    if stock.__module__ == __name__:
        return

    def download_model(
        reader: Any, name: str, language: str, remote_loc: str | None = None, j_dwn: str = "PythonResourceDownloader"
    ) -> Any:
        _prepare(_Request(name, language, remote_loc), annotator=reader.name)
        return stock(reader, name, language, remote_loc, j_dwn)

    ResourceDownloader.downloadModel = staticmethod(download_model)


def _prepare(request: _Request, *, annotator: str) -> None:
    """Raise ModelError for a name that is not there, and a model that is not as it was exported; make the JVM forget a
    model that is not the one to load now."""
    from pyspark import SparkContext

    if _failed is not None:
        raise _refusal()
    if _in_use is None or SparkContext._active_spark_context is None:
        return
    record = _in_use.repository.resolve(Wanted(name=request.name, language=request.language, annotator=annotator))
    _in_use.repository.bundle(record).check()
    _in_use.wanted[request.name, request.language] = record
    application = str(SparkContext._active_spark_context.applicationId)
    wanted = _Loaded(_in_use.repository.location(record), record.manifest_sha256, application)
    # A name that was not loaded since use_models() may still be in the JVM, from another repository.
    if _in_use.loaded.get(request) != wanted:
        _forget(request)
    _in_use.loaded[request] = wanted


def _forget(request: _Request) -> None:
    from sparknlp.pretrained import ResourceDownloader

    ResourceDownloader.clearCache(request.name, request.language, request.remote_loc)
