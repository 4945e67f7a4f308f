from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkclin.errors import ModelError
from sparkclin.models.bundle import MANIFEST_FILE, TOKENIZER_FILE, Bundle, hash_files
from sparkclin.models.repository import METADATA_FILE, ModelRepository, Record, Wanted, spark_nlp_problems, to_iso
from testkit.bundles import CREATED, CREATED_MS, manifest_of, stage
from testkit.tokenizers import train_tokenizer


def register(
    root: Path,
    *,
    name: str = "tiny",
    language: str = "en",
    created: str = CREATED,
    content: str = "{}",
    engine: str = "tensorflow",
    precision: str = "fp32",
) -> Bundle:
    staged = stage(root, name=name, content=content)
    manifest = manifest_of(staged, name=name, language=language, created=created, engine=engine, precision=precision)
    return ModelRepository(root).register(staged, manifest)


def test_the_record_is_as_spark_nlp_writes_it(tmp_path: Path) -> None:
    bundle = register(tmp_path, name="clinical_longformer")
    assert json.loads((tmp_path / METADATA_FILE).read_text()) == {
        "name": "clinical_longformer",
        "language": "en",
        "libVersion": {"parts": [5, 5, 0]},
        "sparkVersion": {"parts": [3, 0]},
        "readyToUse": True,
        "time": "2022-03-04T12:58:32.345Z",
        "isZipped": True,
        "category": "ml",
        "checksum": "",
        "annotator": "LongformerEmbeddings",
        "engine": "tensorflow",
        "precision": "fp32",
        "manifestSha256": bundle.manifest_sha256,
    }
    assert (tmp_path / f"clinical_longformer_en_5.5.0_3.0_{CREATED_MS}").is_dir()


def test_a_record_comes_back_as_it_was_written() -> None:
    record = Record(
        name="a_b",
        language="en",
        lib_version=(3, 4, 0),
        spark_version=(3, 0),
        time_ms=CREATED_MS,
        annotator="LongformerEmbeddings",
        engine="tensorflow",
        precision="fp32",
        manifest_sha256="0" * 64,
    )
    assert Record.from_json(record.to_json()) == record
    assert record.folder == "a_b_en_3.4.0_3.0_1646398712345"


def test_register_moves_the_bundle_whole(tmp_path: Path) -> None:
    tokenizer_json = train_tokenizer(["fever and cough"])
    bundle = register(tmp_path, content=tokenizer_json)
    assert bundle.problems() == []
    assert bundle.tokenizer_json() == tokenizer_json
    assert bundle == ModelRepository(tmp_path).find("tiny")
    assert {path.name for path in tmp_path.iterdir()} == {".lock", METADATA_FILE, bundle.path.name}


def test_the_newest_version_wins_and_the_old_one_stays_as_it_was(tmp_path: Path) -> None:
    old = register(tmp_path, content="old")
    before = hash_files(old.path), (old.path / MANIFEST_FILE).read_bytes()
    new = register(tmp_path, content="new", created="2023-01-01T00:00:00.000Z")
    assert (hash_files(old.path), (old.path / MANIFEST_FILE).read_bytes()) == before
    repository = ModelRepository(tmp_path)
    assert repository.find("tiny") == new
    assert repository.bundles() == [new, old]
    assert repository.newest() == [new]


@pytest.mark.parametrize("created", [CREATED, "2021-01-01T00:00:00.000Z"], ids=["same-millisecond", "clock-set-back"])
def test_a_later_export_is_later_whatever_the_clock_says(tmp_path: Path, created: str) -> None:
    register(tmp_path, content="old")
    new = register(tmp_path, content="new", created=created)
    assert new.manifest.created_ms == CREATED_MS + 1
    assert new.path.name.endswith(str(CREATED_MS + 1))
    assert ModelRepository(tmp_path).find("tiny") == new


def test_exports_at_the_same_time_all_get_in(tmp_path: Path) -> None:
    staged = [stage(tmp_path, name=f"tiny{i}") for i in range(8)]
    manifests = [manifest_of(folder, name="tiny") for folder in staged]
    repository = ModelRepository(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(repository.register, staged, manifests))
    assert [record.time_ms - CREATED_MS for record in repository.records()] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert all(not bundle.problems() for bundle in repository.bundles())


