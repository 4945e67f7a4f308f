"""A model that is not the one that was exported does not run: not in a run, not by embed(), not by pretrained()."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.dataset as ds
import pytest
from pyspark import SparkFiles
from pyspark.errors import IllegalArgumentException, PythonException
from pyspark.sql import SparkSession
from sparknlp.annotator import LongformerEmbeddings

import sparkclin
from sparkclin import cli
from sparkclin.commands.embed import main
from sparkclin.errors import ModelError, OptionError
from sparkclin.inference.model import ModelFiles
from sparkclin.models.bundle import MANIFEST_FILE, TOKENIZER_FILE, Bundle, Manifest
from sparkclin.models.repository import METADATA_FILE, ModelRepository
from sparkclin.models.trust import TRUST_VARIABLE, trusted_digests
from sparkclin.runs.run import ModelChoice
from sparkclin.spark import storage
from testkit.bundles import manifest_of, stage
from testkit.echo import SAMPLE_TEXTS
from testkit.tokenizers import train_tokenizer

pytestmark = pytest.mark.usefixtures("spark")

NAME = "clinical_longformer"
GRAPH = {"tensorflow": "longformer_tensorflow", "openvino": "openvino/weights.bin"}
"""By engine, the file with the weights."""

Alter = Callable[[Path, str], object]
"""What is done to a bundle's folder, given the path of its weights."""


@pytest.fixture
def in_spark_nlp(echo_models: Path, tmp_path: Path) -> Bundle:
    """Of an engine in the JVM, in a repository of its own."""
    shutil.copytree(echo_models, tmp_path / "models")
    return ModelRepository(tmp_path / "models").find(NAME)


@pytest.fixture
def in_workers(tmp_path: Path) -> Bundle:
    """Of an engine in the Python workers; its graphs are a few bytes. Spark takes no second folder of a name."""
    name = f"tiny{uuid4().hex}"
    root = tmp_path / "worker_models"
    staged = stage(root, content=train_tokenizer(SAMPLE_TEXTS))
    (staged / "openvino").mkdir()
    for file in ("weights.bin", "head.xml", "rows_4096.xml"):
        (staged / "openvino" / file).write_bytes(b"exported" * 9)
    manifest = manifest_of(staged, name=name, engine="openvino")
    return ModelRepository(root).register(staged, replace(manifest, row_limits=(4096,)))


@pytest.fixture(params=GRAPH)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    of_engine: Bundle = request.getfixturevalue("in_spark_nlp" if request.param == "tensorflow" else "in_workers")
    return of_engine


def flip_a_bit(folder: Path, graph: str) -> None:
    content = bytearray((folder / graph).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / graph).write_bytes(content)


def shuffle_the_tokenizer(folder: Path, _: str) -> None:
    raw = json.loads((folder / TOKENIZER_FILE).read_text(encoding="utf-8"))
    vocabulary = raw["model"]["vocab"]
    raw["model"]["vocab"] = dict(zip(vocabulary, reversed(vocabulary.values()), strict=True))
    (folder / TOKENIZER_FILE).write_text(json.dumps(raw), encoding="utf-8")


def change_the_manifest(folder: Path, _: str) -> None:
    file = folder / MANIFEST_FILE
    file.write_text(file.read_text(encoding="utf-8").replace('"cls_id": 0', '"cls_id": 3'), encoding="utf-8")


def truncate(folder: Path, graph: str) -> None:
    os.truncate(folder / graph, 8)


def plant(*names: str) -> Alter:
    def add(folder: Path, _: str) -> None:
        (folder / names[0]).parent.mkdir(exist_ok=True, parents=True)
        (folder / names[0]).write_bytes(b"code")

    return add


def put_a_folder_there(folder: Path, graph: str) -> None:
    (folder / graph).unlink()
    (folder / graph).mkdir()


