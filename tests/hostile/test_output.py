"""A run's output is whole or not there, and what is wrong with its place is said before the work."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from sparkclin.commands.embed import main
from sparkclin.commands.ner import main as ner
from sparkclin.errors import IncompleteError, InputError, StepError
from sparkclin.runs import place, run
from sparkclin.runs.place import GUARD_FILE, check_place, check_space, whole_or_nothing
from sparkclin.runs.sink import Sink, check_written, read_rows, write_rows
from sparkclin.spark import storage
from sparkclin.spark.interrupts import running_tasks
from testkit.cluster import ClusterError, StandaloneCluster
from testkit.demo import SCRIPT

pytestmark = pytest.mark.usefixtures("spark")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    return Sink(path=str(tmp_path / "out"))


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    file = tmp_path / "notes.jsonl"
    file.write_text("".join(json.dumps({"note_id": str(n), "text": f"Fever {n}."}) + "\n" for n in range(8)))
    return file


def command(notes: Path, output: str) -> list[str]:
    return ["--input", str(notes), "--input-format", "jsonl", "--output", output]


def folder_of(sink: Sink) -> Path:
    return storage.local_path(sink.path)


@pytest.mark.skipif(not os.access("/", os.W_OK), reason="needs a root folder that can be written")
def test_an_output_in_the_root_folder(spark: SparkSession, tmp_path: Path) -> None:
    sink = Sink(path=f"/{tmp_path.name}-of-sparkclin")
    try:
        check_place(spark, sink)
        with whole_or_nothing(spark, sink) as made:
            check_space(spark, sink, least_bytes=1)
            write_rows(spark.range(10), made)
        assert pq.read_table(sink.path).num_rows == 10
        assert not [name for name in names(Path("/")) if "unfinished" in name]
    finally:
        shutil.rmtree(sink.path, ignore_errors=True)


def write_half(spark: SparkSession, sink: Sink) -> None:
    with whole_or_nothing(spark, sink) as made:
        write_rows(spark.range(10), made)
        raise ValueError("half-way")


def test_nothing_is_there_before_all_is(spark: SparkSession, sink: Sink) -> None:
    output = Path(sink.path)
    with whole_or_nothing(spark, sink) as made:
        write_rows(spark.range(10), made)
        assert read_rows(spark, made).count() == 10
        assert not output.exists()
    assert pq.read_table(output).num_rows == 10
    assert names(output.parent) == ["out"]


def test_a_failed_run_leaves_nothing_and_can_be_repeated(spark: SparkSession, sink: Sink) -> None:
    with pytest.raises(ValueError, match="half"):
        write_half(spark, sink)
    assert names(Path(sink.path).parent) == []
    test_nothing_is_there_before_all_is(spark, sink)


def test_rows_of_an_input_that_has_changed_meanwhile_are_no_output(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many notes as before, in another order of columns or with other texts: no count tells that."""

    def change_and_count(*given: Any, **options: Any) -> Any:
        notes.write_text(notes.read_text().replace("Fever", "Chill"))
        return check_written(*given, **options)

    monkeypatch.setattr(run, "check_written", change_and_count)
    assert main(command(notes, str(tmp_path / "out"))) == 1
    assert "1 of 1 files of" in (said := capsys.readouterr().err)
    assert "have changed since the run began (notes.jsonl): rows may be of both versions" in said
    assert names(tmp_path) == ["notes.jsonl"]


def test_what_tasks_write_after_a_failure_is_removed_too(spark: SparkSession, sink: Sink) -> None:
    """One task has failed, and another goes on, by which the folder would be there again."""

    fails = spark.range(0, 2, numPartitions=2).selectExpr(
        "if(id = 0, raise_error('half-way'), id + length(reflect('java.lang.Thread', 'sleep', 1500L))) as id"
    )
    with pytest.raises(StepError), whole_or_nothing(spark, sink) as made:
        write_rows(fails, made)
    assert running_tasks(spark.sparkContext) == 0
    assert names(Path(sink.path).parent) == []


