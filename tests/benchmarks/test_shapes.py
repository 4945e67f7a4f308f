"""The table of memory by shapes."""

from __future__ import annotations

from benchmarks.shapes import Growth, to_text

GIB = 2**30


def test_a_row_shows_the_memory_after_every_hundred_shapes() -> None:
    bounded = Growth(engine="openvino", precision="int8", capacity=64, resident=(GIB, 3 * GIB // 2))
    without = Growth(engine="onnx", precision="fp32", capacity=None, resident=(2 * GIB, 4 * GIB))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in to_text([bounded, without]).splitlines()]
    assert cells[0] == ["model", "capacity", "100", "200"]
    assert cells[2:] == [["openvino int8", "64", "1.00", "1.50"], ["onnx fp32", "–", "2.00", "4.00"]]
