"""One measurement: what the process that makes it is told, and what it reports."""

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
class Job:
    """What to read by which contender. `rows` and `warm_up` are folders of Parquet files, one per task of Spark's.

    `workload` is what the rows are of, `cpus` the processors that the process may use, `master` Spark's.
    """

    contender: str
    workload: str
    store: Store
    rows: Path
    warm_up: Path
    cpus: tuple[int, ...]
    master: str

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
        paths = {name: Path(raw[name]) for name in ("rows", "warm_up")}
        return cls(**{**raw, **paths, "store": store, "cpus": tuple(raw["cpus"])})


@dataclass(frozen=True, kw_only=True)
class Running:
    """A contender with its model loaded. `read` takes a folder of rows and returns how many of them got a result: a
    vector, or what the task is."""

    read: Callable[[Path], int]
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """`rows` is how many rows got a result; `load_s` includes the start of Spark."""

    rows: int
    load_s: float
    warm_up_s: float
    elapsed_s: float
    settings: Mapping[str, str]
