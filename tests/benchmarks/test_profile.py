"""What the profile makes of ONNX Runtime's events."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks.contenders import ONNX_FP32, ONNX_INT8
from benchmarks.profile import ATTENTION, LINEAR, REST, microseconds, to_text

STATES, HEADS = (42, 24, 768), (42, 12, 24, 64)


def event(operator: str, duration: int, *shapes: tuple[int, ...], ending: str = "_kernel_time") -> dict[str, Any]:
    return {
        "name": f"layer_0/{operator}{ending}",
        "dur": duration,
        "args": {"op_name": operator, "input_type_shape": [{"float": list(shape)} for shape in shapes]},
    }


def test_products_with_weights_are_linear_layers_and_others_attention() -> None:
    events = [
        event("MatMul", 5, STATES),
        event("MatMul", 3, HEADS, HEADS),
        event("FusedMatMul", 2, HEADS, HEADS),
        event("MatMulIntegerToFloat", 7, (1008, 768)),
        event("Transpose", 1, HEADS),
    ]
    assert microseconds(events) == {LINEAR: 12, ATTENTION: 5, REST: 1}


def test_time_counts_once() -> None:
    """An `If` contains its branch, and an operator's fences are no work of its own."""
    events = [
        event("If", 10),
        event("Softmax", 4, HEADS),
        event("Softmax", 1, HEADS, ending="_fence_before"),
        {"name": "model_run", "dur": 20},
    ]
    assert microseconds(events) == {"softmax": 4}


def test_the_table_has_shares_and_what_a_piece_takes() -> None:
    found = {("notes", ONNX_FP32): Counter({LINEAR: 900.0, REST: 100.0}), ("notes", ONNX_INT8): Counter({LINEAR: 50.0})}
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in to_text(found).splitlines()]
    assert lines[0] == ["share of the time", "notes fp32", "notes int8"]
    assert [LINEAR, "90%", "100%"] in lines
    assert [ATTENTION, "0%", "0%"] in lines
    assert lines[-1] == ["µs per piece and thread", "1,000", "50"]
