"""What the profile makes of ONNX Runtime's events."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks.contenders import ONNX_FP32, ONNX_INT8
from benchmarks.profile import ATTENTION, LINEAR, REST, microseconds, to_text


def event(operator: str, duration: int, *, parameter_size: int = 0, ending: str = "_kernel_time") -> dict[str, Any]:
    return {
        "name": f"layer_0/{operator}{ending}",
        "dur": duration,
        "args": {"op_name": operator, "parameter_size": str(parameter_size)},
    }


def test_products_with_weights_are_linear_layers_and_others_attention() -> None:
    events = [
        event("MatMul", 5, parameter_size=2_359_296),
        event("MatMul", 3),
        event("FusedMatMul", 2),
        event("MatMulIntegerToFloat", 7, parameter_size=590_592),
        event("Transpose", 1),
    ]
    assert microseconds(events) == {LINEAR: 12, ATTENTION: 5, REST: 1}


def test_time_counts_once() -> None:
    """An `If` contains its branch, and an operator's fences are no work of its own."""
    events = [
        event("If", 10),
        event("Softmax", 4),
        event("Softmax", 1, ending="_fence_before"),
        {"name": "model_run", "dur": 20},
    ]
    assert microseconds(events) == {"softmax": 4}


def test_the_table_has_shares_and_what_a_piece_takes() -> None:
    found = {("notes", ONNX_FP32): Counter({LINEAR: 900.0, REST: 100.0}), ("notes", ONNX_INT8): Counter({LINEAR: 50.0})}
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in to_text(found).splitlines()]
    assert lines[0] == ["share of the time", "notes fp32", "notes int8"]
    assert [LINEAR, "90%", "100%"] in lines
    assert [ATTENTION, "0%", "0%"] in lines
    assert lines[-1] == ["µs a piece and thread", "1,000", "50"]
