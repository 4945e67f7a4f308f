"""Who is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from benchmarks import ours, raw_onnx, raw_rows, stock, transformers_udf
from benchmarks.job import Job, Running, Store
from benchmarks.ours import TENSORFLOW_FP32, Variant
from benchmarks.tasks import EMBED, TASKS, Task
from benchmarks.workloads import LONG, NOTES, SENTENCES
from sparkclin.engines import ENGINES
from sparkclin.errors import OptionError

ONNX_FP32 = Variant(engine="onnx", precision="fp32")
ONNX_INT8 = Variant(engine="onnx", precision="int8")
OPENVINO_FP32, OPENVINO_BF16, OPENVINO_INT8 = (
    Variant(engine="openvino", precision=precision) for precision in ("fp32", "bf16", "int8")
)

NOMINAL_GFLOPS = 189
"""Of the machine that the nominal rates are of."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """`prepare` makes what it needs, once; `start` loads it in the measuring process. `variant` is the version of
    our model that it needs, None for none.

    `nominal` are its pieces per second by workload, roughly, whatever the task; they only decide how many rows a
    measurement gets. `start_s` is roughly how long a process takes to start and load; it is for the plan only.
    """

    name: str
    prepare: Callable[[Store], object]
    start: Callable[[Job], Running]
    nominal: Mapping[str, float]
    start_s: float
    tasks: tuple[Task, ...] = field(default=TASKS, repr=False)
    variant: Variant | None = None


def nominal(sentences: float, notes: float, long: float) -> dict[str, float]:
    return {SENTENCES: sentences, NOTES: notes, LONG: long}


def needs_nothing(store: Store) -> None:
    """The checkpoint is all it reads."""


RAW_START_S = 4
TRANSFORMERS_START_S = 15
STOCK_START_S = 62
SPARK_NLP_START_S = 18
"""With the model's first run, for which engines prepare themselves."""

WORKERS_START_S = 10
"""Of Spark without Spark NLP and Python workers that open a model."""


def raw(name: str, variant: Variant, rates: Mapping[str, float]) -> Contender:
    module = raw_rows if ENGINES[variant.engine].in_workers else raw_onnx
    prepare, start = partial(ours.prepare, variant=variant), partial(module.start, variant=variant)
    return Contender(
        name=name, prepare=prepare, start=start, nominal=rates, start_s=RAW_START_S, tasks=(EMBED,), variant=variant
    )


def sparkclin(name: str, variant: Variant, rates: Mapping[str, float], *, tasks: tuple[Task, ...] = TASKS) -> Contender:
    prepare, start = partial(ours.prepare, variant=variant), partial(ours.start, variant=variant)
    start_s = WORKERS_START_S if ENGINES[variant.engine].in_workers else SPARK_NLP_START_S
    return Contender(
        name=name, prepare=prepare, start=start, nominal=rates, start_s=start_s, tasks=tasks, variant=variant
    )


def transformers(name: str, dtype: str, rates: Mapping[str, float], *, tasks: tuple[Task, ...] = TASKS) -> Contender:
    start = partial(transformers_udf.start, dtype=dtype)
    return Contender(
        name=name, prepare=needs_nothing, start=start, nominal=rates, start_s=TRANSFORMERS_START_S, tasks=tasks
    )


STOCK = Contender(
    name="stock",
    prepare=stock.prepare,
    start=stock.start,
    nominal=nominal(16, 330, 400),
    start_s=STOCK_START_S,
)
RAW_FP32 = raw("onnxruntime fp32", ONNX_FP32, nominal(1000, 800, 700))

CONTENDERS = (
    STOCK,
    transformers("transformers fp32", "float32", nominal(15, 330, 430)),
    transformers("transformers bf16", "bfloat16", nominal(26, 600, 620), tasks=(EMBED,)),
    RAW_FP32,
    raw("onnxruntime int8", ONNX_INT8, nominal(3500, 2000, 1600)),
    raw("openvino fp32", OPENVINO_FP32, nominal(1100, 1000, 970)),
    raw("openvino bf16", OPENVINO_BF16, nominal(2100, 1950, 1900)),
    raw("openvino int8", OPENVINO_INT8, nominal(3700, 3000, 2700)),
    sparkclin("sparkclin tensorflow fp32", TENSORFLOW_FP32, nominal(520, 520, 500), tasks=(EMBED,)),
    sparkclin("sparkclin onnx fp32", ONNX_FP32, nominal(900, 800, 700)),
    sparkclin("sparkclin onnx int8", ONNX_INT8, nominal(2500, 2000, 1600)),
    sparkclin("sparkclin openvino fp32", OPENVINO_FP32, nominal(1000, 950, 950), tasks=(EMBED,)),
    sparkclin("sparkclin openvino bf16", OPENVINO_BF16, nominal(1900, 1850, 1850)),
    sparkclin("sparkclin openvino int8", OPENVINO_INT8, nominal(3300, 2900, 2600)),
)
"""In the order of the table."""

OURS = [contender for contender in CONTENDERS if contender.name.startswith("sparkclin")]
"""The fastest last."""


def find_contender(name: str) -> Contender:
    """Raises OptionError, naming all, for one that there is not."""
    found = {contender.name: contender for contender in CONTENDERS}
    if name not in found:
        raise OptionError(f"there is no contender {name!r}; the contenders are {', '.join(found)}.")
    return found[name]
