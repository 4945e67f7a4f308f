"""What is said of the machine, and the arithmetic of its rate."""

from __future__ import annotations

import os

from benchmarks.machine import PRODUCTS, ROWS, MatrixRate, describe_machine, measure_matrix_rate, name_cpu


def test_the_machine_is_described() -> None:
    machine = describe_machine()
    assert machine.cpu
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.memory_gb > 0
    assert machine.java.split(".")[0].isdigit()


def test_generations_of_one_name_are_told_apart() -> None:
    said = "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n"
    assert name_cpu(said) == name_cpu(said + said) == "AMD EPYC, family 26, model 2"
    assert name_cpu("model name\t: Some ARM\n") == "Some ARM"
    assert name_cpu("BogoMIPS: 50\n") == ""


def test_the_products_are_those_of_a_layer() -> None:
    assert PRODUCTS == ((768, 768), (768, 3072), (3072, 768))
    assert ROWS == 4096


def test_the_rate_is_of_all_libraries() -> None:
    rate = measure_matrix_rate("now", seconds=1e-9)
    assert set(rate.gflops) == {"numpy", "torch", "onnxruntime"}
    assert min(rate.gflops.values()) > 0


def test_the_fastest_library_counts() -> None:
    assert MatrixRate(when="", gflops={"numpy": 1, "torch": 2}).best == 2
