"""What is asked of a head, and where it is in what comes back."""

from __future__ import annotations

import pytest

from sparkclin.errors import ModelError
from sparkclin.wire.outputs import Output, Outputs
from sparkclin.wire.tags import REQUESTS

ALL = (Output("mean", 4), Output("max", 4), Output("logits", 3))


@pytest.mark.parametrize(
    ("wanted", "request_bits", "received", "columns"),
    [
        (("mean",), 1, 4, [slice(0, 4)]),
        (("max",), 2, 4, [slice(0, 4)]),
        (("logits",), 4, 3, [slice(0, 3)]),
        (("mean", "max"), 3, 8, [slice(0, 4), slice(4, 8)]),
        (("logits", "mean"), 5, 7, [slice(4, 7), slice(0, 4)]),
    ],
)
def test_only_what_is_asked_for_comes_back(
    wanted: tuple[str, ...], request_bits: int, received: int, columns: list[slice]
) -> None:
    outputs = Outputs(all=ALL)
    assert outputs.request(wanted) == request_bits
    assert outputs.n_received(wanted) == received
    assert outputs.columns(wanted) == columns


def test_a_model_that_always_sends_all() -> None:
    outputs = Outputs(all=ALL, selectable=False)
    assert outputs.request(("max",)) is None
    assert outputs.n_received(("max",)) == 11
    assert outputs.columns(("max",)) == [slice(4, 8)]


def test_an_output_that_the_model_does_not_have() -> None:
    with pytest.raises(ModelError, match="gives mean, max, logits per segment, not answers"):
        Outputs(all=ALL).request(("mean", "answers"))


def test_more_outputs_than_requests_can_tell_apart() -> None:
    outputs = tuple(Output(f"output {number}", 1) for number in range(6))
    assert Outputs(all=outputs[:5]).request([output.name for output in outputs[:5]]) == REQUESTS - 1
    with pytest.raises(ModelError, match="6 outputs; it can have 5 at most"):
        Outputs(all=outputs)
    assert Outputs(all=outputs, selectable=False).n_received(["output 0"]) == 6