def killed_while_writing(folder: Path) -> Path:
    """Return what a run leaves of the output `out` if its process is killed."""
    script = f"""
import os, signal
from pathlib import Path
from sparkclin.runs.claims import claimed
with claimed({str(folder / "out")!r}, on_loss=print) as claim:
    rows = Path(claim.rows)
    rows.mkdir(parents=True)
    (rows / "part-0.parquet").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    [claim, left] = sorted(folder.glob(".out.*"))
    assert claim.name.removeprefix(".out.run-") == left.name.removeprefix(".out.unfinished-")
    return left


def test_the_next_run_names_and_removes_what_a_killed_one_left(
    spark: SparkSession, sink: Sink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = killed_while_writing(tmp_path)
    test_nothing_is_there_before_all_is(spark, sink)
    assert not left.exists()
    assert f"{left} holds 1 files (0.0 MB, the last written 20" in capsys.readouterr().err


def test_what_was_killed_after_its_rename_is_removed_by_the_next(
    spark: SparkSession, sink: Sink, tmp_path: Path
) -> None:
    left = killed_while_writing(tmp_path)
    shutil.rmtree(left / "rows")
    Path(sink.path).mkdir()
    with pytest.raises(InputError, match="exists already"):
        check_place(spark, sink)
    assert names(tmp_path) == ["out"]


def test_whole_rows_of_a_killed_run_are_named(
    spark: SparkSession, sink: Sink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = killed_while_writing(tmp_path)
    (left / "rows" / "_report.json").write_text("{}")
    with whole_or_nothing(spark, sink) as made:
        folder_of(made).mkdir()
    assert f"{left}/rows holds the whole rows of a run that was ended" in capsys.readouterr().err
    assert (left / "rows" / "part-0.parquet").exists()


def test_a_second_run_is_refused_at_its_start_and_leaves_the_first_alone(
    spark: SparkSession, sink: Sink, notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with whole_or_nothing(spark, sink) as first:
        folder_of(first).mkdir()
        assert main(command(notes, sink.path)) == 1
        said = capsys.readouterr().err
        assert f"error: another run is writing {storage.as_url(sink.path)}: process {os.getpid()} on " in said
        assert "notes with" not in said
        assert len(names(tmp_path)) == 3
    assert names(tmp_path) == ["notes.jsonl", "out"]


def test_a_run_that_starts_after_another_has_published_is_refused(spark: SparkSession, sink: Sink) -> None:
    check_place(spark, sink)  # the second run looks before the first has begun
    with whole_or_nothing(spark, sink) as made:
        write_rows(spark.range(10), made)
    with pytest.raises(InputError, match="exists already"):
        write_half(spark, sink)
    assert pq.read_table(sink.path).num_rows == 10


def test_whole_rows_are_kept_where_their_name_was_taken_meanwhile(spark: SparkSession, sink: Sink) -> None:
    made = []

    def write() -> None:
        with whole_or_nothing(spark, sink) as hidden:
            made.append(hidden)
            write_rows(spark.range(10), hidden)
            (folder_of(hidden) / "_report.json").write_text("{}")
            Path(sink.path).mkdir()

    with pytest.raises(IncompleteError, match="the rows are whole, but could not be renamed") as raised:
        write()
    [kept] = made
    assert kept.path in str(raised.value)
    assert read_rows(spark, kept).count() == 10
    shutil.rmtree(sink.path)
    with whole_or_nothing(spark, sink) as again:
        folder_of(again).mkdir()
    assert read_rows(spark, kept).count() == 10


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk as if it could rename nothing, like an object store."""
    monkeypatch.setattr(place, "RENAMING", frozenset())


@pytest.mark.usefixtures("guarded")
def test_where_nothing_can_be_renamed_an_unfinished_output_cannot_be_read(spark: SparkSession, sink: Sink) -> None:
    with whole_or_nothing(spark, sink) as made:
        write_rows(spark.range(10), made)
        with pytest.raises(pa.ArrowInvalid, match="magic bytes"):
            pq.read_table(sink.path)
        with pytest.raises(Py4JJavaError, match="is not a Parquet file"):
            spark.read.schema("id long").parquet(sink.path).write.format("noop").mode("overwrite").save()
        assert read_rows(spark, made).count() == 10
    assert pq.read_table(sink.path).num_rows == 10
    assert GUARD_FILE not in names(Path(sink.path))


@pytest.mark.usefixtures("guarded")
def test_where_nothing_can_be_renamed_a_killed_run_does_not_block_the_next(spark: SparkSession, sink: Sink) -> None:
    Path(sink.path, "spans").mkdir(parents=True)
    Path(sink.path, "spans", "part-0.parquet").write_bytes(b"half")
    Path(sink.path, GUARD_FILE).write_bytes(b"unfinished")
    check_place(spark, sink)
    with whole_or_nothing(spark, sink, tables=("spans",)) as made:
        assert names(Path(sink.path, "spans")) == [GUARD_FILE]
        write_rows(spark.range(3), made.within("spans"))
    assert pq.read_table(Path(sink.path, "spans")).num_rows == 3
    with pytest.raises(InputError, match="exists already"):
        check_place(spark, sink)


