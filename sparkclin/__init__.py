"""Clinical-note embeddings with Spark NLP: the vectors of the reference implementation, for whole corpora.

Importing this package starts nothing. The public names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sparkclin.errors import IncompleteError, InputError, ModelError, OptionError, SetupError, SparkclinError

if TYPE_CHECKING:
    from sparkclin.embedding import EmbedOptions, embed
    from sparkclin.models import active_repository, pretrained, use_models
    from sparkclin.pooling import VectorPooler
    from sparkclin.repository import ModelRepository
    from sparkclin.session import check_session, spark_session
    from sparkclin.tokenizer import NoteTokenizer

__version__ = "0.1.0"

_HOMES = {
    "EmbedOptions": "sparkclin.embedding",
    "ModelRepository": "sparkclin.repository",
    "NoteTokenizer": "sparkclin.tokenizer",
    "VectorPooler": "sparkclin.pooling",
    "active_repository": "sparkclin.models",
    "check_session": "sparkclin.session",
    "embed": "sparkclin.embedding",
    "pretrained": "sparkclin.models",
    "spark_session": "sparkclin.session",
    "use_models": "sparkclin.models",
}

__all__ = [
    "EmbedOptions",
    "IncompleteError",
    "InputError",
    "ModelError",
    "ModelRepository",
    "NoteTokenizer",
    "OptionError",
    "SetupError",
    "SparkclinError",
    "VectorPooler",
    "__version__",
    "active_repository",
    "check_session",
    "embed",
    "pretrained",
    "spark_session",
    "use_models",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
