"""The rows that a model reads of a note, or of a note and another text: windows of the note, each with the whole other
text, laid out as the tokenizer lays out a text and a pair.

With `[CLS]`, `[SEP]` for what the tokenizer has (`<s>`, `</s>` and twice `</s>` between two texts, for RoBERTa's kind),
a row is `[CLS] window [SEP]`, `[CLS] window [SEP] other [SEP]`, or `[CLS] other [SEP] window [SEP]`.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Encoding
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sparkclin.errors import InputError
from sparkclin.text.windows import Range, cut, default_stride


@dataclass(frozen=True)
class Row:
    """`ids` with the special pieces; `types` where the tokenizer gives token types. `window` are the note's pieces in
    it, the first of them at position `first`."""

    ids: list[int]
    types: list[int] | None
    window: Range
    first: int

    @property
    def features(self) -> dict[str, list[int]]:
        features = {"input_ids": self.ids, "attention_mask": [1] * len(self.ids)}
        return features if self.types is None else {**features, "token_type_ids": self.types}


@dataclass(frozen=True)
class Layout:
    """The special pieces that the tokenizer puts before, between and behind texts."""

    before: list[int]
    between: list[int]
    behind: list[int]
    has_types: bool

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Layout:
        before, *between, behind = tokenizer.backend_tokenizer.encode("", "").ids
        return cls([before], between, [behind], "token_type_ids" in tokenizer.model_input_names)

    def room(self, other: Sized | None, *, max_pieces: int) -> int:
        """How many of the note's pieces a row has room for; below 1 where the other text leaves none."""
        return max_pieces if other is None else max_pieces - len(other) - len(self.between)

    def rows(
        self, note: Sequence[int], other: Sequence[int] | None = None, *, other_first: bool = False, max_pieces: int
    ) -> list[Row]:
        """`max_pieces` do not count the first and the last special piece, as when notes are run."""
        room = self.room(other, max_pieces=max_pieces)
        return [
            self._row(note, window, other, other_first) for window in cut(len(note), room, default_stride(max_pieces))
        ]

    def _row(self, note: Sequence[int], window: Range, other: Sequence[int] | None, other_first: bool) -> Row:  # noqa: FBT001
        own = list(note[slice(*window)])
        texts = [own] if other is None else [list(other), own] if other_first else [own, list(other)]
        begin = [*self.before, *texts[0]]
        rest = [*self.between, *texts[1]] if len(texts) > 1 else []
        ids = [*begin, *rest, *self.behind]
        # The first separator behind the first text is of its type, as in BERT.
        types = [int(bool(rest) and position > len(begin)) for position in range(len(ids))] if self.has_types else None
        return Row(ids, types, window, len(ids) - len(own) - 1 if other_first and other is not None else 1)


def rows_of_transformers(
    tokenizer: PreTrainedTokenizerBase,
    note: str,
    other: str | None = None,
    *,
    other_first: bool = False,
    max_pieces: int,
) -> list[Encoding]:
    """The same rows, cut and laid out by transformers' tokenizer, to hold ours to them. A special piece that is typed
    in a text is text. Raises InputError where the other text leaves no room."""
    layout = Layout.of(tokenizer)
    pieces = None if other is None else tokenizer.tokenize(other, split_special_tokens=True)
    if pieces is not None:
        check_room(layout, [pieces], max_pieces=max_pieces, what="pair")
    texts = [note] if other is None else [other, note] if other_first else [note, other]
    encoded = tokenizer(
        *texts,
        truncation="only_second" if other_first and other is not None else "only_first",
        max_length=max_pieces + 2,
        stride=default_stride(max_pieces),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        split_special_tokens=True,
        verbose=False,
    )
    found: list[Encoding] = encoded.encodings
    return found


@torch.inference_mode()
def forward(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, row: Encoding) -> Any:
    """The model's output for one row of rows_of_transformers()."""
    features = {"input_ids": row.ids, "attention_mask": row.attention_mask, "token_type_ids": row.type_ids}
    given = {name: torch.tensor([values]) for name, values in features.items() if name in tokenizer.model_input_names}
    return model(**given)


def check_room(layout: Layout, others: Sequence[Sized], *, max_pieces: int, what: str) -> None:
    """Raises InputError where another text, which is a `what`, leaves no more room for the note than the pieces that
    two windows share, as when notes are run."""
    shared = default_stride(max_pieces)
    lengths = [len(other) for other in others if layout.room(other, max_pieces=max_pieces) <= shared]
    if lengths:
        raise InputError(
            f"{len(lengths)} of {len(others)} rows have a {what} that leaves a note no more than {shared} pieces in a "
            f"window of {max_pieces} (the longest has {max(lengths)}): raise --max-pieces, or shorten them."
        )
