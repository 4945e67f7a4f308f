"""A tokenizer -> the vocabulary and merges that Spark NLP reads, ordinary pieces first, transport codes after them.

The ordinary half is what a stock Tokenizer pipeline uses: ids 0…V−1; it is the family's own. The code of id k has id
V + k; that half is the same for every tokenizer. The form of a code in it, one of CODE_STYLES, depends on how an
annotator's BPE reads words.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from sparkclin.export.errors import CheckpointError
from sparkclin.text.pieces import PieceEncoder, named_ids
from sparkclin.wire import codes

VOCABULARY_FILE, MERGES_FILE, LABELS_FILE = "vocab.txt", "merges.txt", "labels.txt"
Pair = tuple[str, str]

SPACED, BARE, RUNNING = CODE_STYLES = ("spaced", "bare", "running")
"""BPE splits a word alone, and puts a `Ġ` before its first piece when it looks that up; it does not; it splits running
text, where a word's space is a part of it. Only for the last one do merges have a `Ġ`."""


@dataclass(frozen=True, kw_only=True)
class OrdinaryAssets:
    """`vocabulary` has the pieces of ids 0…V−1, special pieces by the names in codes.SPECIAL_PIECES; `merges` in
    order of rank."""

    vocabulary: tuple[str, ...]
    merges: tuple[Pair, ...]


