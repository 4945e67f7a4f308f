from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from sparkclin.errors import ModelError
from sparkclin.models.bundle import MANIFEST_FILE, TOKENIZER_FILE, Bundle, Manifest
from sparkclin.models.trust import TRUST_VARIABLE
from sparkclin.text.pieces import PieceEncoder
from sparkclin.wire.outputs import Output, Outputs
from testkit.bundles import CREATED_MS, manifest_of, stage
from testkit.tokenizers import train_tokenizer

TOKENIZER = train_tokenizer(["fever and cough"])


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return with_tokenizer(TOKENIZER, tmp_path)


def with_tokenizer(tokenizer_json: str, root: Path) -> Bundle:
    """A bundle with a row for every piece of TOKENIZER."""
    folder = stage(root, content=tokenizer_json)
    manifest = manifest_of(folder, name="tiny", vocab_size=PieceEncoder(TOKENIZER).n_ids)
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    return Bundle.read(folder)


def test_a_manifest_comes_back_as_it_was_written(bundle: Bundle) -> None:
    assert Manifest.from_json(bundle.manifest.to_json(), where="here") == bundle.manifest


def test_a_bundle_says_in_three_lines_what_it_is(bundle: Bundle) -> None:
    at = replace(bundle, location="s3a://me:secret@store/models/tiny_en")
    assert repr(at).splitlines() == [
        "Bundle tiny (en): embed, tensorflow fp32",
        "  2 numbers per vector, windows of up to 4,094 pieces; exported 2022-03-04 from tests",
        f"  s3a://***@store/models/tiny_en, sha256 {bundle.manifest_sha256[:16]}",
    ]


def test_created_is_the_number_in_the_folder_name(bundle: Bundle) -> None:
    assert bundle.manifest.created_ms == CREATED_MS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_revision": 1}, "here has format_revision 1; this sparkclin reads 2 to 5"),
        ({"format_revision": 6}, "here has format_revision 6; this sparkclin reads 2 to 5"),
        ({"format_revision": None}, "here has format_revision None; .* export the model again"),
        ({"format_revision": "3"}, "format_revision '3'"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(bundle: Bundle, change: dict[str, object], said: str) -> None:
    raw = json.loads(bundle.manifest.to_json()) | change
    with pytest.raises(ModelError, match=said):
        Manifest.from_json(json.dumps(raw), where="here")


def test_a_manifest_of_revision_2_is_read_with_what_it_took_for_granted(bundle: Bundle) -> None:
    """Such a model gives mean and max of each segment part, always both, and knows segment tags only."""
    since_3 = ("task", "labels", "outputs", "selects_outputs")
    since = (*since_3, "problem_type", "global_attention", "separators", "row_limits", "group_size")
    raw = json.loads(bundle.manifest.to_json())
    old = {name: value for name, value in raw.items() if name not in since} | {"format_revision": 2}
    read = Manifest.from_json(json.dumps(old), where="here")
    assert read == replace(bundle.manifest, selects_outputs=False)
    assert (read.task, read.labels, read.selects_outputs) == ("embed", (), False)
    assert read.segment_outputs == Outputs(all=(Output("mean", 2), Output("max", 2)), selectable=False)
    assert read.format_revision == 5


def test_a_manifest_of_revision_3_is_read_without_its_fields(bundle: Bundle) -> None:
    since = ("problem_type", "global_attention", "separators", "row_limits", "group_size")
    raw = json.loads(bundle.manifest.to_json()) | {"format_revision": 3, "n_fields": 3}
    old = {name: value for name, value in raw.items() if name not in since}
    assert Manifest.from_json(json.dumps(old), where="here") == bundle.manifest


def test_parity_figures_of_revision_2_have_the_words_of_today(bundle: Bundle) -> None:
    figure = {"route": "graph, pack", "length": 512}
    parity = {"id_rows": 18, "vectors": [figure], "packs": {"vectors": [figure]}, "routes": {"vectors": []}}
    old = json.loads(bundle.manifest.to_json()) | {"format_revision": 2, "parity": parity}
    of_today = {"path": "graph, packed batch", "length": 512}
    assert Manifest.from_json(json.dumps(old), where="here").parity == {
        "id_rows": 18,
        "vectors": [of_today],
        "packed": {"vectors": [of_today]},
        "paths": {"vectors": []},
    }


@pytest.mark.parametrize("field", ["outputs", "selects_outputs", "width"])
def test_a_manifest_of_this_revision_says_all_itself(bundle: Bundle, field: str) -> None:
    raw = json.loads(bundle.manifest.to_json())
    del raw[field]
    with pytest.raises(ModelError, match=f"lacks or adds the fields {field}"):
        Manifest.from_json(json.dumps(raw), where="here")


def test_a_manifest_of_revision_2_without_a_width_is_refused(bundle: Bundle) -> None:
    raw = json.loads(bundle.manifest.to_json()) | {"format_revision": 2}
    del raw["width"]
    with pytest.raises(ModelError, match="lacks or adds the fields width"):
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


def test_trust_is_asked_for_each_time_and_not_only_when_files_are_hashed(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle.check()
    monkeypatch.setenv(TRUST_VARIABLE, "0" * 64)
    for _ in range(2):
        with pytest.raises(ModelError, match="is not among the models that"):
            bundle.check()
    monkeypatch.setenv(TRUST_VARIABLE, bundle.manifest_sha256)
    bundle.check()


def test_files_that_have_changed_are_hashed_again(bundle: Bundle) -> None:
    bundle.check()
    (bundle.path / "metadata" / "part-00000").write_text("another", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ModelError, match="is not what was exported: metadata/part-00000: changed"):
            bundle.check()


def test_every_missing_added_and_changed_file_is_named(bundle: Bundle) -> None:
    (bundle.path / TOKENIZER_FILE).write_text("[]", encoding="utf-8")
    (bundle.path / "metadata" / "part-00000").unlink()
    (bundle.path / "extra").touch()
    assert bundle.problems() == [
        "metadata/part-00000: missing",
        "extra: not in the manifest",
        f"{TOKENIZER_FILE}: changed",
    ]


def test_a_tokenizer_with_more_ids_than_the_model_is_refused(tmp_path: Path) -> None:
    """As an export by an earlier version let it pass."""
    tokenizer = Tokenizer.from_str(TOKENIZER)
    tokenizer.add_tokens([f"dose_{index}" for index in range(7)])
    bundle, n_ids = with_tokenizer(tokenizer.to_str(), tmp_path), PieceEncoder(TOKENIZER).n_ids
    said = rf"The model has {n_ids} ids; tokens without one \(7\): 'dose_0' \(id {n_ids}\), .*, …\."
    with pytest.raises(ModelError, match=said):
        bundle.tokenizer_json()


def test_hadoops_own_checksums_are_no_files_of_the_bundle(bundle: Bundle) -> None:
    (bundle.path / ".tokenizer.json.crc").touch()
    assert bundle.problems() == []


def test_a_remote_bundle_has_no_path_and_is_read_by_the_given_function(bundle: Bundle) -> None:
    texts = {f"s3a://b/{MANIFEST_FILE}": bundle.manifest.to_json(), f"s3a://b/{TOKENIZER_FILE}": TOKENIZER}
    remote = Bundle.read("s3a://b", read_text=texts.__getitem__)
    assert remote.tokenizer_json() == TOKENIZER
    with pytest.raises(ModelError, match="local disk"):
        _ = remote.path
