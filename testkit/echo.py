"""A tiny bundle whose vectors show what Spark NLP fed the model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.sql import SparkSession
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from sparkclin.models.bundle import TOKENIZER_FILE, Bundle
from sparkclin.models.repository import ModelRepository
from sparkclin.wire.packed import Vocabulary
from testkit.bundles import CREATED, manifest_of

SPECIAL_PIECES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]  # the first five ids, as in RoBERTa
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
    from export.assets import write_assets
    from export.engines import ENGINES
    from export.sparknlp import save_annotator

    root.mkdir(parents=True, exist_ok=True)
    staged = root / f".{name}.staged"
    tokenizer = Tokenizer.from_str(tokenizer_json)
    vocab_size = tokenizer.get_vocab_size()
    with TemporaryDirectory() as folder:
        saved_model = Path(folder) / "echo"
        ENGINES[engine].graphs().write_echo(
            saved_model, vocabulary=Vocabulary(size=vocab_size, cls_id=0, sep_id=2, pad_id=1)
        )
        write_assets(tokenizer_json, saved_model / "assets", vocab_size=vocab_size)
        annotator = ENGINES[engine].annotator
        save_annotator(spark, saved_model, staged, annotator=annotator, name=name, width=2, max_row=max_pieces + 2)
    (staged / TOKENIZER_FILE).write_text(tokenizer_json, encoding="utf-8")
    manifest = manifest_of(
        staged, name=name, engine=engine, created=created, max_pieces=max_pieces, vocab_size=vocab_size
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
