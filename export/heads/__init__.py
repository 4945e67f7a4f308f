"""The heads that can be exported. A next head is one file here and a value of HEADS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkclin.export.errors import CheckpointError
from sparkclin.export.heads.embedding import EmbeddingHead
from sparkclin.export.heads.head import HeadSpec
from sparkclin.export.heads.question_answering import BIGBIRD_QUESTION_ANSWERING, QUESTION_ANSWERING
from sparkclin.export.heads.sequence_classification import BIGBIRD_SEQUENCE_CLASSIFICATION, SEQUENCE_CLASSIFICATION
from sparkclin.export.heads.token_classification import TOKEN_CLASSIFICATION
from sparkclin.schema import EMBED

EMBEDDING = HeadSpec(
    task=EMBED,
    architectures=("Model", "ForMaskedLM", "ForPreTraining"),
    shapes=lambda _config, _raw: {},
    build=lambda _tensors, config, _raw: EmbeddingHead(width=config.width),
)

HEADS: list[HeadSpec] = [
    EMBEDDING,
    TOKEN_CLASSIFICATION,
    BIGBIRD_SEQUENCE_CLASSIFICATION,
    SEQUENCE_CLASSIFICATION,
    BIGBIRD_QUESTION_ANSWERING,
    QUESTION_ANSWERING,
]
"""A family's own head stands before the one that the others share: the first whose architecture fits is taken."""


def head_of(config: Mapping[str, Any], *, source: str) -> HeadSpec:
    """The head that a checkpoint's config.json names in `architectures`; where it names none, the embedding head.

    Raises CheckpointError, saying what there is, for an architecture without a head here.
    """
    names = config.get("architectures") or ["Model"]
    found = [spec for spec in HEADS for name in names if str(name).endswith(spec.architectures)]
    if not found:
        known = ", ".join(f"…{ending}" for spec in HEADS for ending in spec.architectures)
        raise CheckpointError(
            f"{source} is a {', '.join(map(str, names))}; the architectures that can be exported end in {known}. "
            "Check config.json."
        )
    return found[0]
