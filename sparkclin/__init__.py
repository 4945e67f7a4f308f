"""Clinical-note embeddings with Spark NLP: the vectors of the reference implementation, for whole corpora.

Importing this package starts nothing. The public names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sparkclin.errors import IncompleteError, InputError, ModelError, OptionError, SetupError, SparkclinError

if TYPE_CHECKING:
    from sparkclin.api import answer, classify, embed, encode, find_entities
    from sparkclin.models.pretrained import active_repository, pretrained, use_models
    from sparkclin.models.repository import ModelRepository
    from sparkclin.search import nearest
    from sparkclin.spark.session import check_session, spark_session
    from sparkclin.stages.note_tokenizer import NoteTokenizer
    from sparkclin.stages.vector_pooler import VectorPooler
    from sparkclin.tasks.answers import QuestionOptions
    from sparkclin.tasks.embed import EmbedOptions
    from sparkclin.tasks.entities import NerOptions
    from sparkclin.tasks.labels import ClassifyOptions
    from sparkclin.vectors import read_vectors, to_matrix

__version__ = "0.1.0"

_HOMES = {
    "ClassifyOptions": "sparkclin.tasks.labels",
    "EmbedOptions": "sparkclin.tasks.embed",
    "ModelRepository": "sparkclin.models.repository",
    "NerOptions": "sparkclin.tasks.entities",
    "NoteTokenizer": "sparkclin.stages.note_tokenizer",
    "QuestionOptions": "sparkclin.tasks.answers",
    "VectorPooler": "sparkclin.stages.vector_pooler",
    "active_repository": "sparkclin.models.pretrained",
    "answer": "sparkclin.api",
    "check_session": "sparkclin.spark.session",
    "classify": "sparkclin.api",
    "embed": "sparkclin.api",
    "encode": "sparkclin.api",
    "find_entities": "sparkclin.api",
    "nearest": "sparkclin.search",
    "pretrained": "sparkclin.models.pretrained",
    "read_vectors": "sparkclin.vectors",
    "spark_session": "sparkclin.spark.session",
    "to_matrix": "sparkclin.vectors",
    "use_models": "sparkclin.models.pretrained",
}

__all__ = [
    "ClassifyOptions",
    "EmbedOptions",
    "IncompleteError",
    "InputError",
    "ModelError",
    "ModelRepository",
    "NerOptions",
    "NoteTokenizer",
    "OptionError",
    "QuestionOptions",
    "SetupError",
    "SparkclinError",
    "VectorPooler",
    "__version__",
    "active_repository",
    "answer",
    "check_session",
    "classify",
    "embed",
    "encode",
    "find_entities",
    "nearest",
    "pretrained",
    "read_vectors",
    "spark_session",
    "to_matrix",
    "use_models",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