@pytest.mark.usefixtures("guarded")
def test_where_nothing_can_be_renamed_a_failed_run_leaves_nothing(spark: SparkSession, sink: Sink) -> None:
    with pytest.raises(ValueError, match="half"):
        write_half(spark, sink)
    assert not Path(sink.path).exists()


@pytest.mark.usefixtures("guarded")
def test_where_nothing_can_be_renamed_whole_rows_of_a_killed_run_are_kept(spark: SparkSession, sink: Sink) -> None:
    Path(sink.path).mkdir()
    for name in (GUARD_FILE, "_report.json", "part-0.parquet"):
        Path(sink.path, name).write_bytes(b"")
    with pytest.raises(InputError, match="holds the whole rows of a run that was killed just before"):
        write_half(spark, sink)
    assert names(Path(sink.path)) == [GUARD_FILE, "_report.json", "part-0.parquet"]


@pytest.mark.usefixtures("guarded")
def test_where_nothing_can_be_renamed_an_output_within_an_unfinished_one_is_refused(
    spark: SparkSession, sink: Sink
) -> None:
    with whole_or_nothing(spark, sink, tables=("spans",)):
        for inner in ("spans", "spans/part", "other"):
            with pytest.raises(InputError, match=r"is inside .*/out.*, an unfinished output"):
                write_half(spark, sink.within(inner))
        assert names(Path(sink.path)) == [GUARD_FILE, "spans"]


@pytest.mark.usefixtures("guarded")
def test_a_run_that_was_taken_over_removes_nothing_of_the_other(spark: SparkSession, sink: Sink) -> None:
    """Such as a suspended one, which comes back."""
    output = Path(sink.path)

    def take_over() -> None:
        [claim] = output.parent.glob(".out.run-*")
        claim.unlink()
        (output / "part-of-the-other.parquet").write_bytes(b"half")

    def work(*, fails: bool) -> None:
        with whole_or_nothing(spark, sink):
            take_over()
            if fails:
                raise ValueError("half-way")

    for fails in (False, True):
        with pytest.raises(IncompleteError, match="another run has taken over"):
            work(fails=fails)
        assert names(output) == [GUARD_FILE, "part-of-the-other.parquet"]
        shutil.rmtree(output)


