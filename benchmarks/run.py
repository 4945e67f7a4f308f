"""The whole run: make what is needed, measure trial after trial, write what was found."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import ours, stock
from benchmarks.contenders import CONTENDERS, OURS, Contender, find_contender
from benchmarks.errors import MissingError, RunError
from benchmarks.job import Store
from benchmarks.machine import cpus, describe_machine, measure_matrix_rate
from benchmarks.plan import SCALING, Effort, Planner
from benchmarks.plot import write_plots
from benchmarks.results import Results, WorkloadFacts
from benchmarks.shape import BASE, TINY, make_checkpoint
from benchmarks.trials import Measurement, Trial, in_rounds, measure
from benchmarks.workloads import NOTES, WORKLOADS
from sparkclin.errors import OptionError
from sparkclin.spark.settings import SPARK_NLP_VERSION
from testkit.material import CHECKOUT, SHARED, Material, read_material

SCALING_NAME = "scaling"
LIBRARIES = ("sparkclin", "pyspark", "spark-nlp", "torch", "transformers", "tokenizers", "numpy", "onnxruntime")
WARM_UP_SHARE = 0.25
"""Of the seconds of a measured run."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What to run. `only` holds names of contenders, of series of scaling, or `scaling` for all of these; everything
    where it is empty.

    `seconds` is how long a measured run should take, by the contenders' nominal rates.
    """

    out: Path = CHECKOUT / "benchmarks" / "results"
    work: Path = CHECKOUT / "build" / "bench"
    only: tuple[str, ...] = ()
    workloads: tuple[str, ...] = WORKLOADS
    rounds: int = 3
    seconds: float = 40
    matrix_seconds: float = 1
    smoke: bool = False

    def __post_init__(self) -> None:
        for name in sorted(set(self.only) - {SCALING_NAME, *SCALING}):
            find_contender(name)
        if self.rounds < 1 or self.seconds <= 0:
            raise OptionError(f"rounds is {self.rounds} and seconds {self.seconds:g}; both must be more than 0.")

    @property
    def contenders(self) -> list[Contender]:
        """In the order of the table."""
        return [contender for contender in CONTENDERS if not self.only or contender.name in self.only]

    @property
    def scaling(self) -> tuple[str, ...]:
        """The series of it."""
        return SCALING if not self.only or SCALING_NAME in self.only else tuple(s for s in SCALING if s in self.only)


def smoke_options(*, out: Path, work: Path) -> RunOptions:
    """Does it run? A tiny model, a row per core, one workload, contenders that are quick to prepare."""
    return RunOptions(
        out=out,
        work=work,
        only=("transformers fp32", "onnxruntime fp32", "sparkclin onnx fp32"),
        workloads=(NOTES,),
        rounds=1,
        seconds=1e-3,
        matrix_seconds=0.05,
        smoke=True,
    )


def run(options: RunOptions) -> Results:
    """Measure what the options ask for. results.json is written after every measurement, the pictures at the end."""
    material = material_of(options)
    store = open_store(options, material)
    missing: dict[str, str] = {}
    contenders = [contender for contender in options.contenders if is_ready(contender, store, missing)]
    scaled = scaled_contender(options, store, missing) if options.scaling else None
    machine, first_rate = describe_machine(), measure_matrix_rate("start", seconds=options.matrix_seconds)
    effort = Effort(
        seconds=options.seconds,
        warm_up_seconds=options.seconds * WARM_UP_SHARE,
        gflops=first_rate.best,
        cpus=cpus(),
    )
    planner = Planner(store=store, material=material, effort=effort)
    trials = [
        *planner.compare(contenders, options.workloads),
        *(planner.scale(scaled, options.scaling) if scaled else ()),
    ]
    results = Results(
        started=now(),
        finished="",
        machine=machine,
        versions=versions(),
        settings={"rounds": str(options.rounds), "seconds": f"{options.seconds:g}", "smoke": str(options.smoke)},
        model=store.shape,
        notes_source=material.notes_source,
        tokenizer_source=material.tokenizer_source,
        workloads={name: workload_facts(planner, name) for name in options.workloads},
        matrix_rates=[first_rate],
        measurements=[],
        missing=missing,
    )
    print(
        f"{len(trials)} cases, {options.rounds} rounds; {options.seconds:g} s per measurement and as much to start",
        flush=True,
    )
    results = measure_all(results, trials, options)
    last_rate = measure_matrix_rate("end", seconds=options.matrix_seconds)
    results = replace(results, finished=now(), matrix_rates=[*results.matrix_rates, last_rate])
    results.write(options.out)
    write_plots(results, options.out)
    return results


def material_of(options: RunOptions) -> Material:
    """The demo's for a smoke run, which is the same everywhere."""
    return read_material(Path() if options.smoke else SHARED)


def measure_all(results: Results, trials: Sequence[Trial], options: RunOptions) -> Results:
    """The results with a further measurement per trial and round, and a matrix rate per series and round."""
    last = None
    for number, trial in in_rounds(trials, rounds=options.rounds):
        if (trial.series, number) != last:
            last = (trial.series, number)
            rate = measure_matrix_rate(f"{trial.series}, round {number}", seconds=options.matrix_seconds)
            results = replace(results, matrix_rates=[*results.matrix_rates, rate])
        measurement = measure(trial, number=number)
        print(progress(measurement, of_rounds=options.rounds), flush=True)
        results = replace(results, measurements=[*results.measurements, measurement])
        results.write(options.out)
    return results


def progress(measurement: Measurement, *, of_rounds: int) -> str:
    what = f"{measurement.series}, {measurement.case}, round {measurement.round} of {of_rounds}"
    if measurement.timing is None:
        return f"{what}: {measurement.error}"
    return f"{what}: {measurement.pieces_per_s:,.0f} pieces/s in {measurement.elapsed_s:.0f} s"


def open_store(options: RunOptions, material: Material) -> Store:
    """The folder of this size of model and tokenizer, with its checkpoint."""
    size = "tiny" if options.smoke else "base"
    folder = options.work.absolute() / (size if material.real_tokenizer else f"{size}-demo-tokenizer")
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder=folder, shape=TINY if options.smoke else BASE, models=ours.models_folder(folder))
    make_checkpoint(store.checkpoint, shape=store.shape, tokenizer_json=material.tokenizer_json)
    return store


def is_ready(contender: Contender, store: Store, missing: dict[str, str]) -> bool:
    """Whether the contender could be prepared; where it could not, `missing` gets the reason."""
    print(f"preparing {contender.name}", flush=True)
    try:
        contender.prepare(store)
    except (MissingError, RunError) as reason:
        missing[contender.name] = str(reason)
        print(f"{contender.name} will not be measured: {reason}", flush=True)
    return contender.name not in missing


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
