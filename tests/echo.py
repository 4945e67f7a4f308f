"""A tiny bundle whose vectors show what Spark NLP fed the model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.sql import SparkSession
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from sparkclin.bundle import TOKENIZER_FILE, Bundle, Manifest, hash_files
from sparkclin.repository import ModelRepository

SPECIAL_PIECES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]  # the first five ids, as in RoBERTa
CREATED = "2022-03-04T12:58:32.345Z"


def build_echo_bundle(
    spark: SparkSession,
    root: Path,
    *,
    tokenizer_json: str,
    name: str = "echo",
    max_pieces: int = 4094,
    created: str = CREATED,
) -> Bundle:
    """Register a bundle with this tokenizer in the repository at `root`.

    The vector of a piece is (the id that the model got, the length of its row), special pieces counted. Ids are as
    Spark NLP sends them: a transport code of id k arrives as V + k.
    """
    from export.assets import write_assets
    from export.graph.tensorflow import write_echo
    from export.sparknlp import ANNOTATOR, save_annotator

    root.mkdir(parents=True, exist_ok=True)
    staged = root / f".{name}.staged"
    tokenizer = Tokenizer.from_str(tokenizer_json)
    vocab_size = tokenizer.get_vocab_size()
    with TemporaryDirectory() as folder:
        saved_model = Path(folder) / "echo"
        write_echo(saved_model)
        write_assets(tokenizer_json, saved_model / "assets", vocab_size=vocab_size)
        save_annotator(spark, saved_model, staged, name=name, width=2, max_row=max_pieces + 2)
    (staged / TOKENIZER_FILE).write_text(tokenizer_json, encoding="utf-8")
    manifest = Manifest(
        name=name,
        language="en",
        family="longformer",
        engine="tensorflow",
        precision="float32",
        annotator=ANNOTATOR,
        max_pieces=max_pieces,
        width=2,
        vocab_size=vocab_size,
        cls_id=tokenizer.token_to_id("<s>"),
        created=created,
        source="tests/echo.py",
        source_sha256={},
        config={},
        libraries={},
        parity={},
        files=hash_files(staged),
        description="Echoes the ids that it is fed.",
    )
    return ModelRepository(root).register(staged, manifest)


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = 400) -> str:
    """The tokenizer.json of a small byte-level BPE of RoBERTa's kind."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL_PIECES,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return str(tokenizer.to_str())
