"""A hub id as a user types it: what is fetched from a hub, of which commit, and what an export makes of it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from sparkclin.export.__main__ import main
from sparkclin.export.checkpoint import HubName, revision_problems
from sparkclin.export.trained import TrainedModel
from sparkclin.models.repository import ModelRepository
from sparkclin.spark.storage import sha256_of
from testkit.checkpoints import TEXTS, bigbird_of_2021, longformer_of_2021, random_checkpoint
from testkit.hub import HubServer, hub_server

pytestmark = [pytest.mark.slow, pytest.mark.export]
ROOT = Path(__file__).parents[2]
LONGFORMER, BIGBIRD, TODAYS = "yikuan8/Clinical-Longformer", "yikuan8/Clinical-BigBird", "someone/longformer-of-today"
TYPED = [*TEXTS, "He's well.\n\nBP 120/80 🩺 [SEP] is text\tand  so is <unk>"]
EXTRA_FILES = (
    ".gitattributes",
    "README.md",
    "tf_model.h5",
    "rust_model.ot",
    "training_args.bin",
    "trainer_state.json",
    "training_log.txt",
    "checkpoint-500/config.json",
    "checkpoint-500/pytorch_model.bin",
    "onnx/spiece.model",
)
"""What repositories also have, and an export does not read."""

READ = """
import json, sys
from sparkclin.export.trained import TrainedModel
from sparkclin.errors import SparkclinError

answers = []
for source in sys.argv[1:]:
    try:
        read = TrainedModel.read(source)
        answers.append({
            "source": read.source.source,
            "sha256": read.source.sha256,
            "tokenizer_json": read.tokenizer_json,
            "tensors": sorted(read.tensors),
        })
    except SparkclinError as error:
        answers.append({"error": f"{type(error).__name__}: {error}"})
