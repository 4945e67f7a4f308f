"""A run with toy tasks: a second pipeline is a parser and one call, and what every run checks is checked."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkclin.commands.running import add_run_arguments, request_of, run_command
from sparkclin.errors import IncompleteError, InputError, ModelError, OptionError, StepError
from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.models.repository import ModelRepository
from sparkclin.runs.corpus import NoteSource
from sparkclin.runs.derived import DerivedTable
from sparkclin.runs.run import ModelChoice, RunRequest, Task, run
from sparkclin.runs.sink import Sink
from sparkclin.schema import EMBED, ENTITIES
from testkit.bundles import manifest_of, stage

pytestmark = pytest.mark.usefixtures("spark")

NOTES = {"a": "fever", "b": "no fever", "c": "", "d": None}
Observe = Callable[[DataFrame], DataFrame]


# A second pipeline, whole: the length of every note in letters.
def main(arguments: Sequence[str]) -> int:
    return run_command(parser(), arguments, task=lambda asked: letters(spaces=asked.spaces))


def parser() -> argparse.ArgumentParser:
    build = argparse.ArgumentParser()
    add_run_arguments(build)
    build.add_argument("--spaces", action="store_true")
    return build


def letters(*, spaces: bool) -> Task:
    def rows(notes: DataFrame, bundle: Bundle, observe: Observe) -> DataFrame:
        text = F.col("text") if spaces else F.regexp_replace("text", r"\s", "")
        status = F.when(F.col("text").isNull(), "null").when(F.col("text") == "", "empty").otherwise("ok")
        counted = notes.select(
            "note_id", F.length(text).alias("n_pieces"), F.lit(1).alias("n_windows"), status.alias("status")
        )
        return observe(counted).select("note_id", "n_pieces", F.lit(bundle.manifest.name).alias("model"))

    return Task(name="letters", rows=rows, settings=lambda manifest: {"spaces": spaces, "width": manifest.width})


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A repository of the model `tiny` with two engines and two precisions."""
    root = tmp_path / "models"
    for engine, precision in [("onnx", "int8"), ("tensorflow", "fp32")]:
        staged = stage(root)
        ModelRepository(root).register(
            staged, manifest_of(staged, name="tiny", engine=engine, precision=precision, width=7)
        )
    return root


@pytest.fixture
def request_(tmp_path: Path, models: Path) -> RunRequest:
    source = tmp_path / "notes.jsonl"
    source.write_text("\n".join(json.dumps({"note_id": key, "text": text}) for key, text in NOTES.items()))
    return RunRequest(
        source=NoteSource(path=str(source), format="jsonl"),
        sink=Sink(path=str(tmp_path / "out")),
        model=ModelChoice(repository=str(models)),
    )


def command(asked: RunRequest, *more: str) -> list[str]:
    return [
        *("--input", asked.source.path, "--input-format", str(asked.source.format), "--output", asked.sink.path),
        *("--models", str(asked.model.repository), *more),
    ]


def test_a_second_pipeline_is_a_parser_and_one_call(
    spark: SparkSession, request_: RunRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(request_, "--partitions", "3")) == 0
    output = Path(request_.sink.path)
    rows = spark.read.parquet(str(output)).collect()
    assert {row.note_id: row.n_pieces for row in rows} == {"a": 5, "b": 7, "c": 0, "d": None}
    said = capsys.readouterr()
    assert "letters: 4 notes with tiny in 3 tasks" in said.err
    assert said.out == ""
    plan, summary = said.err.split(f"\n\n{output}\n")
    assert summary.startswith("- notes: 4 in the input, 4 read, 4 written (without results: 1 empty, 1 null)\n")
    assert [line[8:] for line in plan.splitlines()] == [
        f"letters: {request_.source.path} (jsonl)",
        f"output: {output} (parquet)",
        f"model: tiny, tensorflow fp32, of {request_.model.repository}",
        "settings: spaces no, width 7",
        "the input is looked through, and the model is loaded",
        "letters: 4 notes with tiny in 3 tasks",
        "the notes are read",
        "what was written is counted",
    ]

    report = json.loads((output / "_report.json").read_text())
    assert report["rows"] == 4
    assert report["counts"]["pieces"] == 12
    statuses = {status: number for status, number in report["counts"]["statuses"].items() if number}
    assert statuses == {"ok": 2, "empty": 1, "null": 1}
    assert list(report["seconds"]) == ["start", "model", "Spark", "input", "loading", "work", "check"]
    assert report["wall_s"] == pytest.approx(sum(report["seconds"].values()), abs=0.5)
    assert report["seconds"]["work"] == report["elapsed_s"] > 0
    assert summary.strip() in (output / "_report.md").read_text()


