"""The table of memory by shapes."""

from __future__ import annotations

from benchmarks.shapes import Growth, Pass, to_text

GIB = 2**30


def growth(*, capacity: int | None, cpu_s: float, last: int, engine: str = "openvino") -> Growth:
    first = Pass(resident=(GIB, GIB, GIB, last * GIB), cpu_s=cpu_s)
    return Growth(
        engine=engine,
        precision="fp32",
        capacity=capacity,
        passes=(first, Pass(resident=(last * GIB,), cpu_s=2 * cpu_s)),
    )


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_ratios_are_taken_within_a_round() -> None:
    rounds = [(10.0, 10.0), (20.0, 30.0), (40.0, 42.0)]
    found = [
        growth(capacity=capacity, cpu_s=cpu_s, last=last)
        for default_s, bounded_s in rounds
        for capacity, cpu_s, last in ((5000, default_s, 3), (64, bounded_s, 2))
    ]
    header, _, default, bounded = cells(to_text(found))
    assert header[2:7] == ["100", "200", "300", "400", "again"]
    assert default == ["openvino fp32", "5,000", "1.00", "1.00", "1.00", "3.00", "3.00", "20", "1.00", "40", "1.00"]
    assert bounded == ["openvino fp32", "64", "1.00", "1.00", "1.00", "2.00", "2.00", "30", "1.05", "60", "1.05"]


def test_an_engine_without_such_a_cache_has_no_capacity() -> None:
    [*_, row] = cells(to_text([growth(capacity=None, cpu_s=1, last=1, engine="onnx")]))
    assert row[:2] == ["onnx fp32", "–"]
