"""embed_notes.py as a user runs it: in a process of its own, locally and on a cluster, with the shipped model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
from pyspark.sql import SparkSession
from tokenizers import Tokenizer

import sparkclin
from sparkclin.commands.embed import main, options_of, parser
from sparkclin.models.pretrained import DEMO_MODELS
from sparkclin.runs.corpus import NoteSource, read_notes
from sparkclin.schema import LEVELS
from sparkclin.spark.settings import PACKAGES
from sparkclin.tasks.embed import output_schema
from testkit.cluster import StandaloneCluster
from testkit.demo import DEMO_NOTES, MODEL, SCRIPT, SHORT

KEYS = {"document": [], "window": ["window"], "sentence": ["sentence"], "token": ["token_index"]}


@pytest.fixture(scope="session")
def notes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few notes: short, long (9,000 pieces and more), empty, blank and null."""
    demo = [json.loads(line)["text"] for line in DEMO_NOTES.read_text(encoding="utf-8").splitlines()]
    long, size = "", 0
    tokenizer = Tokenizer.from_str(sparkclin.ModelRepository(DEMO_MODELS).find(MODEL).tokenizer_json())
    for text in demo:
        if size > 9_000:
            break
        long += text + "\n"
        size = len(tokenizer.encode(long, add_special_tokens=False).ids)
    texts = {"short": SHORT, "demo": demo[0], "long": long, "empty": "", "blank": " \n\t", "null": None}
    return write_notes(tmp_path_factory.mktemp("notes") / "notes.jsonl", texts)


@pytest.fixture(scope="session")
def short_notes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    demo = json.loads(DEMO_NOTES.read_text(encoding="utf-8").splitlines()[0])["text"]
    texts = {"short": SHORT, "demo": demo[:1_000], "empty": "", "null": None}
    return write_notes(tmp_path_factory.mktemp("notes") / "short.jsonl", texts)


def write_notes(path: Path, texts: Mapping[str, str | None]) -> Path:
    path.write_text("\n".join(json.dumps({"note_id": key, "text": text}) for key, text in texts.items()))
    return path


@pytest.fixture(scope="session")
def source_notes(notes_file: Path) -> dict[str, str | None]:
    return texts_of(notes_file)


def texts_of(file: Path) -> dict[str, str | None]:
    records = (json.loads(line) for line in file.read_text().splitlines())
    return {record["note_id"]: record["text"] for record in records}


@pytest.fixture(scope="session")
def local(spark: SparkSession, notes_file: Path) -> dict[str, pd.DataFrame]:
    """The results of all levels, made in this process by the function that the script calls."""
    bundle = sparkclin.use_models(spark, DEMO_MODELS).find(MODEL)
    notes = read_notes(spark, NoteSource(path=str(notes_file), format="jsonl")).repartition(2)
    frames = {}
    for level in LEVELS:
        embedded = sparkclin.embed(notes, model=bundle, level=level)
        expected = output_schema(level, notes.schema["note_id"].dataType)
        assert [(f.name, f.dataType) for f in embedded.schema] == [(f.name, f.dataType) for f in expected]
        frames[level] = embedded.toPandas().sort_values(["note_id", *KEYS[level]]).reset_index(drop=True)
    return frames