print(json.dumps(answers))
"""
"""Prints what each of its arguments is, read by the name that a user types."""


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with hub_server() as hub:
        yield hub


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, hub: HubServer) -> Mapping[str, Path]:
    """The published folders by hub id."""
    root = tmp_path_factory.mktemp("repositories")
    folders = {
        LONGFORMER: longformer_of_2021(root / "longformer"),
        BIGBIRD: bigbird_of_2021(root / "bigbird"),
        TODAYS: with_shards(random_checkpoint(root / "today")),
    }
    for hub_id, folder in folders.items():
        for file in EXTRA_FILES:
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text("not read", encoding="utf-8")
        hub.publish(hub_id, folder)
    return folders


def with_shards(folder: Path) -> Path:
    """The folder, with its weights in two shards, and in a PyTorch file besides."""
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    weight_map = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(state)}
    for shard in set(weight_map.values()):
        save_file({name: state[name] for name in state if weight_map[name] == shard}, folder / shard)
    index = json.dumps({"weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    return folder


def run_client(
    hub: HubServer, home: Path, *arguments: str, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Python with these arguments, in a folder without a checkpoint."""
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=home,
        env={**hub.environment(home), "PYTHONPATH": str(ROOT), **(more or {})},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def read(hub: HubServer, home: Path, *names: str, more: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """What READ prints."""
    client = run_client(hub, home, "-c", READ, *names, more=more)
    assert client.returncode == 0, client.stderr
    answers: list[dict[str, Any]] = json.loads(client.stdout.splitlines()[-1])
    return answers


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A hub id that was read: its answer, the files that were fetched, and the commit that there is."""

    answer: dict[str, Any]
    files: list[str]
    commit: str


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's HF_HOME, after `reads`."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def reads(hub: HubServer, folders: Mapping[str, Path], home: Path) -> Mapping[str, Fetched]:
    """All of `folders`, read from an empty cache, by hub id."""
    answers = read(hub, home, *folders)
    return {
        hub_id: Fetched(
            answer=answer,
            files=sorted(request.file for request in hub.requests if request.hub_id == hub_id),
            commit=hub.commit_of(hub_id),
        )
        for hub_id, answer in zip(folders, answers, strict=True)
    }


@pytest.mark.parametrize(
    ("hub_id", "files"),
    [
        (LONGFORMER, ["merges.txt", "pytorch_model.bin", "vocab.json"]),
        (BIGBIRD, ["pytorch_model.bin", "spiece.model"]),
    ],
)
def test_files_of_2021_are_read(
    reads: Mapping[str, Fetched], folders: Mapping[str, Path], hub_id: str, files: list[str]
) -> None:
    fetched = reads[hub_id]
    assert fetched.files == sorted(["config.json", "special_tokens_map.json", "tokenizer_config.json", *files])
    assert fetched.answer["source"] == f"{hub_id}@{fetched.commit}"
    weights = folders[hub_id] / "pytorch_model.bin"
    assert fetched.answer["sha256"]["pytorch_model.bin"] == sha256_of(weights)
    assert fetched.answer["tensors"] == sorted(TrainedModel.read(str(folders[hub_id])).tensors)


def test_the_tokenizer_from_vocab_and_merges_gives_the_ids_of_todays(
    reads: Mapping[str, Fetched], folders: Mapping[str, Path]
) -> None:
    read = Tokenizer.from_str(reads[LONGFORMER].answer["tokenizer_json"])
    todays = Tokenizer.from_file(str(folders[TODAYS] / "tokenizer.json"))
    assert [read.encode(text).ids for text in TYPED] == [todays.encode(text).ids for text in TYPED]


def test_the_tokenizer_from_a_sentencepiece_model_gives_its_ids(
    reads: Mapping[str, Fetched], folders: Mapping[str, Path]
) -> None:
    from sentencepiece import SentencePieceProcessor

    read = Tokenizer.from_str(reads[BIGBIRD].answer["tokenizer_json"])
    processor = SentencePieceProcessor(model_file=str(folders[BIGBIRD] / "spiece.model"))
    cls, sep = processor.piece_to_id("[CLS]"), processor.piece_to_id("[SEP]")
    assert [read.encode(text).ids for text in TEXTS] == [[cls, *processor.encode(text), sep] for text in TEXTS]


def test_of_two_formats_the_one_that_is_read_is_fetched(reads: Mapping[str, Fetched]) -> None:
    fetched = reads[TODAYS]
    assert fetched.files == [
        "config.json",
        "model.safetensors.index.json",
        "part-0.safetensors",
        "part-1.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert set(fetched.answer["sha256"]) == {"config.json", "part-0.safetensors", "part-1.safetensors"}


def test_what_was_fetched_is_read_without_the_hub(hub: HubServer, reads: Mapping[str, Fetched], home: Path) -> None:
    before = len(hub.requests)
    assert read(hub, home, *reads, more={"HF_HUB_OFFLINE": "1"}) == [fetched.answer for fetched in reads.values()]
    for trees in home.glob("hub/models--*/trees"):
        trees.rename(trees.with_name("trees of a newer client"))
    assert read(hub, home, *reads, more={"HF_HUB_OFFLINE": "1"}) == [fetched.answer for fetched in reads.values()]
    assert len(hub.requests) == before


@pytest.mark.usefixtures("folders")
def test_what_the_hub_does_not_hand_out(hub: HubServer, tmp_path: Path) -> None:
    unknown = f"{LONGFORMER}@v9", f"{LONGFORMER}@{'0' * 40}", "nobody/nothing", "nobody/nothing@v9"
    revision, commit, name, name_at = (answer["error"] for answer in read(hub, tmp_path, *unknown))
    assert revision.startswith(f"CheckpointError: '{LONGFORMER}' has no revision 'v9' on the hub: expected a branch")
    assert f"has no revision '{'0' * 40}' on the hub" in commit
    refused = "CheckpointError: 'nobody/nothing' is neither a folder here nor a model that the hub handed out"
    assert name.startswith(f"{refused} (RepositoryNotFoundError). Check the name.")
    assert name_at.startswith(f"{refused} at revision 'v9' (RepositoryNotFoundError).")


def test_a_hub_out_of_reach(tmp_path: Path) -> None:
    with hub_server() as hub:
        pass
    (answer,) = read(hub, tmp_path, f"{LONGFORMER}@v1")
    assert "the hub handed out at revision 'v1' (LocalEntryNotFoundError)" in answer["error"]
    assert "copy the checkpoint's folder to this machine" in answer["error"]


def test_after_a_download_that_failed_whole_files_are_not_fetched_again(
    folders: Mapping[str, Path], tmp_path: Path
) -> None:
    with hub_server() as hub:
        commit = hub.publish(LONGFORMER, folders[LONGFORMER])
        hub.refused = {"pytorch_model.bin"}
        (failed,) = read(hub, tmp_path, LONGFORMER)
        assert "(HfHubHTTPError). Check the name. If the download broke, run this again" in failed["error"]
        assert {"config.json", "vocab.json"} < set(hub.fetched())
        hub.requests.clear()
        hub.refused = set()
        (answer,) = read(hub, tmp_path, LONGFORMER)
        assert answer["source"] == f"{LONGFORMER}@{commit}"
        assert hub.fetched() == ["pytorch_model.bin"]


def test_a_broken_download_continues_and_a_terminal_shows_it(tmp_path: Path) -> None:
    """The client writes what came in chunks of 10 MB, and continues behind the last of them."""
    hub_id, folder = "someone/large", tmp_path / "large"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    torch.save({"weight": torch.arange(6_000_000, dtype=torch.float32)}, folder / "pytorch_model.bin")
    script = "import sys; from sparkclin.export import checkpoint; print(checkpoint.read(sys.argv[1]).sha256)"
    with hub_server() as hub:
        hub.publish(hub_id, folder)
        hub.break_once("pytorch_model.bin")
        environment = {**hub.environment(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        printed = on_a_terminal([sys.executable, "-c", script, hub_id], environment)
        ranges = [request.range for request in hub.requests if request.file == "pytorch_model.bin"]
    assert ranges == [None, f"bytes={10 * 2**20}-"]
    assert sha256_of(folder / "pytorch_model.bin") in printed
    assert "Trying to resume download" in printed
    assert "Fetching 1 files: 100%" in printed
    assert "24.0M" in printed


def on_a_terminal(command: list[str], environment: Mapping[str, str]) -> str:
    """What the command prints where it finds a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (40, 200))  # wide enough for a bar
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        printed = b""
        try:
            while chunk := os.read(ours, 65536):
                printed += chunk
        except OSError:  # how Linux says that the other side has closed
            pass
    os.close(ours)
    assert process.returncode == 0, printed.decode()
    return printed.decode()


