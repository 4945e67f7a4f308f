"""Manifests, and bundles that are folders of a few bytes: enough for all that does not load a model."""

from __future__ import annotations

from pathlib import Path

from sparkclin.engines import ENGINES
from sparkclin.models.bundle import TOKENIZER_FILE, Manifest, hash_files
from sparkclin.schema import EMBED
from sparkclin.wire.outputs import Output

CREATED = "2022-03-04T12:58:32.345Z"
CREATED_MS = 1646398712345


def manifest_of(
    folder: Path,
    *,
    name: str,
    language: str = "en",
    created: str = CREATED,
    max_pieces: int = 4094,
    width: int = 2,
    vocab_size: int = 400,
    engine: str = "tensorflow",
    precision: str = "fp32",
    task: str = EMBED,
    labels: tuple[str, ...] = (),
) -> Manifest:
    return Manifest(
        name=name,
        language=language,
        family="longformer",
        engine=engine,
        precision=precision,
        task=task,
        labels=labels,
        annotator=ENGINES[engine].annotator_name(task),
        max_pieces=max_pieces,
        width=width,
        outputs=(Output("mean", width), Output("max", width)),
        vocab_size=vocab_size,
        cls_id=0,
        sep_id=2,
        pad_id=1,
        created=created,
        source="tests",
        source_sha256={},
        config={},
        libraries={},
        parity={},
        files=hash_files(folder),
    )


def stage(root: Path, *, name: str = "tiny", content: str = "{}") -> Path:
    """A staged bundle folder right below `root`, whose tokenizer.json holds `content`."""
    staged = root / f".{name}.staged"
    (staged / "metadata").mkdir(parents=True)
    (staged / "metadata" / "part-00000").write_text("saved", encoding="utf-8")
    (staged / TOKENIZER_FILE).write_text(content, encoding="utf-8")
    return staged
