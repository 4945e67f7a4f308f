"""What is said of an engine that nobody asked for."""

from __future__ import annotations

import pytest

from sparkclin.engines import ENGINES
from sparkclin.models.advice import RATES, advice, faster_in_workers


def test_every_version_that_can_be_made_has_a_rate() -> None:
    made = {name: set(engine.precisions) for name, engine in ENGINES.items()}
    assert {name: set(rates) for name, rates in RATES.items()} == made


@pytest.mark.parametrize("engine", [name for name, engine in ENGINES.items() if engine.spark_nlp])
def test_what_runs_in_spark_nlp_is_compared_with_what_runs_in_workers(engine: str) -> None:
    found = faster_in_workers(engine=engine, precision="fp32")
    assert list(found) == ["fp32", "bf16", "int8"]
    assert sorted(found.values()) == list(found.values())
    assert f"bf16 {found['bf16']:g}" in advice(engine=engine, precision="fp32")


def test_only_what_is_faster_is_named() -> None:
    assert "fp32" not in faster_in_workers(engine="onnx", precision="int8")


@pytest.mark.parametrize(("engine", "precision"), [("openvino", "fp32"), ("of tomorrow", "fp32"), ("onnx", "fp4")])
def test_there_is_nothing_to_say_of_others(engine: str, precision: str) -> None:
    assert advice(engine=engine, precision=precision) == ""
