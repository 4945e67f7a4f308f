"""Which linear layers of an int8 model have 8-bit weights, and how what meets them is made fit for 8 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.graph.ops import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Scheme:
    """`name` is for people. `kept` are the linear layers that stay as they are, by their names or the beginnings of
    these, such as `layer_3` or `layer_3/attention/value`. `group_size` is how many numbers of a state share a scale,
    for an engine that lets one choose; 0 for all of a state's. `smoothing` is by a layer's name what its inputs are
    divided by, and its weights multiplied with, channel by channel: (inputs,).
    """

    name: str
    kept: frozenset[str] = frozenset()
    group_size: int = 0
    smoothing: Mapping[str, Array] = field(default_factory=dict)

    def keeps(self, layer: str) -> bool:
        parts = layer.split("/")
        return not self.kept.isdisjoint("/".join(parts[: count + 1]) for count in range(len(parts)))


FASTEST = Scheme(name="all linear layers")
