"""Which trials are planned, and with how many rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.dataset
import pytest

from benchmarks.contenders import CONTENDERS, NOMINAL_GFLOPS, OURS, STOCK
from benchmarks.job import Job, Store
from benchmarks.plan import Effort, Planner, doubling
from benchmarks.shape import TINY
from benchmarks.tasks import ANSWER
from benchmarks.trials import Trial
from benchmarks.workloads import LONG, NOTES, SENTENCES
from testkit.material import read_material


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    effort = Effort(seconds=4, warm_up_seconds=1, gflops=NOMINAL_GFLOPS, cpus=(0, 1))
    return Planner(
        store=Store(folder=tmp_path, shape=TINY, models=tmp_path / "models"),
        material=read_material(Path("not there")),
        effort=effort,
    )


def lengths(folder: Path) -> list[int]:
    counts: list[int] = pyarrow.dataset.dataset(folder, format="parquet").to_table()["n_pieces"].to_pylist()
    return counts


def test_rows_fit_the_seconds_and_the_machine() -> None:
    effort = Effort(seconds=40, warm_up_seconds=5, gflops=NOMINAL_GFLOPS, cpus=(0, 1))
    twice = Effort(seconds=40, warm_up_seconds=5, gflops=2 * NOMINAL_GFLOPS, cpus=(0, 1))
    rate = STOCK.nominal[NOTES]
    assert effort.rows(STOCK, NOTES, mean_pieces=rate / 2, seconds=40) == 80
    assert twice.rows(STOCK, NOTES, mean_pieces=rate / 2, seconds=40) == 160


def test_every_core_has_a_row() -> None:
    effort = Effort(seconds=40, warm_up_seconds=5, gflops=NOMINAL_GFLOPS, cpus=(0, 1, 2))
    assert effort.rows(STOCK, LONG, mean_pieces=4094, seconds=1) == 3


def test_every_contender_meets_every_workload(planner: Planner) -> None:
    trials = planner.compare(CONTENDERS, [SENTENCES, LONG])
    assert [(trial.series, trial.case) for trial in trials] == [
        (workload, contender.name) for workload in (SENTENCES, LONG) for contender in CONTENDERS
    ]
    assert len({trial.job.readings[0].rows for trial in trials}) == len(trials)
    for trial in trials:
        written = lengths(trial.job.readings[0].rows)
        assert (len(written), sum(written)) == (trial.n_rows, trial.n_pieces)
        assert len(list(trial.job.readings[0].rows.iterdir())) == min(4, trial.n_rows)
        assert len(lengths(trial.job.readings[0].warm_up)) >= 2


def test_a_trial_says_how_long_it_should_take(planner: Planner) -> None:
    (trial,) = planner.compare([OURS[-1]], [SENTENCES])
    assert trial.expected_s == pytest.approx(4 + 1, rel=0.1)
    assert trial.start_s == OURS[-1].start_s
    one_core, both = planner.scale(OURS[-1], ["cores"])
    assert one_core.expected_s == pytest.approx(2 * both.expected_s)
    one_worker, _ = planner.scale(OURS[-1], ["workers"])
    assert one_worker.expected_s == pytest.approx(one_core.expected_s, rel=0.2)
    assert one_worker.start_s > one_core.start_s


def test_a_minute_of_sentences_is_a_thousand_rows_for_ours() -> None:
    effort = Effort(seconds=40, warm_up_seconds=5, gflops=100, cpus=(0, 1))
    onnx = [contender for contender in OURS if "onnx" in contender.name]
    assert all(effort.rows(contender, SENTENCES, mean_pieces=22, seconds=60) >= 1000 for contender in onnx)


def test_a_task_has_its_own_series_and_room_for_its_question(planner: Planner) -> None:
    asking = replace(planner, store=replace(planner.store, task=ANSWER))
    trials = asking.compare([STOCK], ANSWER.workloads)
    assert [trial.series for trial in trials] == ["answer notes", "answer long"]
    question = len(planner.material.tokenizer().encode(ANSWER.question, add_special_tokens=False).ids)
    assert asking.max_pieces == planner.max_pieces - question - 2
    assert set(lengths(trials[1].job.readings[0].rows)) == {asking.max_pieces}
    assert trials[1].n_windows == trials[1].n_rows


def scaled(planner: Planner, series: str) -> list[Trial]:
    return planner.scale(OURS[-1], [series])


def test_cores_are_doubled_on_the_same_rows(planner: Planner) -> None:
    trials = scaled(planner, "cores")
    assert [trial.job.cpus for trial in trials] == [(0,), (0, 1)]
    assert len({trial.n_pieces for trial in trials}) == 1


def test_workers_are_doubled_on_the_same_rows(planner: Planner) -> None:
    trials = scaled(planner, "workers")
    assert [trial.workers for trial in trials] == [1, 2]
    assert len({trial.n_pieces for trial in trials}) == 1


def test_a_larger_corpus_has_the_same_notes_more_often(planner: Planner) -> None:
    once, four, sixteen = scaled(planner, "corpus")
    assert (four.n_rows, sixteen.n_rows) == (4 * once.n_rows, 16 * once.n_rows)
    assert (four.n_pieces, sixteen.n_pieces) == (4 * once.n_pieces, 16 * once.n_pieces)


def test_longer_notes_have_as_many_windows_in_all(planner: Planner) -> None:
    trials = scaled(planner, "windows")
    assert len({trial.n_windows for trial in trials}) == 1
    assert [trial.n_windows // trial.n_rows for trial in trials] == [1, 2, 4, 8]
    assert [len(set(lengths(trial.job.readings[0].rows))) for trial in trials] == [1, 1, 1, 1]


def test_doubling_goes_no_further_than_there_is() -> None:
    assert [doubling(n) for n in (1, 2, 3, 8)] == [[1], [1, 2], [1, 2], [1, 2, 4, 8]]


def test_a_job_arrives_as_it_was_sent(planner: Planner) -> None:
    (trial, *_) = planner.compare([STOCK], [SENTENCES])
    assert Job.from_json(trial.job.to_json()) == trial.job
