"""No note text outside the output: words that are nowhere else are planted in notes and ids, the real commands run and
fail in every way, on one machine and on a cluster, and all that they leave is searched.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sparkclin
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.models.repository import ModelRepository
from testkit.cluster import StandaloneCluster
from testkit.demo import MODEL
from tests.hostile.leaking import content_of, files_below

DRIVER = Path(__file__).with_name("leaking.py")
LOCAL_CASES = {
    "embedded": 0,
    "entities": 0,
    "for omop": 0,
    "headerless": 1,
    "mixed": None,
    "unpaired": None,  # whether it is refused is another test's
    "broken": 1,
    "jsonl_as_csv": 1,
    "csv_as_jsonl": 1,
    "csv_as_parquet": 1,
    "other_columns": 1,
    "not_utf8": None,
    "twice": 1,
    "damaged": 1,
    "output exists": 1,
    "altered model": None,
    "error in a worker": 1,
}
"""What happens, and the exit status."""

CLUSTER_CASES = {"embedded": 0, "damaged": 1, "error in a worker": 1, "killed executor": 0}


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Inputs; `mark` begins every planted word, `control` those that are shown on purpose."""

    folder: Path
    mark: str
    control: str


@dataclass(frozen=True, kw_only=True)
class Left:
    """What drivers left: the files with planted words, those with words that were shown on purpose, the status of each
    case and how many shuffle files were on the disk after it, and the number of files that were looked at."""

    text: list[str]
    shown: list[str]
    statuses: dict[str, int]
    shuffled: dict[str, int]
    files: int


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    made = Planted(
        folder=tmp_path_factory.mktemp("planted"), mark=f"zq{secrets.token_hex(6)}", control=f"qz{secrets.token_hex(6)}"
    )
    plant(made)
    return made


