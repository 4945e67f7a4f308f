"""8-bit layers: what they compute, and that no CPU computes something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sparkclin.export.graph.onnx import MODEL_FILE, OnnxGraph, quantized, safe_scales, write_model
from sparkclin.export.graph.ops import Ops, Tensor

Array = npt.NDArray[Any]
GENERATOR = np.random.default_rng(0)


def weights(inputs: int, outputs: int) -> Array:
    return GENERATOR.standard_normal((inputs, outputs)).astype(np.float32)


def linear(folder: Path, x: Array, weight: Array, bias: Array) -> Array:
    """An int8 layer of its own; `x` are whole numbers, since ids are what a graph can be given."""

    def body(ops: Ops, ids: Tensor) -> Tensor:
        return ops.linear(ops.reshape(ops.to_float(ids), (1, -1, len(weight))), weight, bias)

    write_model(folder, body, precision="int8")
    [found] = OnnxGraph((folder / MODEL_FILE).read_bytes()).run(x, np.ones_like(x))
    return np.asarray(found)


@pytest.mark.parametrize(
    "weight",
    [
        weights(64, 8),
        weights(63, 8),
        np.abs(weights(64, 8)),
        np.repeat(weights(32, 8), 2, axis=0),  # neighbours are equal
        np.ones((2, 1), np.float32),
        -np.ones((3, 1), np.float32),
        np.zeros((4, 2), np.float32),
    ],
    ids=["any", "odd", "positive", "equal neighbours", "ones", "minus ones", "zeros"],
)
def test_products_of_neighbours_fit_into_16_bits(weight: Array) -> None:
    """On x86 without VNNI two products of a byte, 0…255, with a weight are added in 16 bits."""
    steps = quantized(weight, safe_scales(weight)).astype(np.int64)
    pairs = np.pad(steps, ((0, len(steps) % 2), (0, 0))).reshape(-1, 2, steps.shape[1])
    assert 255 * np.maximum(pairs, 0).sum(axis=1).max() <= 32_767
    assert 255 * np.minimum(pairs, 0).sum(axis=1).min() >= -32_768
    assert np.abs(steps).max() <= 127


def test_weights_are_kept_to_half_a_step() -> None:
    weight = weights(64, 8)
    scales = safe_scales(weight)
    assert np.all(np.abs(quantized(weight, scales) * scales - weight) <= scales * 0.501)
    assert np.all(scales <= 2 * np.abs(weight).max(axis=0) / 127)


def test_a_layer_is_near_its_exact_product(tmp_path: Path) -> None:
    x, weight, bias = GENERATOR.integers(-50, 50, (6, 64)).astype(np.int32), weights(64, 8), weights(1, 8)[0]
    expected = x @ weight + bias
    assert np.abs(linear(tmp_path, x, weight, bias) - expected).max() <= 0.01 * np.abs(expected).max()


def test_a_large_row_takes_no_steps_from_a_small_one(tmp_path: Path) -> None:
    small, weight, bias = GENERATOR.integers(-50, 50, (1, 64)).astype(np.int32), weights(64, 8), np.zeros(8, np.float32)
    alone = linear(tmp_path / "alone", small, weight, bias)
    together = linear(tmp_path / "together", np.concatenate([small, 10_000 * small]), weight, bias)
    np.testing.assert_array_equal(together[:1], alone)


def test_a_row_of_zeros_gives_the_bias(tmp_path: Path) -> None:
    """As after ReLU; its largest value is nothing to divide by."""
    bias = weights(1, 8)[0]
    found = linear(tmp_path, np.zeros((2, 64), np.int32), weights(64, 8), bias)
    np.testing.assert_array_equal(found, np.tile(bias, (2, 1)))
