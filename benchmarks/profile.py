"""Where ONNX Runtime's time goes, by kind of operator: `python -m benchmarks.profile`, after `make bench`.

One thread, and for each workload one batch of rows of its average length, all full. Shares are of the time that
operators take.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import ONNX_FP32, ONNX_INT8
from benchmarks.ours import Variant, prepare
from benchmarks.raw_onnx import inputs_of, model_file
from benchmarks.report import formatted, table
from benchmarks.run import material_of, open_store, options_beside, parser_beside
from benchmarks.shape import BASE, PAD_ID
from benchmarks.workloads import LONG, NOTES, SENTENCES
from sparkclin.errors import SparkclinError
from sparkclin.wire.packed import PIECES_PER_BATCH

LENGTHS = {SENTENCES: 24, NOTES: 739, LONG: BASE.max_pieces + 2}
SMOKE_LENGTHS = {SENTENCES: 24}
"""Of a workload's rows, special pieces included."""

VARIANTS = (ONNX_FP32, ONNX_INT8)
RUNS = 3
WITH_HEADS = 4
"""Axes of what attention multiplies: (rows, heads, …, …)."""

LINEAR, ATTENTION, REST = "linear layers", "attention's products", "copies and the rest"
KINDS = {
    "MatMul": ATTENTION,
    "FusedMatMul": ATTENTION,
    "MatMulIntegerToFloat": LINEAR,
    "Add": "biases and masks",
    "Softmax": "softmax",
    "Gelu": "activation",
    "SkipLayerNormalization": "normalisation",
    **dict.fromkeys(("ReduceMax", "ReduceMin", "Max", "Div", "QuantizeLinear", "Mul"), "quantization"),
}
TABLE_ROWS = tuple(dict.fromkeys((LINEAR, *KINDS.values(), REST)))


def kind_of(operator: str, shapes: Sequence[Mapping[str, Sequence[int]]]) -> str:
    """What an operator of the exported graph is for; `shapes` are its inputs', each by the name of its type.

    A product of states and weights is of (rows, pieces, width), one of attention's has an axis of heads besides.
    """
    if operator == "MatMul" and all(len(axes) < WITH_HEADS for shape in shapes for axes in shape.values()):
        return LINEAR
    return KINDS.get(operator, REST)


def microseconds(events: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """ONNX Runtime's profile -> time by kind. An `If` is left out: the operators of its branch are there too."""
    spent: Counter[str] = Counter()
    for event in events:
        operator = event.get("args", {}).get("op_name")
        if operator and operator != "If" and event["name"].endswith("_kernel_time"):
            spent[kind_of(operator, event["args"]["input_type_shape"])] += event["dur"]
    return spent


def profile(file: Path, *, length: int, vocab_size: int) -> Counter[str]:
    """Microseconds per piece, by kind, of a batch of rows of `length`."""
    import onnxruntime

    batch = np.random.default_rng(0).integers(PAD_ID + 1, vocab_size, (max(1, PIECES_PER_BATCH // length), length))
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder, "profile"))
        session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        inputs = {given.name: inputs_of(batch.tolist())[given.name] for given in session.get_inputs()}
        for _ in range(RUNS):
            session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return Counter({kind: spent / (RUNS * batch.size) for kind, spent in microseconds(events).items()})


def to_text(profiles: Mapping[tuple[str, Variant], Counter[str]]) -> str:
    """A row per kind, a column per workload and precision: shares; and what a piece takes altogether."""
    header = ("share of the time", *(f"{workload} {variant.precision}" for workload, variant in profiles))
    totals = [sum(spent.values()) for spent in profiles.values()]
    rows = [
        (kind, *(formatted(spent[kind] / total, ".0%") for spent, total in zip(profiles.values(), totals, strict=True)))
        for kind in TABLE_ROWS
    ]
    return table(header, [*rows, ("µs per piece and thread", *(formatted(total, ",.0f") for total in totals))])


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 where the models cannot be made."""
    parser = parser_beside("benchmarks.profile", "Time by kind of operator.", smoke="in fp32")
    given = parser.parse_args(arguments)
    options = options_beside(given)
    lengths, variants = (SMOKE_LENGTHS, VARIANTS[:1]) if given.smoke else (LENGTHS, VARIANTS)
    try:
        store = open_store(options, material_of(options))
        files = {v: model_file(prepare(store, v), store.folder / f"profiled-{v.precision}") for v in variants}
    except SparkclinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = {
        (name, v): profile(files[v], length=length, vocab_size=store.shape.vocab_size)
        for name, length in lengths.items()
        for v in variants
    }
    print(to_text(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