@pytest.mark.release
def test_a_revision_is_exported_and_verified_whatever_the_branch_is_at(tmp_path: Path) -> None:
    """Two versions of a repository: the tag v1, and a branch that has moved on."""
    models, name = tmp_path / "models", "clinical_longformer"
    with hub_server() as hub:
        tagged = longformer_of_2021(tmp_path / "v1", initializer_range=0.1)
        commit = hub.publish(LONGFORMER, tagged, revision="v1")
        hub.publish(LONGFORMER, longformer_of_2021(tmp_path / "v2", initializer_range=0.05))
        options = ("--name", name, "--models", str(models), "--engine", "onnx")
        exported = run_client(hub, tmp_path / "home", "-m", "export", LONGFORMER, "--revision", "v1", *options)
        assert exported.returncode == 0, exported.stderr
        manifest = ModelRepository(models).find(name).manifest
        assert manifest.source == f"{LONGFORMER}@{commit}"
        assert manifest.source_sha256["pytorch_model.bin"] == sha256_of(tagged / "pytorch_model.bin")

        hub.requests.clear()
        verify = ("-m", "export", "verify", name, "--models", str(models))
        verified = run_client(hub, tmp_path / "another home", *verify)
        assert verified.returncode == 0, verified.stderr
        assert {request.commit for request in hub.requests} == {commit}
        assert "pytorch_model.bin" in hub.fetched()

        moved = run_client(hub, tmp_path / "home", *verify, "--revision", "main")
        assert moved.returncode == 1
        assert f"{LONGFORMER}@{hub.commit_of(LONGFORMER)} is not the checkpoint that" in moved.stderr


def test_of_a_hub_id_that_gives_a_tokenizer_only_its_files_are_fetched(
    folders: Mapping[str, Path], tmp_path: Path
) -> None:
    """An export of a Trainer's folder, and its verification by the manifest's commit of the tokenizer."""
    trained, models = random_checkpoint(tmp_path / "trained"), tmp_path / "my models"
    (trained / "tokenizer.json").unlink()
    (trained / "tokenizer_config.json").unlink()
    with hub_server() as hub:
        commit = hub.publish(LONGFORMER, folders[LONGFORMER])
        options = ("--name", "a_model", "--models", str(models), "--engine", "openvino")
        exported = run_client(hub, tmp_path / "home", "-m", "export", str(trained), "--tokenizer", LONGFORMER, *options)
        assert exported.returncode == 0, exported.stderr
        assert "merges.txt" in hub.fetched()
        assert "pytorch_model.bin" not in hub.fetched()
        manifest = ModelRepository(models).find("a_model").manifest
        assert (manifest.source, manifest.tokenizer_source) == ("trained", f"{LONGFORMER}@{commit}")
        verify = ("-m", "export", "verify", "a_model", "--models", str(models), "--checkpoint", str(trained))
        verified = run_client(hub, tmp_path / "another home", *verify)
        assert verified.returncode == 0, verified.stderr


def test_a_folder_has_no_revisions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--name", "a_model", "--models", str(tmp_path / "models"), "--revision", "v1"]
    assert main([str(tmp_path), *options]) == 1
    error = capsys.readouterr().err
    assert f"--revision 'v1': {tmp_path} is a folder here, and only a hub id has revisions" in error
    assert not (tmp_path / "models").exists()


def test_a_revision_is_given_once() -> None:
    assert revision_problems("some/model@v1", None) == revision_problems("some/model", "v1") == []
    assert "names a revision already" in revision_problems("some/model@v1", "v2")[0]
    assert "--revision is empty" in revision_problems("some/model", "")[0]


@pytest.mark.parametrize("name", ["gpt2", "some/model", "some/model@v1", "some/model@a@b"])
def test_a_hub_name_is_written_as_it_is_read(name: str) -> None:
    parsed = HubName.parse(name)
    assert str(parsed) == name
    assert parsed.hub_id in {"gpt2", "some/model"}
