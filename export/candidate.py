"""An exported model that is not yet trusted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sparkclin.export.scheme import DYNAMIC, Scheme
from sparkclin.export.trained import TrainedModel
from sparkclin.wire.outputs import Outputs


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What was, or will be, exported into `folder`, and the trained model that it is made of. `outputs` is what the
    graph gives per segment part; `scheme` is int8's."""

    folder: Path
    precision: str
    trained: TrainedModel
    tokenizer_json: str
    outputs: Outputs
    scheme: Scheme = DYNAMIC