def link_a_folder(folder: Path, _: str) -> None:
    (folder / "fields").mkdir(exist_ok=True)
    (folder / "fields" / "linked").symlink_to(folder.parent)


ALTERED: dict[str, tuple[Alter, str]] = {
    "weights of which a bit is another": (flip_a_bit, "{graph}: changed"),
    "a shuffled tokenizer": (shuffle_the_tokenizer, "tokenizer.json: changed"),
    "another cls_id in the manifest": (change_the_manifest, "sparkclin.json is not the manifest that was registered: "),
    "truncated weights": (truncate, "{graph}: changed"),
    "empty weights": (lambda folder, graph: os.truncate(folder / graph, 0), "{graph}: changed"),
    "no weights": (lambda folder, graph: (folder / graph).unlink(), "{graph}: missing"),
    "a folder for weights": (put_a_folder_there, "{graph}: missing"),
    "no tokenizer": (lambda folder, _: (folder / TOKENIZER_FILE).unlink(), "tokenizer.json: missing"),
    "no manifest": (lambda folder, _: (folder / MANIFEST_FILE).unlink(), "has no readable sparkclin.json"),
    "an empty manifest": (lambda folder, _: os.truncate(folder / MANIFEST_FILE, 0), "sparkclin.json is not the mani"),
    "a manifest of other bytes": (
        lambda folder, _: (folder / MANIFEST_FILE).write_bytes(b"\xff\xfe"),
        "has no readable sparkclin.json (UnicodeDecodeError)",
    ),
    "an added file": (plant("fields/part-00001"), "fields/part-00001: not in the manifest"),
    "an added file that seems a checksum": (plant("metadata/part-1.crc"), "metadata/part-1.crc: not in the manifest"),
    "an added file that seems a manifest": (
        plant("metadata/sparkclin.json"),
        "metadata/sparkclin.json: not in the manifest",
    ),
    "an added link to a folder": (link_a_folder, "fields/linked: not in the manifest"),
    "a name of two lines": (plant("two\nlines"), r"'two\nlines: not in the manifest'"),
}


def alter(bundle: Bundle, how: str) -> str:
    """Does it; returns what has to be said of it."""
    change, said = ALTERED[how]
    graph = GRAPH[bundle.manifest.engine]
    change(bundle.path, graph)
    return said.format(graph=graph)


def command(bundle: Bundle, tmp_path: Path, *more: str) -> list[str]:
    notes = tmp_path / "notes.jsonl"
    notes.write_text('{"note_id": "a", "text": "no fever"}\n{"note_id": "b", "text": ""}\n', encoding="utf-8")
    root = bundle.location.rpartition("/")[0]
    output = str(tmp_path / "out")
    return ["--input", str(notes), "--input-format", "jsonl", "--output", output, "--models", root, *more]


