"""The whole run: make what is needed, measure trial after trial, write what was found."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import ours, stock
from benchmarks.attention import ATTENTION, PATTERNS, Pattern
from benchmarks.contenders import CONTENDERS, OURS, RAW_FP32, Contender, find_contender
from benchmarks.errors import MissingError, RunError
from benchmarks.job import Store
from benchmarks.machine import cpus, describe_machine, measure_matrix_rate
from benchmarks.plan import SCALING, SCALING_NAME, Effort, Planner
from benchmarks.plot import write_plots
from benchmarks.results import Results, WorkloadFacts
from benchmarks.shape import BASE, TINY, Shape, as_bigbird, make_checkpoint
from benchmarks.tasks import EMBED, TASKS, Task
from benchmarks.trials import Measurement, Sitting, in_rounds, measure, sittings
from benchmarks.workloads import WORKLOADS
from sparkclin.errors import OptionError
from sparkclin.evaluation.notes import packaged_notes
from sparkclin.spark.settings import SPARK_NLP_VERSION
from testkit.material import CHECKOUT, SHARED, Material, read_material
from testkit.tokenizers import train_unigram

PARTS = (*(task.name for task in TASKS), SCALING_NAME, *SCALING, ATTENTION)
"""What `only` may name beside contenders."""

QUICK = (
    "stock",
    "transformers fp32",
    "openvino bf16",
    "openvino int8",
    "sparkclin onnx fp32",
    "sparkclin onnx int8",
    "sparkclin openvino bf16",
    "sparkclin openvino int8",
)
"""The contenders of --quick."""

LIBRARIES = ("sparkclin", "pyspark", "spark-nlp", "torch", "transformers", "tokenizers", "numpy", "onnxruntime")
MATRIX_SECONDS = 11
"""That a matrix rate takes, by those of each product: three libraries multiply three."""

WARM_UP_SHARE = 0.25
"""Of the seconds of a measured run."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What to run. `only` holds names of PARTS and of contenders; everything where it is empty. Contenders are compared
    in the tasks that are named, all of them where none is; and all contenders in a task where none of them is named.

    `seconds` is how long a reading should take, by the contenders' nominal rates. `rounds` are those of vectors;
    all else has half as many.
    """

    out: Path = CHECKOUT / "benchmarks" / "results"
    work: Path = CHECKOUT / "build" / "bench"
    only: tuple[str, ...] = ()
    workloads: tuple[str, ...] = WORKLOADS
    rounds: int = 2
    seconds: float = 10
    matrix_seconds: float = 1
    smoke: bool = False

    def __post_init__(self) -> None:
        for name in sorted(set(self.only) - set(PARTS)):
            find_contender(name)
        if self.rounds < 1 or self.seconds <= 0:
            raise OptionError(f"rounds is {self.rounds} and seconds {self.seconds:g}; both must be more than 0.")

    @property
    def contenders(self) -> list[Contender]:
        """Those that are compared, in the order of the table."""
        named = [contender for contender in CONTENDERS if contender.name in self.only]
        return named or (list(CONTENDERS) if not self.only or self._named_tasks else [])

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Those that contenders are compared in."""
        return (self._named_tasks or TASKS) if self.contenders else ()

    @property
    def _named_tasks(self) -> tuple[Task, ...]:
        return tuple(task for task in TASKS if task.name in self.only)

    def rounds_of(self, part: str) -> int:
        return self.rounds if part == EMBED.name else -(-self.rounds // 2)

    def workloads_of(self, task: Task) -> list[str]:
        """Those of the task that are asked for."""
        return [name for name in task.workloads if name in self.workloads]

    @property
    def shape(self) -> Shape:
        """Of the Longformers that are measured."""
        return TINY if self.smoke else BASE

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The attentions that are measured."""
        return PATTERNS if not self.only or ATTENTION in self.only else ()

    @property
    def scaling(self) -> tuple[str, ...]:
        """The series of it."""
        return SCALING if not self.only or SCALING_NAME in self.only else tuple(s for s in SCALING if s in self.only)


def quick_options(*, out: Path, work: Path) -> RunOptions:
    """Roughly how fast? Vectors by the contenders that tell most, once each."""
    return RunOptions(out=out, work=work, only=(EMBED.name, *QUICK), rounds=1, seconds=5)


def smoke_options(*, out: Path, work: Path, only: tuple[str, ...] = ()) -> RunOptions:
    """Does it run? A tiny model, a row per core; by default contenders that are quick to prepare."""
    return RunOptions(
        out=out,
        work=work,
        only=only or (EMBED.name, "transformers fp32", "onnxruntime fp32", "sparkclin onnx fp32"),
        rounds=1,
        seconds=1e-3,
        matrix_seconds=0.05,
        smoke=True,
    )


def parser_beside(name: str, description: str, *, smoke: str) -> argparse.ArgumentParser:
    """The options of a command that looks at the benchmark's models; `smoke` says what it then looks at."""
    made = argparse.ArgumentParser(prog=f"python -m {name}", description=description)
    made.add_argument("--work", type=Path, default=RunOptions.work, metavar="DIR", help="that of python -m benchmarks")
    made.add_argument("--smoke", action="store_true", help=f"the tiny model of --smoke, {smoke}")
    return made


def options_beside(given: argparse.Namespace) -> RunOptions:
    """What such a command was given."""
    return smoke_options(out=RunOptions.out, work=given.work) if given.smoke else RunOptions(work=given.work)


def run(options: RunOptions) -> Results:
    """Measure what the options ask for. results.json is written after every process, the pictures at the end."""
    material = material_of(options)
    missing: dict[str, str] = {}
    contenders = ready_contenders(options, material, missing)
    patterns = ready_patterns(options, material, missing)
    scaled = scaled_contender(options, open_store(options, material), missing) if options.scaling else None
    machine, first_rate = describe_machine(), measure_matrix_rate("start", seconds=options.matrix_seconds)
    effort = Effort(
        seconds=options.seconds,
        warm_up_seconds=options.seconds * WARM_UP_SHARE,
        gflops=first_rate.best,
        cpus=cpus(),
    )

    def planner(*, task: Task = EMBED, is_bigbird: bool = False) -> Planner:
        store = open_store(options, material, task=task, is_bigbird=is_bigbird)
        return Planner(store=store, material=material, effort=effort)

    planners = {task: planner(task=task) for task in contenders}
    trials = [
        *(
            trial
            for task, its in planners.items()
            for trial in its.compare(contenders[task], options.workloads_of(task))
        ),
        *(planner().scale(scaled, options.scaling) if scaled else ()),
        *(t for p in patterns for t in planner(task=p.task, is_bigbird=p.is_bigbird).attend(p)),
    ]
    results = Results(
        started=now(),
        finished="",
        machine=machine,
        versions=versions(),
        settings={"rounds": str(options.rounds), "seconds": f"{options.seconds:g}", "smoke": str(options.smoke)},
        model=options.shape,
        notes_source=material.notes_source,
        tokenizer_source=material.tokenizer_source,
        workloads={
            task.of(name): workload_facts(its, name)
            for task, its in planners.items()
            for name in options.workloads_of(task)
        },
        matrix_rates=[first_rate],
        measurements=[],
        missing=missing,
    )
    planned = sittings(trials)
    print(to_plan(planned, rounds=options.rounds_of, rates_s=options.matrix_seconds * MATRIX_SECONDS), flush=True)
    results = measure_all(results, planned, options)
    last_rate = measure_matrix_rate("end", seconds=options.matrix_seconds)
    results = replace(results, finished=now(), matrix_rates=[*results.matrix_rates, last_rate])
    results.write(options.out)
    write_plots(results, options.out)
    return results


def ready_contenders(options: RunOptions, material: Material, missing: dict[str, str]) -> dict[Task, list[Contender]]:
    """By task, those that could be prepared."""
    ready = {}
    for task in options.tasks:
        store = open_store(options, material, task=task)
        its = [contender for contender in options.contenders if task in contender.tasks]
        variants = dict.fromkeys(contender.variant for contender in its if contender.variant)
        print(f"preparing models for {task.name}", flush=True)
        ours.prepare_together(store, list(variants))
        ready[task] = [contender for contender in its if is_ready(contender, store, missing)]
    return ready


def ready_patterns(options: RunOptions, material: Material, missing: dict[str, str]) -> list[Pattern]:
    """The attentions whose models could be prepared."""
    return [
        pattern
        for pattern in options.patterns
        for store in [open_store(options, material, task=pattern.task, is_bigbird=pattern.is_bigbird)]
        if is_ready(RAW_FP32, store, missing, name=f"{ATTENTION} {pattern.name}")
    ]


def material_of(options: RunOptions) -> Material:
    """The demo's for a smoke run, which is the same everywhere."""
    return read_material(Path() if options.smoke else SHARED)


def measure_all(results: Results, planned: Sequence[Sitting], options: RunOptions) -> Results:
    """The results with a further measurement per trial and round, and a matrix rate per part and round."""
    last = None
    for turn in in_rounds(planned, rounds=options.rounds_of):
        part, number = turn.sitting.part, turn.number
        if (part, number) != last:
            last = (part, number)
            rate = measure_matrix_rate(f"{part}, round {number}", seconds=options.matrix_seconds)
            results = replace(results, matrix_rates=[*results.matrix_rates, rate])
        for measurement in measure(turn.sitting, number=number):
            print(progress(measurement, of_rounds=options.rounds_of(part)), flush=True)
            results = replace(results, measurements=[*results.measurements, measurement])
            results.write(options.out)
    return results


def to_plan(planned: Sequence[Sitting], *, rounds: Callable[[str], int], rates_s: float) -> str:
    """What will be measured, and the minutes that it should take, by part; `rates_s` is what a matrix rate takes."""
    lines, total_s = [], 2 * rates_s
    for part in dict.fromkeys(sitting.part for sitting in planned):
        its, times = [sitting for sitting in planned if sitting.part == part], rounds(part)
        cases = sum(len(sitting.trials) for sitting in its)
        part_s = times * (rates_s + sum(sitting.expected_s for sitting in its))
        total_s += part_s
        lines.append(f"  {part}: {cases} cases in {len(its)} processes, {times} of each, {part_s / 60:.1f} minutes")
    return "\n".join([f"some {total_s / 60:.0f} minutes", *lines])


def progress(measurement: Measurement, *, of_rounds: int) -> str:
    what = f"{measurement.series}, {measurement.case}, round {measurement.round} of {of_rounds}"
    if measurement.timing is None:
        return f"{what}: {measurement.error}"
    return f"{what}: {measurement.pieces_per_s:,.0f} pieces/s in {measurement.elapsed_s:.0f} s"


def open_store(options: RunOptions, material: Material, *, task: Task = EMBED, is_bigbird: bool = False) -> Store:
    """The folder of this model and tokenizer, with its checkpoint. A BigBird has a small tokenizer of its own."""
    real = material.real_tokenizer or is_bigbird
    parts = [
        "tiny" if options.smoke else "base",
        "bigbird" if is_bigbird else "",
        "" if task == EMBED else task.name,
        "" if real else "demo-tokenizer",
    ]
    folder = options.work.absolute() / "-".join(filter(None, parts))
    folder.mkdir(parents=True, exist_ok=True)
    shape = as_bigbird(options.shape) if is_bigbird else options.shape
    tokenizer_json = train_unigram(note.text for note in packaged_notes()) if is_bigbird else material.tokenizer_json
    store = Store(folder=folder, shape=shape, models=ours.models_folder(folder), task=task)
    make_checkpoint(store.checkpoint, shape=shape, task=task, tokenizer_json=tokenizer_json)
    return store


def is_ready(contender: Contender, store: Store, missing: dict[str, str], *, name: str | None = None) -> bool:
    """Whether the contender could be prepared; where it could not, `missing` gets the reason, by `name` or the
    contender's and the store's task."""
    name = name or store.task.of(contender.name)
    print(f"preparing {name}", flush=True)
    try:
        contender.prepare(store)
    except (MissingError, RunError) as reason:
        missing[name] = str(reason)
        print(f"{name} will not be measured: {reason}", flush=True)
    return name not in missing


def scaled_contender(options: RunOptions, store: Store, missing: dict[str, str]) -> Contender | None:
    """The last of ours, which is the fastest, among those that are measured anyway, or else among all."""
    chosen = [contender for contender in options.contenders if contender in OURS] or OURS
    return next((contender for contender in reversed(chosen) if is_ready(contender, store, missing)), None)


def workload_facts(planner: Planner, name: str) -> WorkloadFacts:
    lengths = [row.n_pieces for row in planner.workload(name)]
    return WorkloadFacts(
        rows=len(lengths),
        mean_pieces=statistics.mean(lengths),
        longest=max(lengths),
        flops_per_piece=planner.store.shape.flops_per_piece(lengths),
    )


def versions() -> dict[str, str]:
    installed = {name: SPARK_NLP_VERSION if name == "spark-nlp" else version(name) for name in LIBRARIES}
    return {**installed, "stock": ", ".join(stock.REQUIREMENTS)}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
