"""What is wrong with a command is said before Java starts: where there is none, the same is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from testkit.bundles import manifest_of, stage
from testkit.demo import MODEL, NER_MODEL
from testkit.material import CHECKOUT
from tests.sparkclin.processes import run, run_python

WITHOUT_JAVA = {"JAVA_HOME": "/nowhere", "PATH": "/nowhere"}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs, outputs and models, most of them wrong."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "notes.jsonl").write_text('{"note_id": "a", "text": "No fever."}\n')
    (folder / "taken").mkdir()
    (folder / "empty").mkdir()
    (folder / "several").mkdir()
    for name in ("a.csv", "b.jsonl"):
        (folder / "several" / name).write_text("note_id,text\n")
    (folder / "hidden").mkdir()
    for name in ("a.jsonl", "_b.jsonl"):
        (folder / "hidden" / name).write_text('{"note_id": "a", "text": "No fever."}\n')
    for name in ("altered", "for_workers"):
        (folder / name).mkdir()
    altered = ModelRepository(shutil.copytree(DEMO_MODELS, folder / "altered", dirs_exist_ok=True)).find(MODEL)
    with (altered.path / "tokenizer.json").open("a") as stream:
        stream.write(" ")
    staged = stage(folder / "for_workers")
    in_workers = manifest_of(staged, name="quick", engine="openvino")
    ModelRepository(folder / "for_workers").register(staged, in_workers)
    return folder


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("embed --level nope", 2, "--level: invalid choice: 'nope'"),
        ("embed --conf nope", 2, "--conf: 'nope' is no KEY=VALUE"),
        ("embed --max-pieces 0", 2, "'0' is not a whole number of 1 or more"),
        ("embed --master nope", 1, "--master 'nope' is none that Spark knows"),
        ("embed --driver-memory much", 1, "--driver-memory 'much' is no size of memory"),
        ("embed --level token --pooling cls", 1, "level 'token' with pooling 'cls'"),
        ("embed --level document --context sentence", 1, "'sentence' goes with level sentence"),
        ("classify --threshold 2", 1, "expected a probability"),
        ("ner --first-note-nlp-id 3", 1, "--first-note-nlp-id is for"),
        ("ner --page {places}/notes.jsonl", 1, "notes.jsonl exists already"),
        ("ner --page-notes 3", 1, "--page-notes has no effect without --page"),
        ("classify --pair-first", 1, "pair_first has no effect without a text"),
        ("answer --question x --question-column y", 1, "--question and --question-column were both given"),
        ("embed --output {places}/taken", 1, "taken exists already; nothing is overwritten"),
        ("embed --output file:{places}/taken", 1, "taken exists already; nothing is overwritten"),
        ("embed --output {places}/_out", 1, "begins with _ or a dot"),
        ("embed --output {places}/notes.jsonl/out", 1, "nothing can be written to"),
        ("embed --output ", 1, "the output '' has no name"),
        ("embed --output {places}/\t/", 1, "has no name: give --output the path of a folder"),
        ("embed --output file://LocalHost{places}/taken", 1, "taken exists already; nothing is overwritten"),
        ("embed --output file://host{places}/out", 1, "names a file of the machine host, which"),
        ("embed --output {places}/" + "x" * 231, 1, "has 231 bytes: at most 230 are possible in {places}"),
        ("embed --output {places}/" + "é" * 127, 1, "has 254 bytes: at most 230 are possible in {places}"),
        ("embed --input file://host{places}/notes.jsonl", 1, "names a file of the machine host, which"),
        ("embed --input file://host{places}/*.jsonl", 1, "names a file of the machine host, which"),
        ("embed --models file://host{places}", 1, "names a file of the machine host, which"),
        ("embed --trust file://host{places}/trusted", 1, "names a file of the machine host, which"),
        ("embed --input {places}/several --output {places}/several/out", 1, "is in the input"),
        ("embed --input {places}/nothing", 1, "nothing is there: {places}/nothing"),
        ("embed --input {places}/nothing/*.csv", 1, "nothing is there: {places}/nothing/*.csv"),
        ("embed --input {places}/empty", 1, "there is no file to read in {places}/empty"),
        ("embed --input {places}/several", 1, "do not say one format (1 .csv, 1 .jsonl"),
        ("embed --input {places}/hidden", 1, "1 files of {places}/hidden are not read by Spark"),
        ("embed --models {places}/empty", 1, "has no metadata.json: not a model repository"),
        ("embed --model nope", 1, "no model 'nope' in"),
        ("embed --engine openvino", 1, f"no model '{MODEL}' (openvino) in"),
        ("embed --engine tensorflow --precision int8", 1, f"no model '{MODEL}' (tensorflow, int8) in"),
        (f"embed --model {NER_MODEL}", 1, "'embed' takes one that was exported from a"),
        (f"ner --model {MODEL}", 1, "'entities' takes one that was exported from a"),
        (f"classify --model {MODEL}", 1, "'classify' takes one that was exported from a"),
        (f"answer --model {MODEL}", 1, "'answer' takes one that was exported from a"),
        ("embed --max-pieces 4095", 1, f"max_pieces is 4095, more than the model reads: {MODEL} reads at most 4094"),
        ("embed --stride 4094", 1, "stride 4094"),
        ("embed --trust 0000", 1, "is neither a SHA-256"),
        ("embed --models {places}/altered", 1, "is not what was exported: tokenizer.json: changed"),
    ],
)
def test_it_is_refused_without_java(places: Path, command: str, status: int, message: str) -> None:
    done = sparkclin(places, command)
    assert done.returncode == status
    assert message.format(places=places) in done.stderr.splitlines()[-1]
    if status == 1:
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")
    assert not (places / "out").exists()


def test_the_library_of_an_engine_is_missing(places: Path, tmp_path: Path) -> None:
    """It is not looked for where the tasks run elsewhere."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['openvino'] = None")
    without = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[3]}"}
    options = f"embed --models {places}/for_workers"
    here = sparkclin(places, options, env=without)
    assert here.stderr.startswith("error: this machine's Python has no openvino. Install it on every machine, with pip")
    assert len(here.stderr.splitlines()) == 1
    there = sparkclin(places, f"{options} --master spark://nowhere:7077", env=without)
    assert there.stderr.splitlines()[-1].startswith("error: no Java was found in JAVA_HOME (/nowhere)")