def refused(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """The line that a run ends with which does nothing."""
    assert main(command(bundle, tmp_path, *more)) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert not (tmp_path / "out").exists()
    [line] = said.err.splitlines()
    return line


@pytest.mark.parametrize("how", ALTERED)
def test_a_run_refuses(bundle: Bundle, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = alter(bundle, how)
    line = refused(bundle, tmp_path, capsys)
    assert line.startswith("error: ")
    assert said in line
    assert bundle.location in line


@pytest.mark.parametrize("how", ALTERED)
def test_the_check_finds(in_spark_nlp: Bundle, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And goes on with the others."""
    repository = ModelRepository(in_spark_nlp.path.parent)
    staged = stage(in_spark_nlp.path.parent, name="whole")
    whole = repository.register(staged, manifest_of(staged, name="whole"))
    said = alter(in_spark_nlp, how)
    assert cli.main(["models", "--models", repository.root, "check"]) == 1
    altered, other = capsys.readouterr().out.splitlines()
    assert said in altered
    assert other == f"{whole.location}: 2 files as exported"


@pytest.mark.parametrize("how", ["weights of which a bit is another", "a shuffled tokenizer"])
def test_embed_refuses(spark: SparkSession, bundle: Bundle, how: str) -> None:
    notes = spark.createDataFrame([("a", "no fever")], "note_id string, text string")
    said = alter(bundle, how)
    with pytest.raises(ModelError, match=said):
        sparkclin.embed(notes, model=bundle)


LOADERS: dict[str, Callable[[SparkSession], Any]] = {
    "sparkclin": lambda _: sparkclin.pretrained(NAME),
    "stock": lambda _: LongformerEmbeddings.pretrained(NAME, "en"),
    "tokenizer": lambda _: sparkclin.NoteTokenizer.pretrained(NAME),
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("how", ["another cls_id in the manifest", "a shuffled tokenizer"])
def test_pretrained_refuses(
    spark: SparkSession, in_spark_nlp: Bundle, how: str, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark NLP is not asked at all."""
    monkeypatch.setattr(LongformerEmbeddings, "load", None)
    monkeypatch.setattr("sparknlp.internal._DownloadModel", None)
    sparkclin.use_models(spark, in_spark_nlp.path.parent)
    said = alter(in_spark_nlp, how)
    with pytest.raises(ModelError, match=said):
        LOADERS[loader](spark)


def test_a_caller_inside_the_jvm_is_refused(
    spark: SparkSession, in_spark_nlp: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    """Spark NLP prints why, and says itself that there is no such model."""
    sparkclin.use_models(spark, in_spark_nlp.path.parent)
    said = alter(in_spark_nlp, "weights of which a bit is another")
    downloader = spark._jvm.com.johnsnowlabs.nlp.pretrained.PythonResourceDownloader  # type: ignore[union-attr]
    with pytest.raises(IllegalArgumentException, match="Was not found appropriate resource"):
        downloader.downloadModel("LongformerEmbeddings", NAME, "en", None)
    assert said in caplog.text


@pytest.fixture
def far_away(spark: SparkSession, in_workers: Bundle) -> Iterator[Bundle]:
    """The bundle on a file system that only Hadoop knows, from which executors copy it: a viewfs mount."""
    conf = spark.sparkContext._jsc.hadoopConfiguration()
    name = f"hostile{uuid4().hex}"  # Hadoop keeps the file system of a name
    key = f"fs.viewfs.mounttable.{name}.link./models"
    conf.set(key, f"file://{in_workers.path.parent}")
    yield ModelRepository(f"viewfs://{name}/models").find(in_workers.manifest.name)
    conf.unset(key)


@pytest.mark.parametrize("how", [how for how in ALTERED if "link" not in how and "two lines" not in how])
def test_a_run_refuses_from_afar(
    far_away: Bundle, in_workers: Bundle, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = alter(in_workers, how)
    # Hadoop's checksums would find it first; object stores have none.
    for checksum in in_workers.path.rglob(".*.crc"):
        checksum.unlink()
    assert said in refused(far_away, tmp_path, capsys)


def test_a_copy_that_was_altered_on_an_executor_is_not_used(spark: SparkSession, far_away: Bundle) -> None:
    pytest.importorskip("sparkclin.inference.openvino", reason="needs the openvino extra")
    notes = spark.createDataFrame([("a", "no fever")], "note_id string, text string")
    rows = sparkclin.embed(notes, model=far_away)
    assert spark.range(1).count() == 1  # with the next task, whatever it is, an executor copies what it does not have
    copy = Path(SparkFiles.getRootDirectory()) / far_away.location.rpartition("/")[2]
    flip_a_bit(copy, "openvino/weights.bin")
    with pytest.raises(PythonException, match=r"errors\.ModelError: .*/openvino/weights\.bin on this machine"):
        rows.collect()


@pytest.mark.parametrize("name", ["head.xml", "weights.bin", "elsewhere.xml"])
def test_a_worker_reads_no_file_that_is_not_of_the_model(in_workers: Bundle, name: str) -> None:
    (in_workers.path / "openvino" / name).write_bytes(b"altered")
    files: ModelFiles = in_workers.model_files(threads=1)
    with pytest.raises(ModelError, match=rf"openvino/{name} on this machine .* it has SHA-256 [0-9a-f]{{12}}…, and "):
        files.checked(f"openvino/{name}")


def test_every_file_is_hashed_once_until_one_changes(in_spark_nlp: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []

    def counting(location: str) -> str:
        hashed.append(location)
        return of_storage(location)

    of_storage = storage.sha256_of
    monkeypatch.setattr(storage, "sha256_of", counting)
    for _ in range(3):
        in_spark_nlp.check()
    assert len(hashed) == len(in_spark_nlp.manifest.files)

    graph = in_spark_nlp.path / GRAPH["tensorflow"]
    before = graph.stat()
    flip_a_bit(in_spark_nlp.path, graph.name)
    os.utime(graph, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (graph.stat().st_size, graph.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    with pytest.raises(ModelError, match=f"{graph.name}: changed"):
        in_spark_nlp.check()


def test_a_model_in_the_jvm_is_not_taken_for_another_at_its_place(spark: SparkSession, in_spark_nlp: Bundle) -> None:
    from sparkclin.models.hosts import load_host

    first = load_host(spark, in_spark_nlp)
    assert load_host(spark, in_spark_nlp) is first
    manifest = replace(in_spark_nlp.manifest, description="another")
    (in_spark_nlp.path / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    assert load_host(spark, Bundle.read(in_spark_nlp.path)) is not first


def with_record(bundle: Bundle, **change: Any) -> None:
    """The repository's only record, changed."""
    file = bundle.path.parent / METADATA_FILE
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | change) + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", ["../elsewhere", "..", "a/b", "/etc", "", ".", "a\0b", "a\nb", "-x", "ü", 7, None])
@pytest.mark.parametrize("field", ["name", "language"])
def test_a_record_that_leaves_the_root_is_refused(in_spark_nlp: Bundle, field: str, name: object) -> None:
    with_record(in_spark_nlp, **{field: name})
    with pytest.raises(ModelError, match=rf"metadata\.json: no record .* line 1 \({field} is ") as caught:
        ModelRepository(in_spark_nlp.path.parent).find(NAME)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"libVersion": {"parts": ["../.."]}}, "a version is "),
        ({"libVersion": {"parts": "5"}}, "a version is '5'"),
        ({"libVersion": 5}, "a value is of another type"),
        ({"sparkVersion": {}}, "it has no parts"),
        ({"time": 1646398712345}, "a value is of another type"),
        ({"time": "yesterday"}, "time is 'yesterday'"),
        ({"time": "2022-03-04T12:58:32.345"}, "a value is of another type"),
        ({"engine": 1}, "engine is '1'"),
        ({"precision": ["fp32"]}, "precision is "),
        ({"annotator": "../x"}, "annotator is '../x'"),
        ({"manifestSha256": "606b0837"}, "manifestSha256 is '606b0837'"),
        ({"manifestSha256": None}, "manifestSha256 is 'None'"),
    ],
)
def test_a_record_with_values_of_another_kind_is_refused(
    in_spark_nlp: Bundle, change: dict[str, object], said: str
) -> None:
    with_record(in_spark_nlp, **change)
    with pytest.raises(ModelError, match=rf"line 1 \({said}"):
        ModelRepository(in_spark_nlp.path.parent).find(NAME)


@pytest.mark.parametrize(
    ("change", "said", "asked"),
    [
        ({"precision": "int8"}, "precision 'int8' for 'fp32'", {"precision": "int8"}),
        ({"engine": "onnx"}, "engine 'onnx' for 'tensorflow'", {"engine": "onnx"}),
        ({"annotator": ""}, "annotator '' for 'LongformerEmbeddings'", {}),
        ({"name": "validated", "language": "de"}, "name 'validated' for .*, language 'de' for 'en'", {}),
        ({"time": "2030-01-01T00:00:00.000Z"}, "time_ms 1893456000000 for ", {}),
    ],
    ids=["precision", "engine", "annotator", "name and language", "time"],
)
def test_a_record_that_says_otherwise_than_its_manifest_is_refused(
    in_spark_nlp: Bundle,
    change: dict[str, str],
    said: str,
    asked: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Else who asks for one model gets another: the folder has the name that the record says, and the right hash."""
    root = in_spark_nlp.path.parent
    with_record(in_spark_nlp, **change)
    (record,) = ModelRepository(root).records()
    if record.folder != in_spark_nlp.path.name:
        in_spark_nlp.path.rename(root / record.folder)
    said = rf"metadata\.json says otherwise than the manifest of {record.folder}: {said}"
    with pytest.raises(ModelError, match=said):
        ModelRepository(root).find(record.name, record.language, **asked)
    assert cli.main(["models", "--models", str(root), "check"]) == 1
    assert re.search(said, capsys.readouterr().out)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"name": "half', r"in line 1 \(it is not JSON\)\. Remove it"),
        (b"[1, 2]", r"in line 1 \(a value is of another type\)"),
        (b"[" * 100_000, "in line 1 "),
        (b"\xff\xfe", "is not text in UTF-8"),
        (b"", "It is empty"),
    ],
    ids=["truncated", "a list", "a deep list", "other bytes", "empty"],
)
def test_metadata_that_is_broken_is_refused(in_spark_nlp: Bundle, content: bytes, said: str) -> None:
    (in_spark_nlp.path.parent / METADATA_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=said):
        ModelRepository(in_spark_nlp.path.parent).find(NAME)


def test_a_record_without_the_manifests_hash_is_refused(in_spark_nlp: Bundle) -> None:
    """One of an earlier version, or of another maker's model."""
    file = in_spark_nlp.path.parent / METADATA_FILE
    raw = json.loads(file.read_text(encoding="utf-8"))
    del raw["manifestSha256"]
    file.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ModelError, match=r"line 1 \(it has no manifestSha256\)\. Remove it, and export"):
        ModelRepository(in_spark_nlp.path.parent).find(NAME)


@pytest.mark.parametrize(
    "change",
    [
        {"cls_id": "0"},
        {"max_pieces": None},
        {"max_pieces": 4094.0},
        {"selects_outputs": 1},
        {"labels": "BI"},
        {"labels": [1]},
        {"files": []},
        {"files": {"a": 1}},
        {"outputs": [{"name": "mean"}]},
        {"outputs": {"mean": 2}},
        {"outputs": [{"name": "mean", "size": "2"}]},
        {"separators": [True]},
        {"config": "longformer"},
        {"problem_type": 1},
        {"parity": None},
    ],
    ids=str,
)
def test_a_manifest_with_values_of_another_type_is_refused(in_spark_nlp: Bundle, change: dict[str, object]) -> None:
    """Even one that was registered so."""
    raw = json.loads(in_spark_nlp.manifest.to_json()) | change
    with pytest.raises(ModelError, match=rf"^here has values of another type in {next(iter(change))}\. Export"):
        Manifest.from_json(json.dumps(raw), where="here")


def test_a_manifest_of_an_unknown_time_is_refused(in_spark_nlp: Bundle) -> None:
    with pytest.raises(ModelError, match="here has no time in created"):
        Manifest.from_json(replace(in_spark_nlp.manifest, created="now").to_json(), where="here")


def test_a_card_of_parity_figures_that_no_export_writes_is_an_error_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    staged = stage(tmp_path)
    manifest = replace(manifest_of(staged, name="tiny"), parity={"vectors": [1], "id_rows": 1, "limits": 3})
    ModelRepository(tmp_path).register(staged, manifest)
    assert cli.main(["models", "--models", str(tmp_path), "describe", "tiny"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "has parity figures that no export writes" in line


def test_the_model_that_is_trusted_runs_and_its_output_says_which_it_was(
    in_spark_nlp: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = in_spark_nlp.manifest_sha256
    file = tmp_path / "trusted.txt"
    file.write_text(f"# of the ward\n\n{'0' * 64}  # last year's\n{sha256sum(in_spark_nlp)}", encoding="utf-8")
    assert main(command(in_spark_nlp, tmp_path, "--trust", "0" * 64, "--trust", str(file))) == 0
    schema = ds.dataset(tmp_path / "out", format="parquet").schema
    of_spark = json.loads(schema.metadata[b"org.apache.spark.sql.parquet.row.metadata"])
    [note_id] = [field for field in of_spark["fields"] if field["name"] == "note_id"]
    assert note_id["metadata"] == {
        "sparkclin": {
            "name": NAME,
            "engine": "tensorflow",
            "precision": "fp32",
            "manifest_sha256": found,
            "sparkclin": sparkclin.__version__,
        }
    }
    report = json.loads((tmp_path / "out" / "_report.json").read_text(encoding="utf-8"))
    assert report["model"]["manifest_sha256"] == found
    assert report["settings"]["trust"] == f"{'0' * 64}, {file}"
    capsys.readouterr()
    assert cli.main(["models", "--models", str(in_spark_nlp.path.parent), "describe", NAME]) == 0
    assert found in capsys.readouterr().out


@pytest.mark.parametrize("by", ["option", "variable"])
def test_another_model_than_the_trusted_does_not_run(
    bundle: Bundle, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--trust", "0" * 64] if by == "option" else []
    if by == "variable":
        monkeypatch.setenv(TRUST_VARIABLE, "0" * 64)
    line = refused(bundle, tmp_path, capsys, *more)
    assert f"is not among the models that {'--trust' if by == 'option' else '$SPARKCLIN_TRUST'} names" in line
    assert line.endswith(f"pin it: --trust {bundle.manifest_sha256}")


@pytest.mark.parametrize("loader", ["sparkclin", "stock", "tokenizer"])
def test_the_variable_holds_for_pretrained_too(
    spark: SparkSession, in_spark_nlp: Bundle, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparkclin.use_models(spark, in_spark_nlp.path.parent)
    monkeypatch.setenv(TRUST_VARIABLE, "0" * 64)
    with pytest.raises(ModelError, match=r"\$SPARKCLIN_TRUST"):
        LOADERS[loader](spark)
    monkeypatch.setenv(TRUST_VARIABLE, in_spark_nlp.manifest_sha256)
    assert LOADERS[loader](spark) is not None


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_a_blank_variable_does_not_trust_everybody(
    bundle: Bundle, blank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TRUST_VARIABLE, blank)
    assert "$SPARKCLIN_TRUST is set and names no model to trust" in refused(bundle, tmp_path, capsys)


def test_a_model_behind_a_link_and_two_dots_is_the_one_that_is_compared(in_spark_nlp: Bundle, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere" / "sub").mkdir(parents=True)
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere" / "sub")
    shutil.copytree(in_spark_nlp.path.parent, tmp_path / "elsewhere" / "models")
    found = ModelRepository(f"{tmp_path}/here/link/../models").find(NAME)
    assert found.url == f"file://{tmp_path}/elsewhere/models/{Path(found.location).name}"


@pytest.mark.parametrize("name", [".evil.crc", "fields/.evil.crc", ".cls.tokenizer.json.crc"])
def test_what_only_has_the_name_of_checksums_is_not_in_the_manifest(in_spark_nlp: Bundle, name: str) -> None:
    (in_spark_nlp.path / name).write_bytes(b"x")
    assert in_spark_nlp.problems() == [f"{name}: not in the manifest"]


def test_checksums_are_as_small_as_checksums(in_spark_nlp: Bundle) -> None:
    file = in_spark_nlp.path / ".tokenizer.json.crc"
    size = 8 + 4 * -(-(in_spark_nlp.path / TOKENIZER_FILE).stat().st_size // 512)
    file.write_bytes(bytes(size))
    assert in_spark_nlp.problems() == []
    file.write_bytes(bytes(size + 1))
    assert in_spark_nlp.problems() == [".tokenizer.json.crc: not in the manifest"]


def test_a_file_of_digests_that_cannot_be_reached_says_why(spark: SparkSession) -> None:
    with pytest.raises(OptionError, match=r"'s3a://b/trusted' is neither .* \(s3a://b/trusted: .*S3AFileSystem"):
        trusted_digests("s3a://b/trusted", by="--trust")
    assert spark


def sha256sum(bundle: Bundle) -> str:
    """What the program prints of a bundle's manifest."""
    words = ["sha256sum", str(bundle.path / MANIFEST_FILE)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_a_file_of_digests_may_begin_with_a_byte_order_mark(in_spark_nlp: Bundle, tmp_path: Path) -> None:
    """As Notepad and PowerShell begin theirs."""
    file = tmp_path / "trusted.txt"
    file.write_text(sha256sum(in_spark_nlp), encoding="utf-8-sig")
    choice = ModelChoice(repository=str(in_spark_nlp.path.parent), trust=(str(file),))
    assert choice.find() == in_spark_nlp


def test_a_digest_is_given_in_any_case_and_a_comment_does_not_count(in_spark_nlp: Bundle, tmp_path: Path) -> None:
    choice = ModelChoice(repository=str(in_spark_nlp.path.parent), trust=(in_spark_nlp.manifest_sha256.upper(),))
    assert choice.find() == in_spark_nlp
    file = tmp_path / "trusted.txt"
    file.write_text(f"{'0' * 64}\n# {sha256sum(in_spark_nlp)}", encoding="utf-8")
    with pytest.raises(ModelError, match=rf"the SHA-256 of its manifest is {in_spark_nlp.manifest_sha256}"):
        replace(choice, trust=(str(file),)).find()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("# none\n", "names no model to trust"),
        ("606b0837b797\n", "line 1: expected a SHA-256 of 64 hex digits"),
        (f"{'0' * 64}\n{'g' * 64}\n", "line 2: expected"),
        (None, "is neither a SHA-256 of 64 hex digits nor a file of them"),
    ],
)
def test_a_file_that_names_no_digests_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    """Not taken for one that trusts nobody, or everybody."""
    file = tmp_path / "trusted.txt"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(OptionError, match=said):
        trusted_digests(str(file), by="--trust")


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
def test_a_signed_repository_is_verified_by_minisign(in_spark_nlp: Bundle, tmp_path: Path) -> None:
    """As the document on trust says: the signed file has the hash of every manifest, and these those of all files."""
    root, public, secret = in_spark_nlp.path.parent, tmp_path / "clinic.pub", tmp_path / "clinic.key"

    def minisign(*words: str | Path) -> int:
        return subprocess.run(["minisign", *map(str, words)], stdin=subprocess.DEVNULL, check=False).returncode

    assert minisign("-G", "-W", "-p", public, "-s", secret) == 0
    assert minisign("-S", "-s", secret, "-m", root / METADATA_FILE) == 0
    assert minisign("-V", "-p", public, "-m", root / METADATA_FILE) == 0
    assert cli.main(["models", "--models", str(root), "check"]) == 0  # the signature lies beside, and is no model

    change_the_manifest(in_spark_nlp.path, "")
    with_record(in_spark_nlp, manifestSha256=storage.sha256_of(in_spark_nlp.path / MANIFEST_FILE))
    assert ModelRepository(root).find(NAME).manifest.cls_id == 3  # somebody who may write all of it
    assert minisign("-V", "-p", public, "-m", root / METADATA_FILE) != 0
