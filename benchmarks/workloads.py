"""What is embedded: rows of text, how many of them, and how they are dealt to tasks."""

from __future__ import annotations

import heapq
import itertools
import random
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from tokenizers import Tokenizer

from benchmarks.errors import RunError
from sparkclin.evaluation.notes import Note

SEED = 0
SENTENCES, NOTES, LONG = "sentences", "notes", "long"
WORKLOADS = (SENTENCES, NOTES, LONG)

SENTENCE_END = re.compile(r"(?<=[.?!])\s+|\n+")
SENTENCE_PIECES = range(8, 65)
"""Sentences of MTSamples within these lengths have 22.0 pieces on average."""

FILLER = " a"
"""One piece in byte-level BPE of English: it brings a text that ends at a word's end to an exact length."""

N_LONG = 64
"""How many long texts are made; more rows than that repeat them."""


@dataclass(frozen=True, kw_only=True)
class CountedText:
    """A text and its pieces by the model's own tokenizer, special ones not counted."""

    note_id: str
    text: str
    n_pieces: int


def make_rows(name: str, notes: Sequence[Note], *, tokenizer: Tokenizer, max_pieces: int) -> list[CountedText]:
    """All rows of a workload: sentences of notes, the notes that fit one window, or texts of exactly one window."""
    if name == SENTENCES:
        return sentences(notes, tokenizer=tokenizer)
    if name == NOTES:
        return [row for row in counted({n.note_id: n.text for n in notes}, tokenizer) if row.n_pieces <= max_pieces]
    return texts_of(max_pieces, notes, count=N_LONG, tokenizer=tokenizer)


def sentences(notes: Sequence[Note], *, tokenizer: Tokenizer) -> list[CountedText]:
    texts = {
        f"{note.note_id}-{index}": text.strip()
        for note in notes
        for index, text in enumerate(SENTENCE_END.split(note.text))
    }
    return [row for row in counted(texts, tokenizer) if row.n_pieces in SENTENCE_PIECES]


def texts_of(n_pieces: int, notes: Sequence[Note], *, count: int, tokenizer: Tokenizer) -> list[CountedText]:
    """`count` texts of exactly `n_pieces` pieces each, made of whole notes in a random order, the last one cut."""
    shuffled = random.Random(SEED).sample(list(notes), len(notes))
    supply = itertools.cycle(counted({note.note_id: note.text for note in shuffled}, tokenizer))
    return [
        CountedText(note_id=f"joined-{index}", text=text_of(n_pieces, supply, tokenizer=tokenizer), n_pieces=n_pieces)
        for index in range(count)
    ]


def text_of(n_pieces: int, supply: Iterator[CountedText], *, tokenizer: Tokenizer) -> str:
    """Notes of `supply` joined and cut at the end of a word, then filled to exactly `n_pieces` pieces.

    Raises RunError where the tokenizer gives another number for it after all.
    """
    parts: list[str] = []
    enough = 0
    while enough < n_pieces:
        row = next(supply)
        parts.append(row.text)
        enough += row.n_pieces
    whole_notes = "\n\n".join(parts)
    encoding = tokenizer.encode(whole_notes, add_special_tokens=False)
    # The most pieces that end with a word, 0 where the first word alone has too many.
    words, ends = [None, *encoding.word_ids, None], [0, *(end for _, end in encoding.offsets)]
    whole = next(n for n in range(n_pieces, -1, -1) if words[n] != words[n + 1])
    text = whole_notes[: ends[whole]].rstrip()
    text += FILLER * (n_pieces - count_pieces(text, tokenizer))
    if (found := count_pieces(text, tokenizer)) != n_pieces:
        raise RunError(f"a text that should have {n_pieces} pieces has {found}: the tokenizer is no byte-level BPE.")
    return text


def count_pieces(text: str, tokenizer: Tokenizer) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


def counted(texts: dict[str, str], tokenizer: Tokenizer) -> list[CountedText]:
    encodings = tokenizer.encode_batch(list(texts.values()), add_special_tokens=False)
    return [
        CountedText(note_id=note_id, text=text, n_pieces=len(encoding.ids))
        for (note_id, text), encoding in zip(texts.items(), encodings, strict=True)
    ]


def sample(rows: Sequence[CountedText], count: int) -> list[CountedText]:
    """`count` rows with the mix of lengths of all: the middle ones of `count` equal slices of the rows by length.

    So that a slow contender, which gets few rows, works on the same mix as a fast one. Where `count` exceeds the rows
    there are, rows repeat; ids are unique all the same.
    """
    by_length = sorted(rows, key=lambda row: (row.n_pieces, row.note_id))
    chosen = (by_length[(2 * index + 1) * len(rows) // (2 * count)] for index in range(count))
    return [replace(row, note_id=f"{row.note_id}#{index}") for index, row in enumerate(chosen)]


def deal(rows: Sequence[CountedText], parts: int) -> list[list[CountedText]]:
    """The rows in `parts` parts of about equal pieces, in random order within each, as a corpus is.

    A part is a task: were one larger, the others' cores would be idle at the end, which the millions of rows of
    a real corpus make up for and a minute's do not.
    """
    dealt: list[list[CountedText]] = [[] for _ in range(min(parts, len(rows)))]
    fewest_first = [(0, number) for number in range(len(dealt))]
    for row in sorted(rows, key=lambda row: (-row.n_pieces, row.note_id)):
        n_pieces, number = fewest_first[0]
        dealt[number].append(row)
        heapq.heapreplace(fewest_first, (n_pieces + row.n_pieces, number))
    shuffle = random.Random(SEED).shuffle
    for part in dealt:
        shuffle(part)
    return dealt


def write_rows(rows: Sequence[CountedText], folder: Path, *, parts: int) -> None:
    """One Parquet file per part: note_id, text, n_pieces."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, part in enumerate(deal(rows, parts)):
        columns = {name: [getattr(row, name) for row in part] for name in ("note_id", "text", "n_pieces")}
        pyarrow.parquet.write_table(pa.table(columns), folder / f"part-{number:05}.parquet")