def test_an_output_in_the_input_is_refused_at_once(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = notes.parent
    assert main(["--input", str(folder), "--output", str(folder / "out")]) == 1
    assert f"{folder / 'out'} is in the input" in capsys.readouterr().err


def test_an_output_behind_a_link_to_the_input_is_in_it(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = notes.parent
    (folder.parent / f"{folder.name}-link").symlink_to(folder)
    for given in (folder, f"{folder}-link", f"{folder}/../{folder.name}-link"):
        for output in (folder / "out", f"{folder}-link/out", f"{folder}-link/../{folder.name}/out"):
            assert main(["--input", str(given), "--output", str(output)]) == 1
            assert "is in the input" in capsys.readouterr().err


@pytest.mark.parametrize("pattern", ["*", "[n.]*", "{x,out}", "ou?"])
def test_an_output_that_the_input_would_match_is_refused(
    notes: Path, pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it is made: its lock would be a note."""
    folder = notes.parent
    (folder / "x").write_text("")
    assert main(["--input", f"{folder}/{pattern}", "--input-format", "text", "--output", str(folder / "out")]) == 1
    assert "which this run would make. Choose another --output." in capsys.readouterr().err


def test_a_link_to_nowhere_takes_a_name(notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    assert main(command(notes, str(tmp_path / "out"))) == 1
    said = capsys.readouterr().err
    assert "exists already; nothing is overwritten" in said
    assert "notes with" not in said


def test_a_page_in_the_place_of_the_output_is_refused_at_once(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in (tmp_path / "out", tmp_path / ".." / tmp_path.name / "out"):
        assert ner(["--page", str(page), *command(notes, str(tmp_path / "out"))]) == 1
        said = capsys.readouterr().err
        assert "is the output's place too. Choose another --page." in said
        assert "notes with" not in said


@pytest.mark.parametrize("option", ["--input", "--output", "--models", "--model", "--trust", "--id-column"])
def test_arguments_that_are_not_utf8_are_refused_at_once(
    notes: Path, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command(notes, str(tmp_path / "out")), option, f"{tmp_path}/\udcff"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"error: {option} has bytes that are not UTF-8, which Java cannot take. Name it in UTF-8."


def test_a_name_that_java_cannot_write_is_refused(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "encoding_of_names", lambda _: "ascii")
    check_place(spark, Sink(path=str(tmp_path / "out")))
    with pytest.raises(InputError, match=r"Java cannot write the name .*LC_ALL"):
        check_place(spark, Sink(path=str(tmp_path / "é")))


@pytest.mark.parametrize("name", ["_out", ".out/"])
def test_a_name_that_spark_passes_over_is_refused_at_once(
    name: str, notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(notes, f"{tmp_path}/{name}")) == 1
    assert "begins with _ or a dot" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["out[1]", "a{b}", "a*", "a?"])
def test_a_name_that_could_not_be_read_again_is_refused_at_once(
    name: str, notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(notes, str(tmp_path / name))) == 1
    said = capsys.readouterr().err
    assert "takes for a pattern" in said
    assert "notes with" not in said  # the work has not begun


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_place_that_cannot_be_written_is_found_before_the_work(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    refused_before_the_work(notes, str(closed / "out"), capsys)


def test_a_place_below_a_file_is_found_before_the_work(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    refused_before_the_work(notes, str(tmp_path / "file" / "out"), capsys)


def test_an_unknown_file_system_is_found_before_the_work(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused_before_the_work(notes, "nowhere://bucket/out", capsys)


def refused_before_the_work(notes: Path, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(notes, output)) == 1
    said = capsys.readouterr().err
    assert "error: nothing can be written to " in said
    assert "Check --output." in said
    assert len(said.strip().splitlines()[-1]) < 400
    assert "notes with" not in said


def test_a_full_disk_is_found_before_the_work(spark: SparkSession, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    check_space(spark, sink, least_bytes=1)
    monkeypatch.setattr(storage, "free_bytes", lambda location: 1_000_000)  # noqa: ARG005
    with pytest.raises(InputError, match=r"takes 20 MB or more, and .* has 1 MB left"):
        check_space(spark, sink, least_bytes=20_000_000)


KILLS = int(os.environ.get("SPARKCLIN_KILLS", "3"))
"""The first third are of executors, whose runs go on afterwards and take longer."""


def check_what_is_there(output: Path, *, notes: int) -> None:
    """After a run that may have been killed: the whole output, or none that can be read."""
    if output.exists():
        vectors = pq.read_table(output)
        assert sorted(vectors["note_id"].to_pylist(), key=int) == [str(number) for number in range(notes)]
        assert vectors["vector"].null_count == 0
        assert (output / "_report.json").exists()
        shutil.rmtree(output)


def test_a_driver_killed_at_any_moment_leaves_nothing_or_all(notes: Path, tmp_path: Path) -> None:
    output, moments = tmp_path / "out", random.Random(20)
    for _ in range(KILLS - KILLS // 3):
        driver = subprocess.Popen(
            [sys.executable, "-m", "pipelines.embed_notes", *command(notes, str(output))],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with suppress(subprocess.TimeoutExpired):
            driver.wait(timeout=moments.uniform(4, 14))
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        check_what_is_there(output, notes=8)
    assert main(command(notes, str(output))) == 0
    check_what_is_there(output, notes=8)
    assert [name for name in names(tmp_path) if "unfinished" in name] == []


@pytest.mark.cluster
def test_an_executor_killed_at_any_moment_costs_no_note(
    cluster: StandaloneCluster, notes: Path, tmp_path: Path
) -> None:
    """Spark repeats its tasks on another one."""
    output, moments = tmp_path / "out", random.Random(21)
    for _ in range(KILLS // 3):
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(cluster.submit, SCRIPT, *command(notes, str(output)))
            with suppress(TimeoutError):
                run.result(timeout=moments.uniform(5, 15))
            for process in executors_of(cluster)[:1]:
                process.kill()
            with suppress(ClusterError):
                run.result()
        check_what_is_there(output, notes=8)


def executors_of(cluster: StandaloneCluster) -> list[psutil.Process]:
    """Each runs in a folder of its own in its worker's."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_executor = any("CoarseGrainedExecutorBackend" in part for part in process.cmdline())
            if is_executor and Path(process.cwd()).is_relative_to(cluster.folder):
                found.append(process)
    return found
