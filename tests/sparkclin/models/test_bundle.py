from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkclin.errors import ModelError
from sparkclin.models.bundle import MANIFEST_FILE, TOKENIZER_FILE, Bundle, Manifest
from testkit.bundles import CREATED_MS, manifest_of, stage


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = stage(tmp_path)
    (folder / MANIFEST_FILE).write_text(manifest_of(folder, name="tiny").to_json(), encoding="utf-8")
    return Bundle.read(folder)


def test_a_manifest_comes_back_as_it_was_written(bundle: Bundle) -> None:
    assert Manifest.from_json(bundle.manifest.to_json(), where="here") == bundle.manifest


def test_created_is_the_number_in_the_folder_name(bundle: Bundle) -> None:
    assert bundle.manifest.created_ms == CREATED_MS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_revision": 99}, "99"),
        ({"format_revision": None}, "None"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(bundle: Bundle, change: dict[str, object], said: str) -> None:
    raw = json.loads(bundle.manifest.to_json()) | change
    with pytest.raises(ModelError, match=said):
        Manifest.from_json(json.dumps(raw), where="here")


@pytest.mark.parametrize("text", ["", "not json", "[1]"])
def test_what_is_no_manifest_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ModelError, match="here"):
        Manifest.from_json(text, where="here")


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a sparkclin bundle"):
        Bundle.read(tmp_path)


def test_a_bundle_as_exported_has_no_problems(bundle: Bundle) -> None:
    assert bundle.problems() == []


def test_every_missing_added_and_changed_file_is_named(bundle: Bundle) -> None:
    (bundle.path / TOKENIZER_FILE).write_text("[]", encoding="utf-8")
    (bundle.path / "metadata" / "part-00000").unlink()
    (bundle.path / "extra").touch()
    assert bundle.problems() == [
        "metadata/part-00000: missing",
        "extra: not in the manifest",
        f"{TOKENIZER_FILE}: changed",
    ]


def test_hadoops_own_checksums_are_no_files_of_the_bundle(bundle: Bundle) -> None:
    (bundle.path / ".tokenizer.json.crc").touch()
    assert bundle.problems() == []


def test_a_remote_bundle_has_no_path_and_is_read_by_the_given_function(bundle: Bundle) -> None:
    texts = {f"s3a://b/{MANIFEST_FILE}": bundle.manifest.to_json(), f"s3a://b/{TOKENIZER_FILE}": "pieces"}
    remote = Bundle.read("s3a://b", read_text=texts.__getitem__)
    assert remote.tokenizer_json() == "pieces"
    with pytest.raises(ModelError, match="local disk"):
        _ = remote.path
