"""What another engine would give, for people who did not ask for it."""

from __future__ import annotations

from collections.abc import Mapping

from sparkclin.engines import BF16, ENGINES, FP32, INT8, ONNX, OPENVINO, TENSORFLOW

RATES: Mapping[str, Mapping[str, float]] = {
    OPENVINO.name: {FP32: 1.2, BF16: 2.3, INT8: 3.6},
    ONNX.name: {FP32: 1.0, INT8: 2.0},
    TENSORFLOW.name: {FP32: 0.9},
}
"""How fast notes become vectors, by engine and precision, as multiples of ONNX fp32's rate, on a CPU with bf16:
docs/explanation/speed.md has the figures and the command. They are for advice only."""


def faster_in_workers(*, engine: str, precision: str) -> dict[str, float]:
    """By precision, how many times as fast as this version one would be that runs in the Python workers; those that are
    not faster are left out, and so is everything where this version already runs there."""
    own = RATES.get(engine, {}).get(precision)
    found = ENGINES.get(engine)
    if own is None or found is None or found.in_workers:
        return {}
    others = {kind: round(rate / own, 1) for kind, rate in RATES[OPENVINO.name].items()}
    return {kind: ratio for kind, ratio in others.items() if ratio > 1}


def advice(*, engine: str, precision: str) -> str:
    """What a version in the Python workers would give, in a sentence; empty where there is nothing to say."""
    faster = faster_in_workers(engine=engine, precision=precision)
    if not faster:
        return ""
    ratios = ", ".join(f"{kind} {ratio:g}" for kind, ratio in faster.items())
    return f"--engine {OPENVINO.name} would be faster, about this many times: {ratios} (sparkclin export makes it)"