@dataclass(frozen=True, kw_only=True)
class Assets:
    """`vocabulary` in id order, 2 V pieces; `merges` in order of rank; `labels` in order of their numbers."""

    vocabulary: tuple[str, ...]
    merges: tuple[Pair, ...]
    labels: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Writes `vocab.txt`, `merges.txt`, and `labels.txt` where there are labels."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = {VOCABULARY_FILE: self.vocabulary, MERGES_FILE: ("#version: 0.2", *map(" ".join, self.merges))}
        if self.labels:
            lines[LABELS_FILE] = self.labels
        for name, content in lines.items():
            (folder / name).write_text("\n".join(content) + "\n", encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class RowEnds:
    """The special pieces that begin and end a row, and the separators of a row of two texts. A tokenizer that has no
    such rows has no separators."""

    cls_id: int
    sep_id: int
    separators: tuple[int, ...] = ()

    @classmethod
    def of(cls, tokenizer_json: str) -> RowEnds:
        """Read the pieces that the tokenizer puts around a text. Raise CheckpointError if that is not one on each
        side."""
        tokenizer = Tokenizer.from_str(tokenizer_json)
        ids = tokenizer.encode("", add_special_tokens=True).ids
        if len(ids) != 2:
            raise CheckpointError(
                f"The tokenizer puts {len(ids)} special pieces around a text, expected one before it and one after it. "
                "Check the post_processor of tokenizer.json."
            )
        of_two = tokenizer.encode("", "", add_special_tokens=True).ids
        has_pairs = len(of_two) > 2 and [of_two[0], of_two[-1]] == ids
        return cls(cls_id=ids[0], sep_id=ids[1], separators=tuple(of_two[1:-1]) if has_pairs else ())


def check_rows(tokenizer_json: str, ends: RowEnds, *, rows: int, source: str) -> None:
    """Raise CheckpointError if the tokenizer can give an id that the embedding matrix has no row for.

    The matrix may have more rows than there are tokens, such as one that is padded to a multiple of 64.
    """
    around = {ends.cls_id: "the piece before a text", ends.sep_id: "the piece behind a text"}
    around |= dict.fromkeys(ends.separators, "the piece between two texts")
    beyond = {index: name for index, name in around.items() if index >= rows}
    beyond |= PieceEncoder(tokenizer_json).beyond(rows)
    if beyond:
        raise CheckpointError(
            f"{source} has a tokenizer with more ids than its embedding matrix has rows. The matrix has {rows} rows; "
            f"tokens without a row ({len(beyond)}): {named_ids(beyond)}. Call "
            f"model.resize_token_embeddings({max(beyond) + 1}), train the new rows and save the model, or remove these "
            "tokens from the tokenizer."
        )


def with_codes(ordinary: OrdinaryAssets, *, style: str = SPACED, labels: Sequence[str] = ()) -> Assets:
    """Adds the codes, in one of CODE_STYLES; raises CheckpointError where merges of ordinary pieces would tear a code
    apart."""
    size, merges = len(ordinary.vocabulary), merges_with_codes(ordinary)
    in_bytes = [codes.in_bytes(codes.encode(index)) for index in range(size)]
    space = "" if style == BARE else codes.SPACE
    return Assets(
        vocabulary=(*ordinary.vocabulary, *(space + code for code in in_bytes)),
        merges=(*merges, *((codes.SPACE, code) for code in in_bytes)) if style == RUNNING else merges,
        labels=tuple(labels),
    )


@lru_cache(maxsize=1)
def merges_with_codes(ordinary: OrdinaryAssets) -> tuple[Pair, ...]:
    """Return all merges in order of rank, checked. They are kept for the echo model, which has the same ones."""
    size, known = len(ordinary.vocabulary), set(ordinary.merges)
    merges = (*ordinary.merges, *(merge for merge in codes.merges(size) if merge not in known))
    check_codes(merges, vocab_size=size)
    return merges


def byte_level_bpe(tokenizer_json: str, *, vocab_size: int) -> OrdinaryAssets:
    """The ordinary half of a byte-level BPE with RoBERTa's special pieces: what Spark NLP itself can run.

    `vocab_size` is the model's number of ids V, which may exceed the tokenizer's (`check_rows()`). Raises
    CheckpointError if the tokenizer is of another kind or lacks a special piece.
    """
    tokenizer = json.loads(tokenizer_json)
    return OrdinaryAssets(
        vocabulary=tuple(ordinary_pieces(tokenizer, vocab_size=vocab_size)),
        merges=tuple(as_pair(merge) for merge in tokenizer["model"]["merges"]),
    )


def no_ordinary_pieces(*, vocab_size: int, cls_id: int, sep_id: int, pad_id: int) -> OrdinaryAssets:
    """The ordinary half for a tokenizer that Spark NLP cannot run: special pieces, and names that no text can match.

    `<unk>` and `<mask>` must be there, but are never sent: the last two other ids have these names.
    """
    special = {cls_id: codes.CLS, sep_id: codes.SEP, pad_id: codes.PAD}
    free = (index for index in reversed(range(vocab_size)) if index not in special)
    special |= {next(free): codes.UNK, next(free): codes.MASK}
    pieces = (special.get(index, unused_name(index)) for index in range(vocab_size))
    return OrdinaryAssets(vocabulary=tuple(pieces), merges=())


def ordinary_pieces(tokenizer: Mapping[str, object], *, vocab_size: int) -> list[str]:
    """The pieces of ids 0…V−1; an id that the tokenizer does not use gets a name that no text can match."""
    model = tokenizer["model"]
    added = tokenizer.get("added_tokens") or []
    if not isinstance(model, Mapping) or not isinstance(added, Sequence) or model.get("type") != "BPE":
        raise CheckpointError("The tokenizer is not a byte-level BPE, which RoBERTa's is. Check tokenizer.json.")
    ids: dict[str, int] = {**model["vocab"], **{token["content"]: token["id"] for token in added}}
    missing = [piece for piece in codes.SPECIAL_PIECES if piece not in ids]
    if missing:
        raise CheckpointError(
            f"The tokenizer lacks the special pieces {', '.join(missing)}, which RoBERTa's has. Add them to "
            "tokenizer.json."
        )
    by_id = {piece_id: piece for piece, piece_id in ids.items()}
    return [by_id.get(piece_id, unused_name(piece_id)) for piece_id in range(vocab_size)]


def unused_name(piece_id: int) -> str:
    return f"<unused_{piece_id}>"


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
            "trained on Armenian text. Choose another alphabet in sparkclin/wire/codes.py."
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
