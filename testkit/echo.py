"""A tiny bundle whose vectors show the ids that Spark NLP sent to the model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.sql import SparkSession
from tokenizers import Tokenizer

from sparkclin.engines import PRECISIONS
from sparkclin.models.bundle import TOKENIZER_FILE, Bundle
from sparkclin.models.repository import ModelRepository
from sparkclin.schema import EMBED
from sparkclin.wire.tags import Vocabulary
from testkit.bundles import CREATED, manifest_of

SAMPLE_TEXTS = ("The patient has fever and cough.", "He denies chest pain; no dyspnoea.", "BP 120/80, pulse 72.")


def build_echo_bundle(
    spark: SparkSession,
    root: Path,
    *,
    tokenizer_json: str,
    name: str = "echo",
    engine: str = "tensorflow",
    max_pieces: int = 4094,
    created: str = CREATED,
) -> Bundle:
    """Register a bundle with this tokenizer in the repository at `root`.

    The vector of a piece is (the id that the model got, the length of its row), special pieces counted. Ids are as
    Spark NLP sends them: a transport code of id k arrives as V + k.
    """
    from sparkclin.export.assets import byte_level_bpe
    from sparkclin.export.engines import SPARK_NLP_EXPORTERS
    from sparkclin.export.graph import echo
    from sparkclin.export.stock import Told, save

    root.mkdir(parents=True, exist_ok=True)
    staged = root / f".{name}.staged"
    tokenizer = Tokenizer.from_str(tokenizer_json)
    vocab_size = tokenizer.get_vocab_size()
    with TemporaryDirectory() as folder:
        saved_model = Path(folder) / "echo"
        save(
            spark,
            SPARK_NLP_EXPORTERS[engine],
            saved_model,
            staged,
            task=EMBED,
            body=partial(echo.echo, vocabulary=Vocabulary(size=vocab_size, cls_id=0, sep_id=2, pad_id=1)),
            precision=PRECISIONS[0],
            ordinary=byte_level_bpe(tokenizer_json, vocab_size=vocab_size),
            max_row=max_pieces + 2,
            told=Told(name=name, width=echo.WIDTH),
        )
    (staged / TOKENIZER_FILE).write_text(tokenizer_json, encoding="utf-8")
    manifest = manifest_of(
        staged, name=name, engine=engine, created=created, max_pieces=max_pieces, vocab_size=vocab_size
    )
    return ModelRepository(root).register(staged, manifest)