AS_ANOTHER_USER = """
import os, sys
from sparkclin.runs.corpus import NoteSource, look_at_disk
source = NoteSource(path=sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
look_at_disk(source)
"""


def test_a_file_that_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder, "closed.jsonl")
        file.write_text("{}")
        file.chmod(0)
        done = run_python(AS_ANOTHER_USER, str(file))
    assert f"InputError: 1 files of {file} may not be read (closed.jsonl)" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "embed",
        "embed --input {places}/not*s.jsonl",
        "embed --input file://localhost{places}/notes.jsonl",
        "embed --output {places}/" + "x" * 230,
    ],
)
def test_what_is_right_comes_as_far_as_java(places: Path, command: str) -> None:
    """And what the run will do has been said."""
    *plan, error = sparkclin(places, command).stderr.splitlines()
    assert error.startswith("error: no Java was found in JAVA_HOME (/nowhere)")
    assert f"model: {MODEL}, onnx fp32, of {DEMO_MODELS}" in plan[2]
    settings = "level document, pooling mean, context note, normalize no, vector dtype float32"
    assert plan[3].endswith(f"settings: {settings}, max pieces 4,094, stride 512")
    assert plan[4].endswith("] Spark starts")


@pytest.mark.parametrize(
    ("command", "begins"),
    [
        ("-m sparkclin embed --input {places}/notes.jsonl --output {places}/out", "sparkclin"),
        ("-m sparkclin models --models models", "sparkclin"),
        (f"{CHECKOUT}/pipelines/embed_notes.py --input {{places}}/notes.jsonl --output {{places}}/out", "error"),
    ],
)
def test_a_working_directory_that_is_gone_is_said(places: Path, tmp_path: Path, command: str, begins: str) -> None:
    gone = tmp_path / "gone"
    script = f"mkdir {gone} && cd {gone} && rmdir {gone} && exec {sys.executable} {command.format(places=places)}"
    done = run(["/bin/sh", "-c", script])
    assert done.returncode == 1
    assert done.stderr == f"{begins}: the working directory is not there any more. Change to another one.\n"


@pytest.mark.parametrize("variable", ["HADOOP_CONF_DIR", "YARN_CONF_DIR"])
def test_a_path_that_hadoop_may_find_elsewhere_is_left_to_it(places: Path, variable: str) -> None:
    done = sparkclin(places, "embed --input {places}/nothing --output {places}/taken", env={variable: str(places)})
    assert done.stderr.splitlines()[-1].startswith("error: no Java was found")


def sparkclin(places: Path, command: str, *, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    name, *options = command.format(places=places).split(" ")
    usual = ["--input", str(places / "notes.jsonl"), "--output", str(places / "out")]
    return run(
        [sys.executable, "-m", "sparkclin", name, *usual, *options],
        env=WITHOUT_JAVA | (env or {}),
    )
