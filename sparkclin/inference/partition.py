"""A partition's notes -> a row per note with the outputs of its segments, by a model in this process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sparkclin.errors import IncompleteError
from sparkclin.inference.model import RowModel
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.pooling import PartOutput
from sparkclin.text.vectors import FLOAT32
from sparkclin.wire.chunks import Chunk, ChunkOptions, Merger, chunks, with_vectors
from sparkclin.wire.packed import padded_rows, plan_batches


@dataclass(frozen=True, kw_only=True)
class InferenceOptions:
    """Options of a model's pass over notes. `wanted` are the names of the outputs that `merge` takes, in its order.
    `dtype` is the type of the merged vectors; `row_limits` are the model's."""

    notes: ChunkOptions
    wanted: tuple[str, ...]
    merge: Merger
    row_limits: Sequence[int]
    dtype: str = FLOAT32


def infer_notes(
    batches: Iterator[pa.RecordBatch], *, encoder: PieceEncoder, model: RowModel, options: InferenceOptions
) -> Iterator[pa.RecordBatch]:
    """Arrow batches of a partition's notes -> a batch per chunk: the carried columns, n_pieces, n_windows, status and
    vectors.

    Raises IncompleteError, with the counts, where a batch of rows does not give the outputs of all its parts.
    """
    for chunk in chunks(batches, encoder=encoder, options=options.notes):
        rows = chunk.held(with_text=options.notes.with_text)
        columns = chunk.columns(options.notes.carried)
        parts = part_outputs(chunk, model, options)
        yield with_vectors(columns, rows, parts, options.merge, dtype=options.dtype)


def part_outputs(chunk: Chunk, model: RowModel, options: InferenceOptions) -> dict[int, list[PartOutput]]:
    """The outputs of all segment parts, by the index of their note in the chunk."""
    vocabulary = options.notes.vocabulary
    windows = chunk.windows(vocabulary)
    found: dict[int, list[PartOutput]] = defaultdict(list)
    for indices in plan_batches([len(window.ids) for window in windows], limits=options.row_limits):
        held = [windows[index] for index in indices]
        numbers = model.run(padded_rows([window.ids for window in held], vocabulary), options.wanted)
        parts = [(window.note, part) for window in held for part in window.parts]
        if len(numbers) != len(parts):
            raise IncompleteError(
                f"{len(held)} windows with {len(parts)} segment parts went into the model, and the outputs of "
                f"{len(numbers)} came out. They were discarded. Check the model with `sparkclin models check`, "
                "and export it again with this version of sparkclin."
            )
        for (note, part), of_part in zip(parts, numbers, strict=True):
            found[note].append(PartOutput(part.segment, len(part), of_part))
    return found