def run_script(
    *arguments: str, script: Path = SCRIPT, spark_options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    launcher = Path(sys.executable).parent / "spark-submit"
    return subprocess.run(
        [launcher, *spark_options, script, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.fixture
def several_runs(tmp_path: Path) -> Path:
    """A driver that makes the runs whose arguments it is given, as JSON, in one session."""
    script = tmp_path / "several_runs.py"
    script.write_text(
        "import json, sys\nfrom sparkclin.commands.embed import main\n"
        "sys.exit(max(main(arguments) for arguments in json.loads(sys.argv[1])))\n"
    )
    return script


def read_output(folder: Path) -> pd.DataFrame:
    table = ds.dataset(folder, format="parquet", exclude_invalid_files=True).to_table()
    return pd.DataFrame(table.to_pandas())


@pytest.mark.parametrize("level", LEVELS)
def test_every_note_is_there_with_a_status(local: dict[str, pd.DataFrame], level: str) -> None:
    statuses = local[level].groupby("note_id")["status"].unique().map(list).to_dict()
    assert statuses == {
        "short": ["ok"], "demo": ["ok"], "long": ["ok"], "empty": ["empty"], "blank": ["empty"], "null": ["null"],
    }  # fmt: skip
    without = local[level][local[level]["status"] != "ok"]
    assert len(without) == 3
    assert without["vector"].isna().all()


def test_a_long_note_is_read_to_its_end(local: dict[str, pd.DataFrame], source_notes: dict[str, str | None]) -> None:
    row = local["document"].set_index("note_id").loc["long"]
    assert row.n_pieces > 9_000
    assert row.n_windows == 3
    words = local["token"][local["token"]["note_id"] == "long"]
    text = source_notes["long"]
    assert text is not None
    assert "".join(words["token"]) == "".join(text.split())


@pytest.mark.parametrize("level", ["sentence", "token"])
def test_offsets_point_to_the_text(
    local: dict[str, pd.DataFrame], source_notes: dict[str, str | None], level: str
) -> None:
    rows = local[level][local[level]["status"] == "ok"]
    for row in rows.to_dict("records"):
        text = source_notes[row["note_id"]]
        assert text is not None
        part = text[int(row["begin"]) : int(row["end"])]
        assert part
        assert part == part.strip()
        if level == "token":
            assert row["token"] == part


@dataclass(frozen=True)
class ScriptRun:
    """A run of the script at level token, where the note's text travels along, and the folder that Java had for
    temporary files."""

    output: Path
    printed: str
    temporary: Path


@pytest.fixture(scope="session")
def script_run(short_notes_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ScriptRun:
    output, temporary = tmp_path_factory.mktemp("run") / "out", tmp_path_factory.mktemp("temporary")
    done = run_script(
        "--input", str(short_notes_file), "--input-format", "jsonl", "--output", str(output), "--level", "token",
        spark_options=("--driver-java-options", f"-Djava.io.tmpdir={temporary}"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return ScriptRun(output, done.stdout + done.stderr, temporary)


def test_the_script_gives_the_same_and_a_report(
    spark: SparkSession, script_run: ScriptRun, short_notes_file: Path
) -> None:
    bundle = sparkclin.ModelRepository(DEMO_MODELS).find(MODEL)
    notes = read_notes(spark, NoteSource(path=str(short_notes_file), format="jsonl")).repartition(2)
    words, documents = (sparkclin.embed(notes, model=bundle, level=level).toPandas() for level in ("token", "document"))
    order = ["note_id", "token_index"]
    found = read_output(script_run.output).sort_values(order).reset_index(drop=True)
    assert_same(found, words.sort_values(order).reset_index(drop=True))
    report = json.loads((script_run.output / "_report.json").read_text())
    assert report["counts"]["notes"] == 4
    assert {"ok": 2, "empty": 1, "null": 1}.items() <= report["counts"]["statuses"].items()
    assert report["counts"]["pieces"] == documents["n_pieces"].sum()
    assert sum(report["counts"]["lengths"].values()) == 4
    assert report["rows"] == len(words)
    assert {name: report["settings"][name] for name in ("level", "max_pieces", "stride", "engine", "precision")} == {
        "level": "token", "max_pieces": 4094, "stride": 512, "engine": "onnx", "precision": "fp32",
    }  # fmt: skip
    summary = (script_run.output / "_report.md").read_text().split("\n\n")[1]
    assert summary.startswith(
        "- notes: 4 in the input, 4 read, 4 written (without results: 1 empty, 1 null)\n- pieces: "
    )
    assert summary in script_run.printed


def test_nothing_stays_in_the_temporary_folder(script_run: ScriptRun) -> None:
    assert [path for path in script_run.temporary.rglob("*") if path.is_file()] == []


DELTA = (
    "--packages", f"{','.join(PACKAGES)},io.delta:delta-spark_2.12:3.3.2",
    "--conf", "spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension",
    "--conf", "spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog",
)  # fmt: skip


@pytest.mark.slow
def test_delta_in_and_out(local: dict[str, pd.DataFrame], notes_file: Path, tmp_path: Path, several_runs: Path) -> None:
    """Document vectors to a Delta table; then a Delta table, with their statuses as its text, as the notes."""
    first, second, half = (tmp_path / name for name in ("first", "second", "half"))
    arguments = ["--input", str(notes_file), "--input-format", "jsonl", "--output-format", "delta"]
    runs = [
        [*arguments, "--output", str(first)],
        ["--input", str(first), "--input-format", "delta", "--text-column", "status", "--output", str(second)],
        [*arguments, "--output", str(half), "--vector-dtype", "float16"],
    ]
    done = run_script(json.dumps(runs), script=several_runs, spark_options=DELTA)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (first / "_delta_log").is_dir()
    assert_same(read_output(first).sort_values("note_id").reset_index(drop=True), local["document"])
    assert len(read_output(second)) == 6
    assert json.loads((second / "_report.json").read_text())["settings"]["input_version"] == 0
    halves = read_output(half).sort_values("note_id").reset_index(drop=True)
    for value, vector in zip(halves["vector"], local["document"]["vector"], strict=True):
        assert (value is None) == (vector is None)
        if value is not None:
            np.testing.assert_allclose(np.frombuffer(value, "<f2"), vector, atol=1e-5, rtol=2**-11)


@pytest.mark.usefixtures("spark")
def test_delta_that_is_not_there(notes_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--input", str(notes_file), "--input-format", "delta", "--output", str(tmp_path / "out")]) == 1
    assert "Delta Lake is not part of this Spark session" in capsys.readouterr().err


def test_no_note_text_in_what_is_printed_or_reported(
    script_run: ScriptRun, short_notes_file: Path, tmp_path: Path
) -> None:
    """Neither of a run that works nor of one that fails; words that help texts may share are left out."""
    broken = tmp_path / "broken.jsonl"
    broken.write_text(short_notes_file.read_text() + '\n{"note_id": "x", "text": "Zebulon Quackenbush has fever\n')
    failed = run_script("--input", str(broken), "--input-format", "jsonl", "--output", str(tmp_path / "none"))
    assert failed.returncode == 1
    assert "1 lines of" in failed.stdout  # where spark-submit shows all that a Python program prints
    printed = script_run.printed + failed.stdout + failed.stderr
    printed += "".join(path.read_text() for path in script_run.output.glob("_report.*"))
    assert "Quackenbush" not in printed
    words = {word for text in texts_of(short_notes_file).values() if text for word in text.split() if len(word) > 9}
    assert words
    assert [word for word in words if word in printed] == []


@pytest.mark.cluster
def test_a_cluster_gives_what_one_machine_gives_and_loads_a_model_once(
    cluster: StandaloneCluster, local: dict[str, pd.DataFrame], notes_file: Path, tmp_path: Path, several_runs: Path
) -> None:
    """At all levels, one run after the other; an executor has the model once, whatever its tasks and runs."""
    work = cluster.folder / "work"
    before = set(work.iterdir())
    arguments = ["--input", str(notes_file), "--input-format", "jsonl"]
    runs = [[*arguments, "--output", str(tmp_path / level), "--level", level] for level in LEVELS]
    cluster.submit(several_runs, json.dumps(runs))
    for level in LEVELS:
        found = read_output(tmp_path / level).sort_values(["note_id", *KEYS[level]])
        assert_same(found.reset_index(drop=True), local[level])
    (application,) = set(work.iterdir()) - before
    # Spark NLP prints a line for every session of ONNX Runtime that it makes.
    sessions = [log.read_text(encoding="utf-8").count("Using CPUs") for log in application.glob("*/stdout")]
    assert sessions == [1, 1]


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    plain = [column for column in expected.columns if column != "vector"]
    pd.testing.assert_frame_equal(found[plain], expected[plain], check_dtype=False)
    for ours, theirs in zip(found["vector"], expected["vector"], strict=True):
        if theirs is None:
            assert ours is None
        else:
            np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--level": "sentence", "--pooling": "cls"}, "cls is a vector of a window"),
        ({"--stride": "4094"}, "stride"),
        ({"--max-pieces": "4095"}, "reads at most 4094"),
    ],
)
@pytest.mark.usefixtures("spark")
def test_what_cannot_be_done_is_said_in_a_line(
    short_notes_file: Path, tmp_path: Path, change: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"--input": str(short_notes_file), "--output": str(tmp_path / "out"), **change}
    assert main([part for pair in options.items() for part in pair]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ")
    assert message in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "read"),
    [
        ("--level token", lambda o: o.level == "token"),
        ("--pooling max", lambda o: o.pooling == "max"),
        ("--level sentence --context sentence", lambda o: o.context == "sentence"),
        ("--max-pieces 30", lambda o: o.max_pieces == 30),
        ("--stride 7", lambda o: o.stride == 7),
        ("--normalize", lambda o: o.normalize),
        ("--vector-dtype float16", lambda o: o.vector_dtype == "float16"),
    ],
)
def test_every_option_is_asked_of_embed(option: str, read: Callable[[sparkclin.EmbedOptions], bool]) -> None:
    least = ["--input", "in", "--output", "out"]
    assert not read(options_of(parser().parse_args(least)))
    assert read(options_of(parser().parse_args([*least, *option.split()])))


def test_a_run_does_what_its_options_say(spark: SparkSession, short_notes_file: Path, tmp_path: Path) -> None:
    """Of sentences read alone, by a version and in windows that no default would take."""
    output = tmp_path / "out"
    assert main([
        "--input", str(short_notes_file), "--input-format", "jsonl", "--output", str(output), "--partitions", "1",
        "--level", "sentence", "--pooling", "max", "--context", "sentence", "--max-pieces", "30", "--stride", "7",
        "--engine", "onnx", "--precision", "int8",
    ]) == 0  # fmt: skip
    bundle = sparkclin.ModelRepository(DEMO_MODELS).find(MODEL, engine="onnx", precision="int8")
    notes = read_notes(spark, NoteSource(path=str(short_notes_file), format="jsonl")).repartition(1)
    expected = sparkclin.embed(
        notes, model=bundle, level="sentence", pooling="max", context="sentence", max_pieces=30, stride=7
    ).toPandas()
    order = ["note_id", "sentence"]
    assert_same(
        read_output(output).sort_values(order).reset_index(drop=True),
        expected.sort_values(order).reset_index(drop=True),
    )
    report = json.loads((output / "_report.json").read_text())
    assert {"precision": "int8", "max_pieces": 30, "stride": 7, "context": "sentence"}.items() <= (
        report["settings"].items()
    )
    assert report["rows"] == len(expected)
