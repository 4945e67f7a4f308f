"""What a measuring process is told, and what it reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.shape import Shape
from benchmarks.tasks import EMBED, Task, find_task

MODEL_NAME = "benchmark"


@dataclass(frozen=True, kw_only=True)
class Store:
    """The work folder of one model, of a size and for a task, with all that is made once and read by every measurement.

    `models` is the repository of its bundles.
    """

    folder: Path
    shape: Shape
    models: Path
    task: Task = EMBED

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    @property
    def stock_model(self) -> Path:
        return self.folder / "stock"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is read at once, and a little of the same kind before it. `rows` and `warm_up` are folders of Parquet files,
    one per task of Spark's; `workload` is what the rows are of."""

    workload: str
    rows: Path
    warm_up: Path


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to read by which contender, one reading after the other. `cpus` are the processors that the process may use,
    `master` is Spark's."""

    contender: str
    store: Store
    readings: tuple[Reading, ...]
    cpus: tuple[int, ...]
    master: str

    @property
    def folders(self) -> list[Path]:
        """All that are read."""
        return [folder for reading in self.readings for folder in (reading.warm_up, reading.rows)]

    def to_json(self) -> str:
        raw = asdict(self)
        raw["store"]["task"] = self.store.task.name
        return json.dumps(raw, default=str)

    @classmethod
    def from_json(cls, text: str) -> Job:
        raw = json.loads(text)
        given = raw["store"]
        store = Store(
            folder=Path(given["folder"]),
            shape=Shape.from_dict(given["shape"]),
            models=Path(given["models"]),
            task=find_task(given["task"]),
        )
        readings = tuple(
            Reading(workload=each["workload"], rows=Path(each["rows"]), warm_up=Path(each["warm_up"]))
            for each in raw["readings"]
        )
        return cls(**{**raw, "readings": readings, "store": store, "cpus": tuple(raw["cpus"])})


@dataclass(frozen=True, kw_only=True)
class Running:
    """A contender with its model loaded. `read` takes a folder of rows, and what they are of, and returns how many of
    them got a result: a vector, or what the task is."""

    read: Callable[[Path, str], int]
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """`rows` is how many rows got a result; `load_s` includes the start of Spark, and is 0 where an earlier reading of
    the process has had it."""

    rows: int
    load_s: float
    warm_up_s: float
    elapsed_s: float
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Done:
    """A reading that was read: from `began_s`, before the warming up, to `ended_s`, by the machine's monotonic clock,
    which all processes share."""

    timing: Timing
    began_s: float
    ended_s: float

    @classmethod
    def from_json(cls, text: str) -> Done:
        raw = json.loads(text)
        return cls(**{**raw, "timing": Timing(**raw["timing"])})