def test_what_comes_afterwards_is_printed_below_the_summary(
    request_: RunRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a failed run leaves is nothing to go on with."""

    def afterwards(asked: argparse.Namespace, made: RunRequest) -> str:
        return f"{asked.spaces} {Path(made.sink.path, '_report.md').exists()}"

    def again() -> int:
        return run_command(parser(), command(request_), task=lambda _: letters(spaces=True), afterwards=afterwards)

    assert again() == 0
    said = capsys.readouterr()
    assert said.out == "\nFalse True\n"
    assert said.err.splitlines()[-1].startswith("- --engine openvino would be faster")
    assert again() == 1
    assert capsys.readouterr().out == ""


def test_an_error_of_what_comes_afterwards_is_said_in_a_line(
    request_: RunRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    def afterwards(*_: object) -> str:
        raise InputError("the folder is full")

    task = letters(spaces=True)
    assert run_command(parser(), command(request_), task=lambda _: task, afterwards=afterwards) == 1
    said = capsys.readouterr()
    assert said.err.endswith("\nerror: the folder is full\n")
    assert "- notes: 4 in the input, 4 read, 4 written" in said.err


def test_the_report_has_what_was_used_and_not_what_was_asked(request_: RunRequest) -> None:
    report = run(letters(spaces=True), request_)
    assert report.settings == {
        "input": request_.source.path,
        "input_format": "jsonl",
        "id_column": "note_id",
        "text_column": "text",
        "output": request_.sink.path,
        "output_format": "parquet",
        "models": request_.model.repository,
        "model": "tiny",
        "language": "en",
        "engine": "tensorflow",
        "precision": "fp32",
        "master": "local[2]",
        "partitions": 4,
        "spaces": True,
        "width": 7,
    }
    assert (report.model["engine"], report.model["precision"]) == ("tensorflow", "fp32")
    used = request_.model.find().path / "sparkclin.json"
    assert report.model["manifest_sha256"] == hashlib.sha256(used.read_bytes()).hexdigest()
    assert {"sparkclin", "pyspark", "spark-nlp", "spark", "python"} <= set(report.versions)


def test_the_report_names_files_that_were_not_read(request_: RunRequest, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    Path(request_.source.path).rename(folder / "notes.jsonl")
    for name in ("_SUCCESS", "_more.jsonl"):
        (folder / name).write_text("x")
    source = NoteSource(path=str(folder), hidden_files="skip")
    report = run(letters(spaces=True), replace(request_, source=source))
    assert (report.in_input, report.not_read.files, report.not_read.names) == (4, 2, ("_SUCCESS", "_more.jsonl"))
    assert "- files not read: 2 (_SUCCESS, _more.jsonl)" in report.summary()
    assert (report.settings["input_format"], report.settings["hidden_files"]) == ("jsonl", "skip")


@pytest.mark.parametrize(("partitions", "found"), [(3, 3), (None, 4)], ids=["asked", "by the number of notes"])
def test_notes_are_dealt_out_to_as_many_tasks(request_: RunRequest, partitions: int | None, found: int) -> None:
    seen: list[int] = []
    counted = letters(spaces=False)

    def rows(notes: DataFrame, bundle: Bundle, observe: Observe) -> DataFrame:
        seen.append(notes.rdd.getNumPartitions())
        return counted.rows(notes, bundle, observe)

    run(replace(counted, rows=rows), replace(request_, partitions=partitions))
    assert seen == [found]


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (ModelChoice(precision="int8"), ("onnx", "int8")),
        (ModelChoice(engine="onnx"), ("onnx", "int8")),
        (ModelChoice(), ("tensorflow", "fp32")),
    ],
)
def test_the_model_asked_for_is_used(models: Path, choice: ModelChoice, found: tuple[str, str]) -> None:
    manifest = replace(choice, repository=str(models)).find().manifest
    assert (manifest.engine, manifest.precision) == found


def test_one_of_several_models_has_to_be_named(models: Path, request_: RunRequest) -> None:
    staged = stage(models, name="other")
    ModelRepository(models).register(staged, manifest_of(staged, name="other"))
    assert main(command(request_, "--model", "other")) == 0
    with pytest.raises(ModelError, match=r"holds the models other, tiny: choose with --model"):
        ModelChoice(repository=str(models)).find()
    with pytest.raises(ModelError, match=r"2 models for the task 'embed'. .* other \(embed\), tiny \(embed\): choose"):
        ModelChoice(repository=str(models)).find(task=EMBED)


def test_a_run_finds_a_name_in_any_language(models: Path, request_: RunRequest) -> None:
    staged = stage(models, name="klein")
    ModelRepository(models).register(staged, manifest_of(staged, name="klein", language="de"))
    assert main(command(request_, "--model", "klein")) == 0
    settings = json.loads(Path(request_.sink.path, "_report.json").read_text())["settings"]
    assert (settings["model"], settings["language"]) == ("klein", "de")


def test_a_name_in_two_languages_needs_the_option(
    models: Path, request_: RunRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    staged = stage(models)
    ModelRepository(models).register(staged, manifest_of(staged, name="tiny", language="de"))
    assert main(command(request_)) == 1
    assert "has 'tiny' in 2 languages (de, en): choose one with --language" in capsys.readouterr().err
    assert main(command(request_, "--language", "de")) == 0


def test_the_only_model_in_a_language_needs_no_name(models: Path) -> None:
    staged = stage(models, name="klein")
    ModelRepository(models).register(staged, manifest_of(staged, name="klein", language="de"))
    assert ModelChoice(repository=str(models), language="de").find().manifest.name == "klein"
    with pytest.raises(ModelError, match=r"has 0 models in the language 'fr'. It holds the models klein, tiny: "):
        ModelChoice(repository=str(models), language="fr").find()


def test_a_name_has_the_task_of_the_model_in_the_language(models: Path) -> None:
    for name, task in (("tiny", ENTITIES), ("klein", EMBED)):
        staged = stage(models, name=name)
        labels = ("O", "B-SIGN") if task == ENTITIES else ()
        manifest = manifest_of(staged, name=name, language="de", task=task, labels=labels)
        ModelRepository(models).register(staged, manifest)
    german = ModelChoice(repository=str(models), language="de")
    assert [german.find(task=task).manifest.name for task in (ENTITIES, EMBED)] == ["tiny", "klein"]


@pytest.fixture
def models_of_two_tasks(models: Path) -> Path:
    """`tiny` is for vectors, `marker` for entities."""
    staged = stage(models, name="marker")
    manifest = manifest_of(staged, name="marker", task=ENTITIES, labels=("O", "B-SIGN"))
    ModelRepository(models).register(staged, manifest)
    return models


@pytest.mark.parametrize(("task", "name"), [(EMBED, "tiny"), (ENTITIES, "marker")])
def test_the_only_model_for_the_task_needs_no_name(models_of_two_tasks: Path, task: str, name: str) -> None:
    assert ModelChoice(repository=str(models_of_two_tasks)).find(task=task).manifest.name == name


def test_no_model_for_the_task_is_said_with_those_there_are(models_of_two_tasks: Path) -> None:
    with pytest.raises(ModelError, match=r"0 models for the task 'answer'. .* marker \(entities\), tiny \(embed\): "):
        ModelChoice(repository=str(models_of_two_tasks)).find(task="answer")


def test_the_only_model_there_is_is_left_to_the_task(models: Path) -> None:
    """Which says what is wrong with it."""
    assert ModelChoice(repository=str(models)).find(task=ENTITIES).manifest.name == "tiny"


def test_a_run_takes_the_model_for_its_task(models_of_two_tasks: Path, request_: RunRequest) -> None:
    assert request_.model.repository == str(models_of_two_tasks)
    assert run(replace(letters(spaces=True), model_task=ENTITIES), request_).settings["model"] == "marker"


def no_rows(*_: object) -> DataFrame:
    raise AssertionError("the work began")


def no_settings(_: Manifest) -> dict[str, Any]:
    return {}


def refuse(_: Manifest) -> dict[str, Any]:
    raise OptionError("not with this model")


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({"sink": "taken"}, no_settings, "exists already; nothing is overwritten"),
        ({"sink": "unheard-of://of/it"}, no_settings, "nothing can be written to unheard-of://of/it"),
        ({"source": "nowhere"}, no_settings, "nothing is there"),
        ({"source": "twice"}, no_settings, "2 notes share 1 ids"),
        ({"model": "absent"}, no_settings, "no model 'absent'"),
        ({}, refuse, "not with this model"),
    ],
)
def test_what_is_wrong_is_said_before_the_work_begins(
    request_: RunRequest,
    tmp_path: Path,
    change: dict[str, str],
    settings: Callable[[Manifest], dict[str, Any]],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "twice").write_text('{"note_id": 1, "text": "x"}\n' * 2)
    where = {key: value if "://" in value or key == "model" else str(tmp_path / value) for key, value in change.items()}
    asked = replace(
        request_,
        sink=replace(request_.sink, path=where.get("sink", request_.sink.path)),
        source=replace(request_.source, path=where.get("source", request_.source.path)),
    )
    task = Task(name="none", rows=no_rows, settings=settings)
    more = ["--model", where["model"]] if "model" in where else []
    assert run_command(parser(), command(asked, *more), task=lambda _: task) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ")
    assert message in said


@pytest.mark.parametrize("damage", ["lost", "doubled"])
def test_a_run_that_loses_or_doubles_a_note_fails(
    request_: RunRequest, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = letters(spaces=False)

    def rows(notes: DataFrame, bundle: Bundle, observe: Observe) -> DataFrame:
        whole = counted.rows(notes, bundle, observe)
        return whole.filter("note_id != 'b'") if damage == "lost" else whole.union(whole.filter("note_id = 'b'"))

    task = replace(counted, rows=rows)
    assert run_command(parser(), command(request_), task=lambda _: task) == 1
    assert "error: 4 notes went in; " in capsys.readouterr().err
    assert not (Path(request_.sink.path) / "_report.json").exists()


def test_a_run_whose_tasks_count_other_notes_than_went_in_fails(
    request_: RunRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though all are there in what was written."""
    counted = letters(spaces=False)

    def rows(notes: DataFrame, bundle: Bundle, observe: Observe) -> DataFrame:
        uncounted = counted.rows(notes.filter("note_id = 'b'"), bundle, lambda frame: frame)
        return counted.rows(notes.filter("note_id != 'b'"), bundle, observe).union(uncounted)

    assert run_command(parser(), command(request_), task=lambda _: replace(counted, rows=rows)) == 1
    said = capsys.readouterr().err
    assert "error: 4 notes went in; the tasks counted 3 while they read. The output was discarded: run again, " in said
    assert not Path(request_.sink.path).exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("when", ["rows are written", "the report is written"])
def test_a_full_disk_is_named_as_such(request_: RunRequest, small_disk: Path, when: str) -> None:
    counted = letters(spaces=False)

    def fill() -> None:
        with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as stream:
            while stream.write(bytes(256)):
                pass

    def rows(notes: DataFrame, bundle: Bundle, observe: Observe) -> DataFrame:
        fill()
        return counted.rows(notes, bundle, observe)

    def filled(_: DataFrame, rows: DataFrame) -> dict[str, int]:
        fill()
        return {"rows": rows.count()}

    table = DerivedTable(name="same", rows_name="lengths", make=lambda rows, *_: rows, check=filled)
    step, task = {
        "rows are written": ("while computing and writing", replace(counted, rows=rows)),
        "the report is written": ("in the run", replace(counted, derived=lambda _: table)),
    }[when]
    sink = Sink(path=str(small_disk / "out"))
    with pytest.raises(StepError, match=f"^NoSpaceLeft {step}; a disk was full: make room for --output"):
        run(task, replace(request_, sink=sink))
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def failing(error: type[Exception]) -> Task:
    """A task that raises in Spark's Python workers."""

    def broken(batches: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        for _ in batches:
            raise error("note 7 of 9 cannot be read; mend it")
        yield from ()

    return replace(
        letters(spaces=False),
        rows=lambda notes, bundle, observe: letters(spaces=False).rows(
            notes.mapInPandas(broken, notes.schema), bundle, observe
        ),
    )


def test_an_error_of_ours_in_a_task_is_said_in_a_line(request_: RunRequest, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(parser(), command(request_), task=lambda _: failing(InputError)) == 1
    said = capsys.readouterr().err
    assert said.strip().splitlines()[-1] == "error: note 7 of 9 cannot be read; mend it"
    assert "Traceback" not in said


def test_another_error_in_a_task_is_named_without_what_it_says(request_: RunRequest) -> None:
    with pytest.raises(
        StepError, match=r"^ValueError while computing and writing at .*\.py:\d+; --unsafe-debug"
    ) as caught:
        run(failing(ValueError), request_)
    assert "note 7 of 9" not in str(caught.value)


def test_what_it_says_is_shown_where_that_is_asked_for(
    request_: RunRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    # PySpark makes the one of the other where Spark's own error has not wrapped it once more.
    with pytest.raises((PythonException, Py4JJavaError), match="note 7 of 9"):
        run_command(parser(), command(request_, "--unsafe-debug"), task=lambda _: failing(ValueError))
    assert capsys.readouterr().err.startswith("--unsafe-debug: ")


def test_an_error_on_the_driver_is_named_without_what_it_says(
    request_: RunRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Manifest) -> dict[str, Any]:
        raise KeyError("fever")

    task = replace(letters(spaces=True), settings=broken)
    assert run_command(parser(), command(request_), task=lambda _: task) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: KeyError at sparkclin/runs/\w+.py:\d+; --unsafe-debug shows [^\n]*\n", said)
    with pytest.raises(KeyError, match="fever"):
        run_command(parser(), command(request_, "--unsafe-debug"), task=lambda _: task)


def with_initials(seen: list[str]) -> Task:
    """letters() with a table of the notes' first letters, made of the rows that were written."""

    def make(rows: DataFrame, notes: DataFrame, started: str) -> DataFrame:
        seen.append(started)
        return rows.join(notes, "note_id").select("note_id", F.left("text", F.lit(1)).alias("initial"))

    def check(written: DataFrame, rows: DataFrame) -> dict[str, int]:
        if written.count() != rows.count():
            raise IncompleteError("initials are missing")
        return {"rows": written.count()}

    table = DerivedTable(name="initials", rows_name="lengths", make=make, check=check)
    return replace(letters(spaces=False), derived=lambda _: table)


def test_a_table_is_made_of_the_rows_that_were_written(spark: SparkSession, request_: RunRequest) -> None:
    seen: list[str] = []
    report = run(with_initials(seen), request_)
    output = Path(request_.sink.path)
    assert spark.read.parquet(str(output / "lengths")).count() == report.rows == 4
    initials = spark.read.parquet(str(output / "initials")).collect()
    assert {row.note_id: row.initial for row in initials} == {"a": "f", "b": "n", "c": "", "d": None}
    assert report.derived == {"initials": {"rows": 4}}
    assert seen == [report.started]
    assert json.loads((output / "_report.json").read_text()) == json.loads(report.to_json())


def test_without_a_whole_table_there_is_no_report(request_: RunRequest, capsys: pytest.CaptureFixture[str]) -> None:
    whole = with_initials([])

    def lossy(bundle: Bundle) -> DerivedTable:
        assert whole.derived is not None
        table = whole.derived(bundle)
        return replace(table, make=lambda rows, notes, started: table.make(rows.filter("n_pieces > 5"), notes, started))

    assert run_command(parser(), command(request_), task=lambda _: replace(whole, derived=lossy)) == 1
    assert "error: initials are missing" in capsys.readouterr().err
    assert not (Path(request_.sink.path) / "_report.json").exists()


@pytest.mark.parametrize(
    ("option", "read"),
    [
        ("--input other", lambda r: r.source.path == "other"),
        ("--output elsewhere", lambda r: r.sink.path == "elsewhere"),
        ("--input-format csv", lambda r: r.source.format == "csv"),
        ("--recursive", lambda r: r.source.recursive),
        ("--hidden-files skip", lambda r: r.source.hidden_files == "skip"),
        ("--encoding cp1252", lambda r: r.source.encoding == "cp1252"),
        ("--delimiter ;", lambda r: r.source.delimiter == ";"),
        ("--output-format delta", lambda r: r.sink.format == "delta"),
        ("--id-column key", lambda r: r.source.id_column == "key"),
        ("--text-column words", lambda r: r.source.text_column == "words"),
        ("--model tiny", lambda r: r.model.name == "tiny"),
        ("--models folder", lambda r: r.model.repository == "folder"),
        ("--engine tensorflow", lambda r: r.model.engine == "tensorflow"),
        ("--precision int8", lambda r: r.model.precision == "int8"),
        ("--partitions 5", lambda r: r.partitions == 5),
    ],
)
def test_every_option_is_asked_of_the_run(option: str, read: Callable[[RunRequest], bool]) -> None:
    least = ["--input", "in", "--output", "out"]
    assert not read(request_of(parser().parse_args(least)))
    assert read(request_of(parser().parse_args([*least, *option.split()])))


def test_a_pipeline_may_have_another_text_column_and_integer_ids() -> None:
    least = parser().parse_args(["--input", "in", "--output", "out"])
    chosen = parser().parse_args(["--input", "in", "--output", "out", "--text-column", "words"])
    asked = request_of(least, text_column="note_text", integer_ids=True).source
    assert asked == NoteSource(path="in", text_column="note_text", integer_ids=True)
    assert request_of(chosen, text_column="note_text").source.text_column == "words"


def test_there_is_at_least_one_partition(request_: RunRequest) -> None:
    with pytest.raises(OptionError, match="0 partitions were asked for"):
        replace(request_, partitions=0)


def test_the_model_is_loaded_while_the_input_is_looked_through(
    request_: RunRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    module = import_module("sparkclin.runs.run")
    read_corpus = module.read_corpus

    def reading(*given: Any) -> Any:
        begun.append("input")
        return read_corpus(*given)

    monkeypatch.setattr(module, "load_ahead", lambda _, bundle: begun.append(bundle.manifest.name))
    monkeypatch.setattr(module, "read_corpus", reading)
    run(letters(spaces=True), request_)
    assert begun == ["tiny", "input"]
