"""Notes as piece ids, and packed into the long rows that a model is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from sparkclin.errors import InputError

Ids = npt.NDArray[np.int32]
NOTES_AT_A_TIME = 1000


@dataclass(frozen=True, kw_only=True)
class EncodedNotes:
    """All notes' piece ids end to end, each note as `<s> … </s>`.

    `pieces` (pieces,) int32; `ends` (notes,) int64: where each note ends in `pieces`.
    """

    pieces: Ids
    ends: npt.NDArray[np.int64]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.ends, prepend=0)

    def note(self, index: int) -> Ids:
        end = int(self.ends[index])
        return self.pieces[end - int(self.lengths[index]) : end]


def encode_notes(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> EncodedNotes:
    """Whole notes, never truncated, with the tokenizer's own special pieces."""
    if not texts:
        raise InputError(
            "There are no notes to encode: expected at least one. Look at the file and the held-out share."
        )
    rows: list[Ids] = []
    for begin in range(0, len(texts), NOTES_AT_A_TIME):
        # verbose=False: a note longer than the model's positions is expected here, not worth a warning
        encoded = tokenizer(list(texts[begin : begin + NOTES_AT_A_TIME]), truncation=False, verbose=False)
        rows += [np.asarray(ids, dtype=np.int32) for ids in encoded["input_ids"]]
    return EncodedNotes(pieces=np.concatenate(rows), ends=np.cumsum([len(row) for row in rows]))


class PackedRows(Dataset[dict[str, torch.Tensor]]):
    """Row `i` of a training run: `length` pieces cut from the notes laid end to end.

    Each pass over the notes lays them out in another order and cuts elsewhere, so that in time a piece is seen at
    every position up to `length`. The end of a pass joins its beginning. Rows depend on `seed` and `i` alone, so a
    resumed run reads on where it stopped. Read them in order: only the layouts of two passes are kept.
    """

    def __init__(self, notes: EncodedNotes, *, length: int, rows: int, seed: int, special_ids: Sequence[int]) -> None:
        self._notes = notes
        self._length = length
        self._rows = rows
        self._seed = seed
        self._special_ids = np.asarray(special_ids, dtype=np.int32)
        self._rows_per_pass = max(1, len(notes.pieces) // length)
        self._layout = lru_cache(maxsize=2)(self._lay_out)

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        pieces = self._pieces(index)
        return {
            "input_ids": torch.from_numpy(pieces.astype(np.int64)),
            "attention_mask": torch.ones(self._length, dtype=torch.long),
            "special_tokens_mask": torch.from_numpy(np.isin(pieces, self._special_ids).astype(np.int64)),
        }

    def _pieces(self, index: int) -> Ids:
        pass_number, row = divmod(index, self._rows_per_pass)
        layout = self._layout(pass_number)
        positions = (layout.first + row * self._length + np.arange(self._length)) % len(self._notes.pieces)
        slots = np.searchsorted(layout.ends, positions, side="right")
        pieces: Ids = self._notes.pieces[positions + layout.shifts[slots]]
        return pieces

    def _lay_out(self, pass_number: int) -> _Layout:
        rng = np.random.default_rng([self._seed, pass_number])
        lengths = self._notes.lengths
        order = rng.permutation(len(lengths))
        ends = np.cumsum(lengths[order])
        return _Layout(first=int(rng.integers(ends[-1])), ends=ends, shifts=self._notes.ends[order] - ends)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """One pass: `first` the position where row 0 begins; of each note in the pass's order, where it ends and how far
    from there its pieces lie in `EncodedNotes.pieces`. Both arrays (notes,) int64."""

    first: int
    ends: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int64]
