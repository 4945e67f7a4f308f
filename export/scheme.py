"""Which linear layers of an int8 model have 8-bit weights, and how what meets them is made fit for 8 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparkclin.export.graph.ops import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Scheme:
    """`labels` are for people. `kept` are the linear layers that stay as they are, by their names or the beginnings of
    these, such as `layer_3` or `layer_3/attention/value`.

    What meets a layer is quantized with a scale. It is static where the layer is in `ranges`, which has the largest
    magnitude to be expected there. Else it is dynamic, a scale per piece as the model runs; `group_size` is then how
    many numbers of a state share one, for an engine that lets one choose, and 0 for all of a state's. `smoothing` is by
    a layer's name what its inputs are divided by, and its weights multiplied with, channel by channel: (inputs,).
    """

    labels: tuple[str, ...] = ()
    kept: frozenset[str] = frozenset()
    ranges: Mapping[str, float] = field(default_factory=dict)
    group_size: int = 0
    smoothing: Mapping[str, Array] = field(default_factory=dict)

    @property
    def name(self) -> str:
        kind = "static" if self.ranges else "dynamic"
        groups = [f"scales of {self.group_size}"] if self.group_size else []
        return ", ".join([kind, *self.labels, *groups])

    def keeps(self, layer: str) -> bool:
        parts = layer.split("/")
        return not self.kept.isdisjoint("/".join(parts[: count + 1]) for count in range(len(parts)))


DYNAMIC = Scheme()
"""It needs to know nothing of what meets a layer."""
