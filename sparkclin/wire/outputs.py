"""What a model's head gives per part of a segment, by name, and how the ones that are wanted are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparkclin.errors import ModelError
from sparkclin.wire.tags import REQUESTS


@dataclass(frozen=True)
class Output:
    """An output of a head: `size` numbers per segment part."""

    name: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a head gives, in the order in which it is sent, such as mean with 768 numbers, then max with 768.

    `selectable` heads send only what is asked for; others always send all. Raises ModelError for more outputs than
    requests can tell apart.
    """

    all: tuple[Output, ...]
    selectable: bool = True

    def __post_init__(self) -> None:
        if self.selectable and 1 << len(self.all) > REQUESTS:
            raise ModelError(f"a head has {len(self.all)} outputs; it can have {REQUESTS.bit_length() - 1} at most.")

    @property
    def names(self) -> list[str]:
        """Of all outputs, in order."""
        return [output.name for output in self.all]

    def request(self, wanted: Sequence[str]) -> int | None:
        """What the graph is told: a bit per output, the first output's being 1; None where it cannot be told.

        Raises ModelError for an output that the model does not have.
        """
        self.check(wanted)
        if not self.selectable:
            return None
        return sum(1 << index for index, output in enumerate(self.all) if output.name in wanted)

    def n_received(self, wanted: Sequence[str]) -> int:
        """How many numbers come back per part."""
        return sum(output.size for output in self._received(wanted))

    def columns(self, wanted: Sequence[str]) -> list[slice]:
        """Where the wanted outputs are among the numbers that come back, in the order of `wanted`."""
        begin, found = 0, {}
        for output in self._received(wanted):
            found[output.name] = slice(begin, begin + output.size)
            begin += output.size
        return [found[name] for name in wanted]

    def _received(self, wanted: Sequence[str]) -> list[Output]:
        self.check(wanted)
        return [output for output in self.all if output.name in wanted or not self.selectable]

    def check(self, wanted: Sequence[str]) -> None:
        """Raises ModelError for an output that the model does not have."""
        if missing := [name for name in wanted if name not in self.names]:
            raise ModelError(
                f"the model gives {', '.join(self.names) or 'nothing'} per segment, not {', '.join(missing)}. "
                "Use a model that was exported for this task."
            )
