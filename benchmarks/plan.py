"""Which trials there are: contenders side by side on workloads, how one of them scales, what attention costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmarks import attention, ours
from benchmarks.attention import ATTENTION, Pattern
from benchmarks.contenders import NOMINAL_GFLOPS, ONNX_FP32, RAW_FP32, Contender
from benchmarks.job import Job, Reading, Store
from benchmarks.trials import Trial
from benchmarks.workloads import LONG, NOTES, CountedText, count_pieces, make_rows, sample, texts_of, write_rows
from sparkclin.text.windows import cut
from testkit.material import Material

TASKS_PER_CORE = 2
SCALING_NAME = "scaling"
CORES, WORKERS, CORPUS, WINDOWS = "cores", "workers", "corpus", "windows"
SCALING = (CORES, WORKERS, CORPUS, WINDOWS)

N_SEPARATORS = 2
"""Between a question and a note."""

CORPUS_TIMES = (1, 4, 16)
WINDOW_COUNTS = (1, 2, 4, 8)

CLUSTER_START_S = 15
"""Roughly, of a standalone cluster."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long measured runs and warm-ups should take on `cpus`, of a machine that multiplies at `gflops` GFLOP/s."""

    seconds: float
    warm_up_seconds: float
    gflops: float
    cpus: tuple[int, ...]

    def rows(self, contender: Contender, workload: str, *, mean_pieces: float, seconds: float) -> int:
        """How many rows keep the contender busy for about `seconds`: as many for every core, and at least one."""
        per_s = self.pieces_per_s(contender, workload)
        return max(1, round(per_s * seconds / mean_pieces / len(self.cpus))) * len(self.cpus)

    def pieces_per_s(self, contender: Contender, workload: str) -> float:
        """Roughly, on all processors."""
        return contender.nominal[workload] * self.gflops / NOMINAL_GFLOPS


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Makes trials of a store's model, and writes their rows below the store's folder."""

    store: Store
    material: Material
    effort: Effort
    _made: dict[str, list[CountedText]] = field(default_factory=dict, repr=False)

    def compare(self, contenders: Sequence[Contender], workloads: Sequence[str]) -> list[Trial]:
        """Every contender on every workload, for the model's task."""
        return [
            self._trial(
                part=self.store.task.name,
                series=self.store.task.of(workload),
                case=contender.name,
                contender=contender,
                workload=workload,
                rows=self._sample(contender, workload, seconds=self.effort.seconds),
            )
            for workload in workloads
            for contender in contenders
        ]

    def scale(self, contender: Contender, series: Sequence[str]) -> list[Trial]:
        """How `contender` goes with more cores, more workers, a larger corpus and longer notes."""
        planned = {CORES: self._cores, WORKERS: self._workers, CORPUS: self._corpus, WINDOWS: self._windows}
        return [trial for name in series for trial in planned[name](contender)]

    def attend(self, pattern: Pattern) -> list[Trial]:
        """The engine by itself on rows of each length of ids. The model must have been exported."""
        return [self._attention_trial(pattern, length) for length in attention.row_lengths(self.store.shape)]

    @cached_property
    def max_pieces(self) -> int:
        """The most pieces of a note that one forward pass reads beside the task's question."""
        question = self.store.task.question
        beside = count_pieces(question, self.material.tokenizer()) + N_SEPARATORS if question else 0
        return self.store.shape.max_pieces - beside

    def workload(self, name: str) -> list[CountedText]:
        """All rows of a workload, made when they are first asked for."""
        if name not in self._made:
            tokenizer = self.material.tokenizer()
            self._made[name] = make_rows(name, self.material.notes, tokenizer=tokenizer, max_pieces=self.max_pieces)
        return self._made[name]

    def _cores(self, contender: Contender) -> list[Trial]:
        rows = self._sample(contender, NOTES, seconds=self.effort.seconds)
        cpus = self.effort.cpus
        return [
            self._trial(series=CORES, case=str(n), contender=contender, workload=NOTES, rows=rows, cpus=cpus[:n])
            for n in doubling(len(cpus))
        ]

    def _workers(self, contender: Contender) -> list[Trial]:
        rows = self._sample(contender, NOTES, seconds=self.effort.seconds)
        return [
            self._trial(series=WORKERS, case=str(n), contender=contender, workload=NOTES, rows=rows, workers=n)
            for n in doubling(len(self.effort.cpus))
        ]

    def _corpus(self, contender: Contender) -> list[Trial]:
        """The same notes once, four times and sixteen times; the middle one takes as long as other runs."""
        rows = self._sample(contender, NOTES, seconds=self.effort.seconds / CORPUS_TIMES[1])
        return [
            self._trial(
                series=CORPUS, case=f"×{n}", contender=contender, workload=NOTES, rows=sample(rows, n * len(rows))
            )
            for n in CORPUS_TIMES
        ]

    def _windows(self, contender: Contender) -> list[Trial]:
        """Notes of one, two, four and eight windows: fewer the longer, so that there are as many windows of each."""
        shape, longest = self.store.shape, WINDOW_COUNTS[-1]
        tokenizer = self.material.tokenizer()
        notes_of_longest = self.effort.rows(
            contender, LONG, mean_pieces=shape.max_pieces * longest, seconds=self.effort.seconds
        )
        trials = []
        for n in WINDOW_COUNTS:
            n_pieces = shape.max_pieces + (n - 1) * (shape.max_pieces - shape.stride)
            count = notes_of_longest * longest // n
            rows = texts_of(n_pieces, self.material.notes, count=count, tokenizer=tokenizer)
            trials.append(self._trial(series=WINDOWS, case=str(n), contender=contender, workload=LONG, rows=rows))
        return trials

    def _sample(self, contender: Contender, workload: str, *, seconds: float) -> list[CountedText]:
        rows = self.workload(workload)
        mean_pieces = sum(row.n_pieces for row in rows) / len(rows)
        return sample(rows, self.effort.rows(contender, workload, mean_pieces=mean_pieces, seconds=seconds))

    def _trial(
        self,
        *,
        series: str,
        case: str,
        contender: Contender,
        workload: str,
        rows: Sequence[CountedText],
        part: str = SCALING_NAME,
        cpus: tuple[int, ...] = (),
        workers: int = 0,
    ) -> Trial:
        """Also writes the rows. `cpus` are all of them where none are given."""
        cpus, shape = cpus or self.effort.cpus, self.store.shape
        folder = self._folder(series, case)
        warm_up = self._sample(contender, workload, seconds=self.effort.warm_up_seconds)
        n_busy = workers or len(cpus)
        parts, n_pieces = TASKS_PER_CORE * n_busy, sum(row.n_pieces for row in rows)
        n_read = n_pieces + sum(row.n_pieces for row in warm_up)
        per_s = self.effort.pieces_per_s(contender, workload) * n_busy / len(self.effort.cpus)
        write_rows(rows, folder / "measured", parts=parts)
        write_rows(warm_up, folder / "warm-up", parts=parts)
        return Trial(
            part=part,
            series=series,
            case=case,
            job=self._job(contender, workload, folder=folder, cpus=cpus),
            n_rows=len(rows),
            n_pieces=n_pieces,
            n_windows=sum(len(cut(row.n_pieces, self.max_pieces, shape.stride)) for row in rows),
            workers=workers,
            start_s=contender.start_s + (CLUSTER_START_S if workers else 0),
            expected_s=n_read / per_s,
        )

    def _folder(self, series: str, case: str) -> Path:
        """Where a trial's rows are: `measured` and `warm-up`."""
        return self.store.folder / "rows" / f"{series}-{case}".replace(" ", "-")

    def _job(self, contender: Contender, workload: str, *, folder: Path, cpus: tuple[int, ...]) -> Job:
        """Of one process, until a trial gives it a cluster."""
        rows, warm_up = folder / "measured", folder / "warm-up"
        return Job(
            contender=contender.name,
            store=self.store,
            readings=(Reading(workload=workload, rows=rows, warm_up=warm_up),),
            cpus=cpus,
            master="",
        )

    def _attention_trial(self, pattern: Pattern, length: int) -> Trial:
        """Also writes the rows."""
        case, effort, shape = pattern.case(length), self.effort, self.store.shape
        manifest = ours.exported(self.store, ONNX_FP32).manifest
        folder = self._folder(ATTENTION, case)
        counts = {
            name: effort.rows(RAW_FP32, LONG, mean_pieces=length, seconds=seconds)
            for name, seconds in (("measured", effort.seconds), ("warm-up", effort.warm_up_seconds))
        }
        for name, count in counts.items():
            rows = attention.random_rows(manifest, pattern, length=length, count=count)
            attention.write_rows(rows, folder / name)
        n_rows = counts["measured"]
        return Trial(
            part=ATTENTION,
            series=ATTENTION,
            case=case,
            job=self._job(RAW_FP32, ATTENTION, folder=folder, cpus=effort.cpus),
            n_rows=n_rows,
            n_pieces=n_rows * length,
            n_windows=n_rows,
            n_flops=n_rows * shape.flops(length, n_global=pattern.n_global),
            start_s=RAW_FP32.start_s,
            expected_s=sum(counts.values()) * length / effort.pieces_per_s(RAW_FP32, LONG),
        )


def doubling(most: int) -> list[int]:
    """1, 2, 4, … up to `most`."""
    return [2**power for power in range(most.bit_length())]
