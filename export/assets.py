"""A tokenizer -> the vocabulary and merges that Spark NLP reads, ordinary pieces first, transport codes after them.

The ordinary half is what a stock Tokenizer pipeline uses: ids 0…V−1. The code of id k has id V + k. Spark NLP's BPE
puts a `Ġ` before a word's first piece when it looks it up, so the vocabulary's line for a code begins with `Ġ`;
merges do not.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.errors import CheckpointError
from sparkclin.wire import codes

VOCABULARY_FILE, MERGES_FILE = "vocab.txt", "merges.txt"
# Spark NLP's LongformerEmbeddings looks these up by name.
SPECIAL_PIECES = ("<s>", "</s>", "<pad>")

Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Assets:
    """`vocabulary` in id order, 2 V pieces; `merges` in order of rank."""

    vocabulary: tuple[str, ...]
    merges: tuple[Pair, ...]

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        lines = {VOCABULARY_FILE: self.vocabulary, MERGES_FILE: ("#version: 0.2", *map(" ".join, self.merges))}
        for name, content in lines.items():
            (folder / name).write_text("\n".join(content) + "\n", encoding="utf-8")


def write_assets(tokenizer_json: str, folder: Path, *, vocab_size: int) -> None:
    """Writes `vocab.txt` and `merges.txt` of a tokenizer into `folder`.

    `vocab_size` is the model's number of ids V, which may exceed the tokenizer's.

    Raises CheckpointError where the tokenizer is not a byte-level BPE, lacks a special piece, has an id that the
    model has not, or has merges that would tear a code apart.
    """
    build(tokenizer_json, vocab_size=vocab_size).write(folder)


def build(tokenizer_json: str, *, vocab_size: int) -> Assets:
    tokenizer = json.loads(tokenizer_json)
    pieces = ordinary_pieces(tokenizer, vocab_size=vocab_size)
    merges = [as_pair(merge) for merge in tokenizer["model"]["merges"]]
    known = set(merges)
    merges += [merge for merge in codes.merges(vocab_size) if merge not in known]
    check_codes(merges, vocab_size=vocab_size)
    code_pieces = [codes.SPACE + codes.in_bytes(codes.encode(index)) for index in range(vocab_size)]
    return Assets(vocabulary=(*pieces, *code_pieces), merges=tuple(merges))


def ordinary_pieces(tokenizer: Mapping[str, object], *, vocab_size: int) -> list[str]:
    """The pieces of ids 0…V−1; an id that the tokenizer does not use gets a name that no text can match."""
    model = tokenizer["model"]
    added = tokenizer.get("added_tokens") or []
    if not isinstance(model, Mapping) or not isinstance(added, Sequence) or model.get("type") != "BPE":
        raise CheckpointError("The tokenizer is not a byte-level BPE, which Longformer's is. Check tokenizer.json.")
    ids: dict[str, int] = {**model["vocab"], **{token["content"]: token["id"] for token in added}}
    outside = sorted(piece_id for piece_id in ids.values() if not 0 <= piece_id < vocab_size)
    missing = [piece for piece in SPECIAL_PIECES if piece not in ids]
    if outside or missing:
        raise CheckpointError(
            f"The tokenizer does not fit a model of {vocab_size} ids: "
            f"special pieces missing: {missing or 'none'}; ids outside: {outside[:10] or 'none'}."
        )
    by_id = {piece_id: piece for piece, piece_id in ids.items()}
    return [by_id.get(piece_id, f"<unused {piece_id}>".replace(" ", "_")) for piece_id in range(vocab_size)]


def as_pair(merge: str | Sequence[str]) -> Pair:
    """tokenizer.json writes a merge as "a b" or, since tokenizers 0.20, as ["a", "b"]."""
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second


def check_codes(merges: Sequence[Pair], *, vocab_size: int) -> None:
    """Every code must come out of BPE as one piece, whatever merges the vocabulary itself has."""
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    torn = [index for index in range(vocab_size) if len(bpe(codes.in_bytes(codes.encode(index)), ranks)) != 1]
    if torn:
        raise CheckpointError(
            f"The tokenizer's own merges tear {len(torn)} transport codes apart (ids {torn[:5]}…): its vocabulary was "
            "trained on Armenian text. Choose another alphabet in sparkclin/codes.py."
        )


def bpe(word: str, ranks: Mapping[Pair, int]) -> list[str]:
    """Byte-pair encoding (Sennrich et al., 2016) as Spark NLP runs it: the pair of lowest rank first, everywhere."""
    parts = list(word)
    while len(parts) > 1:
        best = min(itertools.pairwise(parts), key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        merged, index = [], 0
        while index < len(parts):
            step = 2 if tuple(parts[index : index + 2]) == best else 1
            merged.append("".join(parts[index : index + step]))
            index += step
        parts = merged
    return parts