def plant(planted: Planted) -> None:
    """Some 20 notes of planted words, well-formed and not; ids are planted too, but where they are what is wrong.

    A report names the ten longest notes. Their ids are no plain ones, so it must not show them.
    """
    words = iter(f"{planted.mark}x{number}" for number in range(10_000))
    texts = [" ".join(["fever", *(next(words) for _ in range(16 if number < 10 else 8))]) for number in range(20)]
    ids = [f"{next(words)} by name" if number < 10 else next(words) for number in range(20)]
    notes = pd.DataFrame({"note_id": ids, "text": texts})
    folder = planted.folder
    (folder / "mark").write_text(planted.mark)
    notes.to_parquet(folder / "notes.parquet")
    notes.replace(planted.mark, planted.control, regex=True).to_parquet(folder / "control.parquet")
    pd.DataFrame({"note_id": range(20), "note_text": texts}).to_parquet(folder / "note.parquet")
    notes.to_csv(folder / "headerless.csv", header=False, index=False)
    (folder / "mixed.csv").mkdir()
    notes[:10].to_csv(folder / "mixed.csv" / "a.csv", index=False)
    notes[10:].to_csv(folder / "mixed.csv" / "b.csv", index=False, header=False)
    notes.to_csv(folder / "csv_as_jsonl.jsonl", index=False)
    notes.to_csv(folder / "csv_as_parquet.parquet", index=False)
    notes.to_json(folder / "jsonl_as_csv.csv", orient="records", lines=True)
    (folder / "unpaired.csv").write_text("note_id,text\n" + "".join(f'{t.split()[1]},"{t}\n' for t in texts))
    lines = [json.dumps({"note_id": str(number), "text": text}) for number, text in enumerate(texts)]
    (folder / "broken.jsonl").write_text("\n".join([*lines[:5], lines[5][:-9], *lines[6:]]))
    pd.DataFrame({"note_id": range(20), "words": texts, f"a {next(words)}": texts}).to_parquet(
        folder / "other_columns.parquet"
    )
    pd.DataFrame({"note_id": [1] * 20, "text": texts}).to_parquet(folder / "twice.parquet")
    latin = [f"{text} Fi\xe8vre".encode("latin-1") for text in texts]
    as_text = pa.StringArray.from_buffers(20, *pa.array(latin, pa.binary()).buffers()[1:])
    pq.write_table(pa.table({"note_id": notes["note_id"].tolist(), "text": as_text}), folder / "not_utf8.parquet")
    content = bytearray((folder / "notes.parquet").read_bytes())
    at = content.index(texts[0].split()[1].encode())
    content[at + 100 : at + 200] = bytes(100)
    (folder / "damaged.parquet").write_bytes(content)
    shutil.copytree(DEMO_MODELS, folder / "altered")
    altered = ModelRepository(folder / "altered").find(MODEL).path
    weights = max((path for path in altered.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    with weights.open("r+b") as file:
        file.seek(-4_000, os.SEEK_END)
        file.write(bytes(4))


def environment(folder: Path) -> dict[str, str]:
    """With a place of its own for what is temporary, and an event log."""
    for name in ("tmp", "events", "conf", "outputs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines = ["spark.eventLog.enabled true", f"spark.eventLog.dir {folder / 'events'}", "spark.ui.enabled false"]
    (folder / "conf" / "spark-defaults.conf").write_text("\n".join([*lines, "spark.driver.memory 2g"]))
    ours = {"TMPDIR": str(folder / "tmp"), "SPARK_CONF_DIR": str(folder / "conf"), "PYTHONPATH": str(Path.cwd())}
    return {key: value for key, value in os.environ.items() if key != "SPARK_LOCAL_DIRS"} | ours


def drive(planted: Planted, folder: Path, cases: list[str]) -> int:
    """Runs the cases on this machine; the exit status of the driver."""
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        driver = subprocess.run(
            [sys.executable, str(DRIVER), str(planted.folder), str(folder / "outputs"), str(folder / "tmp"), *cases],
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            check=False,
        )
    return driver.returncode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the drivers on this machine: output, logs, event logs, temporary files."""
    return tmp_path_factory.mktemp("drivers")


@pytest.fixture(scope="module")
def killed(planted: Planted, folder: Path) -> Left:
    """After SIGKILL of a driver and its JVM, while a task ran."""
    assert drive(planted, folder, ["killed driver"]) == -signal.SIGKILL
    shuffled = [path for path in (folder / "tmp").rglob("shuffle_*.data") if path.stat().st_size]
    return replace(left(planted, folder), shuffled={"killed driver": len(shuffled)})


@pytest.fixture(scope="module")
def local(planted: Planted, folder: Path, killed: Left) -> Left:  # noqa: ARG001  # it comes after the killed one
    assert drive(planted, folder, [*LOCAL_CASES, "shown on purpose"]) == 0, (folder / "stderr").read_text()
    return left(planted, folder)


@pytest.fixture(scope="module")
def on_cluster(planted: Planted, cluster: StandaloneCluster, tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("on_cluster")
    environment(folder)
    conf = [f"--conf={key}={value}" for key, value in cluster.settings().items()]
    arguments = [str(planted.folder), str(folder / "outputs"), str(cluster.folder / "local"), *CLUSTER_CASES]
    driver = cluster.spark_submit(
        ["--master", cluster.url, *conf, str(DRIVER), *arguments], conf_folder=folder / "conf"
    )
    (folder / "stdout").write_text(driver.stdout)
    (folder / "stderr").write_text(driver.stderr)
    logs = left(planted, cluster.folder)
    here = left(planted, folder)
    return replace(here, text=[*here.text, *logs.text], files=here.files + logs.files)


def left(planted: Planted, folder: Path) -> Left:
    files = [path for path in files_below(folder) if path.suffix != ".parquet"]
    printed = (folder / "stdout").read_text() if (folder / "stdout").exists() else ""
    cases = [json.loads(line) for line in printed.splitlines() if line.startswith('{"case"')]
    return Left(
        text=[
            *(str(path) for path in files if holds(path, planted.mark)),
            *(path for case in cases for path in case["text"]),
        ],
        shown=[str(path.relative_to(folder)) for path in files if holds(path, planted.control)],
        statuses={case["case"]: case["status"] for case in cases},
        shuffled={case["case"]: case["shuffled"] for case in cases},
        files=len(files),
    )


def holds(path: Path, word: str) -> bool:
    """Whether a file has a word in it or in its name."""
    content = content_of(path).lower()
    return word in path.name or word.encode() in content or word.encode("utf-16-le") in content


@pytest.mark.slow
def test_a_killed_driver_leaves_no_text(killed: Left) -> None:
    assert killed.shuffled["killed driver"] >= 2, "notes were on the disk"
    assert killed.text == []


@pytest.mark.slow
def test_what_it_left_is_removed_by_the_next(local: Left, folder: Path) -> None:
    assert local.statuses["embedded"] == 0
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.slow
def test_no_case_on_one_machine_leaves_text(local: Left) -> None:
    wrong = {case: status for case, status in LOCAL_CASES.items() if status not in (None, local.statuses[case])}
    assert wrong == {}
    assert local.text == []


@pytest.mark.slow
def test_what_is_shown_on_purpose_is_found(local: Left) -> None:
    """So that a search that finds nothing says something."""
    assert local.statuses["shown on purpose"] == 1
    assert {path.partition("/")[0] for path in local.shown} >= {"stderr", "events"}


@pytest.mark.slow
@pytest.mark.cluster
def test_no_case_on_a_cluster_leaves_text(on_cluster: Left) -> None:
    assert on_cluster.statuses == CLUSTER_CASES
    assert on_cluster.shuffled["killed executor"] > 0, "notes were on the disk"
    assert on_cluster.text == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["_report.json", "part-*.parquet"])
def test_outputs_are_their_owners(local: Left, folder: Path, name: str) -> None:
    assert local.statuses["embedded"] == 0
    output = folder / "outputs" / "embedded"
    (file, *_) = output.glob(name)
    assert (output.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


RUNS_IN_A_TASK = re.compile(r"\b(?:mapIn\w+|applyIn\w+|mapPartitions|foreach\w*|udf)\((?!in_task\(|in_udf\()[^)]")


def test_every_function_of_ours_in_a_task_is_guarded() -> None:
    """Spark writes what it raises into logs and event logs."""
    unguarded = [
        f"{module}:{number}: {line.strip()}"
        for module in sorted(Path(sparkclin.__file__).parent.rglob("*.py"))
        for number, line in enumerate(module.read_text(encoding="utf-8").splitlines(), start=1)
        if RUNS_IN_A_TASK.search(line)
    ]
    assert unguarded == []


@pytest.mark.parametrize("line", ["notes.mapInArrow(infer, schema)", "F.udf(partial(f))", "rdd.mapPartitions(f)"])
def test_an_unguarded_one_is_recognised(line: str) -> None:
    assert RUNS_IN_A_TASK.search(line)
    assert not RUNS_IN_A_TASK.search(line.replace("(", "(in_task(", 1))
