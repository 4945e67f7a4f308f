"""One measurement: what the process that makes it is told, and what it reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.shape import Shape

MODEL_NAME = "benchmark"


@dataclass(frozen=True, kw_only=True)
class Store:
    """The work folder of one size of model, with all that is made once and read by every measurement.

    `models` is the repository of its bundles.
    """

    folder: Path
    shape: Shape
    models: Path

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
    """What to embed by which contender. `rows` and `warm_up` are folders of Parquet files, one per task.

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
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Job:
        raw = json.loads(text)
        given = raw["store"]
        store = Store(folder=Path(given["folder"]), shape=Shape(**given["shape"]), models=Path(given["models"]))
        paths = {name: Path(raw[name]) for name in ("rows", "warm_up")}
        return cls(**{**raw, **paths, "store": store, "cpus": tuple(raw["cpus"])})


@dataclass(frozen=True, kw_only=True)
class Running:
    """A contender with its model loaded. `embed` takes a folder of rows and returns how many of them got a vector."""

    embed: Callable[[Path], int]
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """`rows` is how many rows got a vector; `load_s` includes the start of Spark."""

    rows: int
    load_s: float
    warm_up_s: float
    elapsed_s: float
    settings: Mapping[str, str]
