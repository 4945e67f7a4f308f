"""How many notes were done when, in a run: samples of it, no more than a chart can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MOST_SAMPLES = 120


@dataclass(frozen=True)
class Sample:
    """Seconds since the work began, and the notes that were done then."""

    elapsed_s: float
    notes: int


@dataclass(frozen=True)
class Stretch:
    """The notes per second between two samples."""

    from_s: float
    to_s: float
    notes_per_s: float


class Pace:
    """Takes samples while a run goes on, and keeps those in which notes were done."""

    def __init__(self) -> None:
        self._samples = [Sample(0.0, 0)]
        self._least_s = 0.0

    def add(self, elapsed_s: float, notes: int) -> None:
        """Where there are too many, every second one goes, and the next ones keep that distance."""
        last = self._samples[-1]
        if notes <= last.notes or elapsed_s - last.elapsed_s <= self._least_s:
            return
        self._samples.append(Sample(round(elapsed_s, 3), notes))
        if len(self._samples) > MOST_SAMPLES:
            self._samples = self._samples[::2]
            self._least_s = elapsed_s / MOST_SAMPLES

    def finished(self, elapsed_s: float, notes: int) -> tuple[Sample, ...]:
        """All samples, and that `notes` were done in the end. Where the last ones were not seen to be done before, the
        end is when they were."""
        end = [Sample(round(elapsed_s, 3), notes)] if notes > self._samples[-1].notes else []
        return tuple(self._samples + end)


def stretches(samples: Sequence[Sample], *, least_s: float) -> list[Stretch]:
    """The rates between samples of which each is `least_s` or more after the one before: what lies between is taken
    together, because tasks that end at about the same time are no peak."""
    kept = list(samples[:1])
    for sample in samples[1:]:
        if sample.elapsed_s - kept[-1].elapsed_s >= least_s and sample.elapsed_s > kept[-1].elapsed_s:
            kept.append(sample)
    if len(kept) > 1:
        kept[-1] = samples[-1]
    return [
        Stretch(a.elapsed_s, b.elapsed_s, (b.notes - a.notes) / (b.elapsed_s - a.elapsed_s)) for a, b in pairwise(kept)
    ]
