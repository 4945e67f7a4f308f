"""How notes are read, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from sparkclin.errors import OptionError
from sparkclin.models.bundle import Manifest
from sparkclin.text.windows import WindowOptions


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """`max_pieces` and `stride` of windows are the model's own where they are None. A note of more than
    `max_note_pieces` pieces is not read, and its status says so; None for notes of any length."""

    max_pieces: int | None = None
    stride: int | None = None
    max_note_pieces: int | None = None

    def windows(self, manifest: Manifest) -> WindowOptions:
        """How a model's notes are cut; raises OptionError where the model cannot read such windows, and for what is no
        whole number, as True is none."""
        given = {"max_pieces": self.max_pieces, "stride": self.stride, "max_note_pieces": self.max_note_pieces}
        for name, value in given.items():
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
                raise OptionError(f"{name} is of the class {type(value).__name__}: expected a whole number, or None.")
        return manifest.windows(max_pieces=self.max_pieces, stride=self.stride, max_note_pieces=self.max_note_pieces)

    def settings(self, manifest: Manifest) -> Mapping[str, Any]:
        """For a run's report, with what the model decides filled in."""
        windows = self.windows(manifest)
        limit = {} if self.max_note_pieces is None else {"max_note_pieces": self.max_note_pieces}
        return {"max_pieces": windows.max_pieces, "stride": windows.stride, **limit}