def test_an_altered_bundle_is_not_registered(tmp_path: Path) -> None:
    staged = stage(tmp_path)
    manifest = manifest_of(staged, name="tiny")
    (staged / TOKENIZER_FILE).write_text("other", encoding="utf-8")
    with pytest.raises(ModelError, match=f"{TOKENIZER_FILE}: changed"):
        ModelRepository(tmp_path).register(staged, manifest)
    assert not (tmp_path / METADATA_FILE).exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"language": "pt BR"}, "language is 'pt BR'"),
        ({"language": ""}, "language is ''"),
        ({"name": "../tiny"}, "name is '../tiny'"),
        ({"name": "a" * 300}, "name is 'aaa"),
        ({"engine": "onnx/2"}, "engine is 'onnx/2'"),
        ({"width": "7"}, "values of another type in width"),
    ],
)
def test_what_could_not_be_read_back_is_not_registered(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    good = register(tmp_path, name="good")
    before = (tmp_path / METADATA_FILE).read_bytes()
    staged = stage(tmp_path)
    with pytest.raises(ModelError, match=re.escape(said)):
        ModelRepository(tmp_path).register(staged, replace(manifest_of(staged, name="tiny"), **wrong))
    assert (tmp_path / METADATA_FILE).read_bytes() == before
    assert ModelRepository(tmp_path).bundles() == [good]


def test_a_bundle_staged_elsewhere_is_not_registered(tmp_path: Path) -> None:
    staged = stage(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="right below"):
        ModelRepository(tmp_path).register(staged, manifest_of(staged, name="tiny"))


def test_an_unknown_name_is_answered_with_what_is_there(tmp_path: Path) -> None:
    register(tmp_path, name="tiny")
    register(tmp_path, name="klein", language="de")
    with pytest.raises(ModelError, match=r"no model 'huge' in .* has: klein \(de, tensorflow fp32\), tiny \(en, "):
        ModelRepository(tmp_path).find("huge")
    with pytest.raises(ModelError, match=r"no model 'klein' \(en\)"):
        ModelRepository(tmp_path).find("klein", "en")


def test_a_name_is_found_in_any_language(tmp_path: Path) -> None:
    register(tmp_path, name="klein", language="pt-BR")
    assert ModelRepository(tmp_path).find("klein").manifest.language == "pt-BR"
    assert ModelRepository(tmp_path).find("klein", "pt-BR").manifest.language == "pt-BR"


@pytest.mark.parametrize("engine", [None, "onnx"])
def test_a_name_in_two_languages_needs_a_language(tmp_path: Path, engine: str | None) -> None:
    """The engine does not choose the language, even if only one of the languages has it."""
    register(tmp_path, language="en", engine="onnx")
    register(tmp_path, language="de")
    repository = ModelRepository(tmp_path)
    with pytest.raises(ModelError, match=r"has 'tiny' in 2 languages \(de, en\): choose one with --language"):
        repository.find("tiny", engine=engine)
    assert [repository.find("tiny", language).manifest.language for language in ("de", "en")] == ["de", "en"]


def test_a_name_is_found_among_versions_of_other_makers(tmp_path: Path) -> None:
    """Spark NLP takes the highest Spark version first, then its own, then the time."""
    register(tmp_path)
    theirs = json.loads((tmp_path / METADATA_FILE).read_text())
    theirs |= {"libVersion": {"parts": [2, 5, 0]}, "time": "2030-01-01T00:00:00.000Z"}
    with (tmp_path / METADATA_FILE).open("a") as file:
        file.write("\n" + json.dumps(theirs) + "\n\n")
    assert ModelRepository(tmp_path).resolve(Wanted(name="tiny")).time_ms == CREATED_MS


def test_versions_by_engine_and_precision(tmp_path: Path) -> None:
    """Exact before small, fast before slow, and then the newest."""
    for engine, precision in [("onnx", "int8"), ("onnx", "fp32"), ("tensorflow", "fp32"), ("onnx", "fp32")]:
        register(tmp_path, engine=engine, precision=precision)
    repository = ModelRepository(tmp_path)

    def found(**wanted: str) -> tuple[str, str, int]:
        manifest = repository.find("tiny", **wanted).manifest
        return manifest.engine, manifest.precision, manifest.created_ms - CREATED_MS

    assert found() == ("onnx", "fp32", 3)
    assert found(engine="tensorflow") == ("tensorflow", "fp32", 2)
    assert found(precision="int8") == ("onnx", "int8", 0)
    with pytest.raises(ModelError, match=r"no model 'tiny' \(tensorflow, int8\)"):
        found(engine="tensorflow", precision="int8")
    assert len(repository.newest()) == 3


def test_exact_goes_before_fast_where_no_version_is_both(tmp_path: Path) -> None:
    register(tmp_path, engine="tensorflow", precision="fp32")
    register(tmp_path, engine="onnx", precision="int8")
    manifest = ModelRepository(tmp_path).find("tiny").manifest
    assert (manifest.engine, manifest.precision) == ("tensorflow", "fp32")


def test_bundles_of_a_name_and_language(tmp_path: Path) -> None:
    tiny = register(tmp_path)
    german = register(tmp_path, language="de")
    other = register(tmp_path, name="other")
    repository = ModelRepository(tmp_path)
    assert repository.bundles() == [other, german, tiny]
    assert repository.bundles("tiny") == [german, tiny]
    assert repository.bundles("tiny", "en") == [tiny]


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model repository"):
        ModelRepository(tmp_path / "missing").records()


def test_lines_that_are_no_records_are_named_together(tmp_path: Path) -> None:
    register(tmp_path)
    with (tmp_path / METADATA_FILE).open("a") as file:
        file.write('{"name": "half"}\n')
        file.write("nonsense\n")
    with pytest.raises(ModelError, match=r"in line 2 \(it has no language\), 3 \(it is not JSON\)"):
        ModelRepository(tmp_path).records()


ODD_FOLDERS = ["my models", "models[1]", "100%", "a*"]


@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_a_model_of_spark_nlp_is_not_registered_where_spark_nlp_cannot_load_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"Spark NLP cannot load from .*, or --engine openvino, which runs without"):
        register(tmp_path / name)
    assert not (tmp_path / name / METADATA_FILE).exists()


