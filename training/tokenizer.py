"""A tokenizer of the notes that a model is trained on: Longformer's byte-level BPE, or BigBird's SentencePiece model.

python -m training.tokenizer NOTES --output FOLDER [--family bigbird] [--vocab-size 8000] [--held-out 0.1]
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from transformers import BigBirdTokenizer, PreTrainedTokenizerBase, RobertaTokenizer

from sparkclin.errors import OptionError
from sparkclin.evaluation.notes import read_notes
from training.split import split_notes

FIRST_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
SPIECE_MODEL = "spiece.model"
LONGEST_INPUT = 4096
HOW_IT_WAS_LOADED = {"is_local", "local_files_only"}  # transformers saves these with the rest


def train_tokenizer(
    texts: Iterable[str], *, vocab_size: int = 8000, max_length: int = LONGEST_INPUT
) -> RobertaTokenizer:
    """A tokenizer of at most `vocab_size` pieces; a small corpus may not yield that many.

    The ids are laid out as RoBERTa's: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, the learned pieces, `<mask>` last.
    Every byte is a piece, so no text is unknown. `max_length` counts pieces, the two special ones included.

    Raises OptionError where `vocab_size` has no room for the bytes and the special pieces.
    """
    bytes_and_specials = len(pre_tokenizers.ByteLevel.alphabet()) + len(FIRST_SPECIALS) + 1
    if vocab_size < bytes_and_specials:
        raise OptionError(
            f"vocab_size is {vocab_size}; the bytes and the special pieces alone are {bytes_and_specials}."
        )
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        special_tokens=list(FIRST_SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    vocab = bpe.get_vocab()
    return RobertaTokenizer(
        vocab={**vocab, MASK: len(vocab)},
        merges=_merges(bpe),
        add_prefix_space=False,
        trim_offsets=True,
        mask_token=AddedToken(MASK, lstrip=True, special=True),
        model_max_length=max_length,
    )


def train_sentencepiece(
    texts: Iterable[str], *, vocab_size: int = 8000, max_length: int = LONGEST_INPUT
) -> BigBirdTokenizer:
    """A unigram model of at most `vocab_size` pieces, with the settings of BigBird's own: no normalisation but of white
    space, and 0.05 % of the corpus's characters unknown.

    The ids: `<pad>` 0, `</s>` 1, `<s>` 2, `<unk>` 3, `[CLS]` 4, `[SEP]` 5, `[MASK]` 6, then the learned pieces.
    """
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for text in texts for line in text.splitlines()),
        model_writer=model,
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        character_coverage=0.9995,
        normalization_rule_name="identity",
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        num_threads=1,  # the order of sums, and so the vocabulary, is the same again
        minloglevel=2,
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, SPIECE_MODEL).write_bytes(model.getvalue())
        return BigBirdTokenizer.from_pretrained(folder, model_max_length=max_length)


TRAINED_BY = {"longformer": train_tokenizer, "bigbird": train_sentencepiece}
"""By family of models."""


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Writes tokenizer.json and tokenizer_config.json; for older readers vocab.json and merges.txt of a BPE too."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    if isinstance(tokenizer.backend_tokenizer.model, models.BPE):
        tokenizer.backend_tokenizer.model.save(str(folder))
    config = folder / "tokenizer_config.json"
    fields = json.loads(config.read_text(encoding="utf-8"))
    kept = {name: value for name, value in fields.items() if name not in HOW_IT_WAS_LOADED}
    config.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _merges(bpe: Tokenizer) -> list[tuple[str, str]]:
    """The learned merges in their order; the tokenizers library shows them in its file format only."""
    state = json.loads(bpe.to_str())
    return [(left, right) for left, right in state["model"]["merges"]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.tokenizer", description=__doc__.splitlines()[0])
    parser.add_argument("notes", type=Path, help=".jsonl, .parquet or .txt")
    parser.add_argument("--output", type=Path, required=True, help="folder to write the tokenizer's files to")
    parser.add_argument("--family", choices=TRAINED_BY, default="longformer", help="of the model it is for")
    parser.add_argument("--vocab-size", type=int, default=8000)
    parser.add_argument("--held-out", type=float, default=0.1, help="share of the notes that is kept from training")
    options = parser.parse_args(arguments)
    train = split_notes(read_notes(options.notes), held_out=options.held_out).train
    tokenizer = TRAINED_BY[options.family]((note.text for note in train), vocab_size=options.vocab_size)
    save_tokenizer(tokenizer, options.output)
    print(f"{len(tokenizer)} pieces from {len(train)} notes -> {options.output}")


if __name__ == "__main__":
    main()
