"""The families that can be exported. A next family is one file here and a value of FAMILIES."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkclin.export.errors import CheckpointError
from sparkclin.export.families.bigbird import BIGBIRD
from sparkclin.export.families.family import Family
from sparkclin.export.families.longformer import LONGFORMER

FAMILIES: dict[str, Family] = {family.model_type: family for family in (LONGFORMER, BIGBIRD)}
"""By the `model_type` of config.json."""


def family_of(config: Mapping[str, Any], *, source: str) -> Family:
    """Raises CheckpointError, saying what there is, for a family that cannot be exported."""
    found = config.get("model_type")
    if found not in FAMILIES:
        raise CheckpointError(
            f"{source} is of model_type {found!r}; {', '.join(map(repr, FAMILIES))} can be exported. Check config.json."
        )
    return FAMILIES[found]