@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_a_model_of_the_workers_may_be_anywhere(tmp_path: Path, name: str) -> None:
    bundle = register(tmp_path / name, engine="openvino")
    assert ModelRepository(tmp_path / name).find("tiny") == bundle
    assert ModelRepository(f"file://{tmp_path / name}").find("tiny") == bundle
    bundle.check()


@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_on_another_file_system_no_model_may_be_there(name: str) -> None:
    """Spark's addFile(), by which workers get a model, escapes a URL that Hadoop does not decode."""
    with pytest.raises(ModelError, match="Spark cannot copy models from 's3a://bucket/"):
        ModelRepository(f"s3a://bucket/{name}")


@pytest.mark.parametrize("how", ["a link", "the working directory"])
def test_the_path_is_the_one_that_spark_nlp_is_given(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "my disk" / "models"
    root.mkdir(parents=True)
    (tmp_path / "models").symlink_to(root)
    monkeypatch.chdir(root.parent if how == "the working directory" else tmp_path)
    assert "' ' in file://" in spark_nlp_problems("models")[0]
    with pytest.raises(ModelError, match="Spark NLP cannot load from"):
        register(Path("models").absolute())


def test_a_file_url_is_the_folder(tmp_path: Path) -> None:
    bundle = register(tmp_path)
    assert ModelRepository(f"file://{tmp_path}").find("tiny") == bundle


def test_registering_on_another_file_system_is_refused(tmp_path: Path) -> None:
    staged = stage(tmp_path)
    with pytest.raises(ModelError, match="local folder"):
        ModelRepository("s3a://bucket/models").register(staged, manifest_of(staged, name="tiny"))


def test_times_are_utc_with_milliseconds() -> None:
    assert to_iso(0) == "1970-01-01T00:00:00.000Z"
    assert to_iso(CREATED_MS) == CREATED
