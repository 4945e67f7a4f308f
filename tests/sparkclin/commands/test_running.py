"""A command as a person runs it, in a process of its own: what it shows, and the session that it starts."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkclin.commands import embed
from sparkclin.commands.running import session_of
from sparkclin.errors import OptionError
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.spark.options import SessionOptions
from testkit.demo import MODEL
from tests.sparkclin.processes import CHECKOUT, run

LEAST = ["--input", "in", "--output", "out"]
SESSION = [*("--master", "local[1]"), *("--driver-memory", "1200m"), *("--conf", "spark.sql.shuffle.partitions=3")]

SHOW_SESSION = """
import sys
from sparkclin.commands.embed import main
status = main(sys.argv[1:])
from sparkclin.spark.session import running_session
spark = running_session()
print(spark.sparkContext.master, spark.conf.get("spark.driver.memory"), spark.conf.get("spark.sql.shuffle.partitions"))
print(spark._jvm.java.lang.Runtime.getRuntime().maxMemory() // 1_000_000)
sys.exit(status)
"""


@dataclass(frozen=True)
class Shown:
    """What a command has written, and its output."""

    stdout: str
    stderr: str
    output: Path


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("notes") / "notes.jsonl"
    file.write_text("".join(json.dumps({"note_id": name, "text": "No acute distress."}) + "\n" for name in "abc"))
    return file


@pytest.fixture(scope="module")
def shown(notes: Path, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Of a command in an environment whose Spark is not configured, as pip installs it."""
    folder = tmp_path_factory.mktemp("shown")
    (folder / "conf").mkdir()
    command = [sys.executable, "-c", SHOW_SESSION, "--input", str(notes), "--output", str(folder / "out"), *SESSION]
    done = run(command, env={"SPARK_CONF_DIR": str(folder / "conf")})
    assert done.returncode == 0, done.stderr
    return Shown(done.stdout, done.stderr, folder / "out")


def test_the_session_is_as_asked(shown: Shown) -> None:
    """And stdout has nothing but what this test prints."""
    said, memory_mb = shown.stdout.splitlines()
    assert said == "local[1] 1200m 3"
    assert 1000 < int(memory_mb) < 1300


def test_nothing_but_the_commands_own_lines_is_shown(shown: Shown, notes: Path) -> None:
    stamped, summary = shown.stderr.split(f"\n\n{shown.output}\n")
    assert all(re.match(r"\[\d\d:\d\d\] |        ", line) for line in stamped.splitlines())
    assert [line[8:] for line in stamped.splitlines()] == [
        f"embed: {notes} (jsonl)",
        f"output: {shown.output} (parquet)",
        f"model: {MODEL}, onnx fp32, of {DEMO_MODELS}",
        "settings: level document, pooling mean, context note, max pieces 4,094, stride 512",
        "Spark starts",
        "the input is looked through, and the model is loaded",
        f"embed: 3 notes with {MODEL} in 3 tasks",
        "the notes are read",
        "what was written is counted",
    ]
    assert all(line.startswith("- ") for line in summary.splitlines())


def test_the_report_has_both_times_and_no_setting_is_left_open(shown: Shown) -> None:
    report = json.loads((shown.output / "_report.json").read_text())
    assert list(report["seconds"]) == ["start", "model", "Spark", "input", "loading", "work", "check"]
    assert report["wall_s"] == pytest.approx(sum(report["seconds"].values()), abs=0.5)
    assert report["elapsed_s"] == report["seconds"]["work"]
    wall, work = f"{report['wall_s']:,.1f} s", f"{report['elapsed_s']:,.1f} s"
    assert f"\n- time: {wall} for the whole command; {work} of it for the notes: " in shown.stderr
    assert "None" not in (shown.output / "_report.md").read_text()
    assert None not in [*report["settings"].values(), *report["model"].values()]


def test_progress_is_shown_on_a_terminal(notes: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    said: list[bytes] = []

    def read() -> None:
        while part := read_some(ours):
            said.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    command = [sys.executable, "-m", "sparkclin", "embed", "--input", str(notes)]
    command += ["--output", str(tmp_path / "out"), *SESSION]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env=env, check=False
    )
    os.close(theirs)
    reader.join()
    shown = b"".join(said).decode()
    assert done.returncode == 0, shown
    assert done.stdout == b""
    assert re.search(r"\rembed   0%  0/3 \[00:0\d", shown)
    assert re.search(r"\rembed 100%  3/3 \[00:\d\d<00:00, [^\r\n]+\]\r\n\[00:\d\d\] what was written is counted", shown)
    assert "Stage" not in shown


def read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody has its other end any more
        return b""


def test_options_of_the_session() -> None:
    asked = embed.parser().parse_args([*LEAST, *SESSION, "--conf", "a=b=c"])
    settings = {"spark.sql.shuffle.partitions": "3", "a": "b=c"}
    assert session_of(asked) == SessionOptions(master="local[1]", driver_memory="1200m", settings=settings)
    assert session_of(embed.parser().parse_args(LEAST)) == SessionOptions()


@pytest.mark.parametrize("option", [["--master", "yarn"], ["--conf", "a=b"], ["--driver-memory", "1g"]])
def test_spark_submit_takes_them_itself(option: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    with pytest.raises(OptionError, match="spark-submit's own: give them before the program"):
        session_of(embed.parser().parse_args([*LEAST, *option]))
    assert session_of(embed.parser().parse_args(LEAST)) == SessionOptions()
