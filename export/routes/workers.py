"""Straight to the model in a Python worker: rows of tagged ids, by the code that a worker runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from sparkclin.export.candidate import Candidate
from sparkclin.export.engines import Ids, Vectors, WorkerExporter
from sparkclin.export.routes.route import SHORTEST_WINDOW, PathOutput
from sparkclin.export.scheme import Scheme
from sparkclin.export.steps import SILENT, Steps
from sparkclin.export.verify.samples import Batch, PackedSample
from sparkclin.inference.model import ModelFiles, RowModel, open_model
from sparkclin.models.bundle import hash_files
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.segments import plan_segments
from sparkclin.text.tokenization import tokenize
from sparkclin.text.windows import WindowOptions
from sparkclin.wire.chunks import tagged_windows
from sparkclin.wire.packed import padded_rows, plan_batches

SEGMENTS = "worker, segment parts"

GROUP_SIZES = (128, 64, 32)

THREADS = 0
"""As many as there are processors."""


@dataclass(frozen=True, kw_only=True)
class WorkerRoute:
    candidate: Candidate
    exporter: WorkerExporter
    steps: Steps = SILENT
    returns_vectors: bool = False

    def build(self) -> None:
        trained = self.candidate.trained
        with self.steps.step("graphs built"):
            write = self.exporter.rows()
            write(
                self.candidate.folder,
                trained.row_bodies(),
                precision=self.candidate.precision,
                pad_id=trained.config.pad_id,
                scheme=self.candidate.scheme,
            )

    @property
    def group_sizes(self) -> tuple[int, ...]:
        width = self.candidate.trained.config.width
        return tuple(size for size in GROUP_SIZES if size < width and width % size == 0)

    def trial(self, scheme: Scheme, folder: Path) -> WorkerRoute:
        other = replace(self, candidate=replace(self.candidate, folder=folder, scheme=scheme), steps=SILENT)
        other.build()
        return other

    def open(self) -> WorkerRoute:
        return self

    @cached_property
    def _model(self) -> RowModel:
        config = self.candidate.trained.config
        files = ModelFiles(
            folder=str(self.candidate.folder),
            sha256="",
            hashes=tuple(hash_files(self.candidate.folder).items()),
            row_limits=config.row_limits,
            precision=self.candidate.precision,
            group_size=self.candidate.scheme.group_size or config.width,
            threads=THREADS,
        )
        return open_model(self.exporter.in_workers, files)

    def states(self, ids: Ids, mask: Ids) -> Vectors:
        """As in States, of rows as a worker would send them: those of a kind together."""
        found = np.zeros((*ids.shape, self.candidate.trained.config.width), np.float32)
        lengths = mask.sum(axis=1).tolist()
        for indices in self._batches(lengths):
            longest = max(lengths[index] for index in indices)
            found[indices, :longest] = self._model.states(ids[indices, :longest])
        return found

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        return plan_batches(lengths, limits=self.candidate.trained.config.row_limits)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """As a worker makes rows of notes, less the tags."""
        config = self.candidate.trained.config
        vocabulary = config.vocabulary
        notes = tokenize(
            texts,
            [()] * len(texts),
            encoder=PieceEncoder(self.candidate.tokenizer_json),
            options=WindowOptions(max_pieces=config.max_pieces, stride=0),
        )
        found = []
        for note in notes:
            plan = plan_segments(note, level="document", pooling="mean")
            rows = [window.ids for window in tagged_windows(0, note, plan, vocabulary)]
            pieces = [piece for row in rows for piece in (row[1:-1] % vocabulary.size).tolist()]
            found.append([config.cls_id, *pieces, config.sep_id])
        return found

    def outputs(self, batch: Batch) -> Iterator[PathOutput]:
        if batch.length > SHORTEST_WINDOW:
            yield self._by_rows(batch, wanted=self.candidate.outputs.names, path=SEGMENTS)

    def outputs_alone(self, batch: Batch) -> Iterator[PathOutput]:
        names = self.candidate.outputs.names
        for name in names if len(names) > 1 else []:
            yield self._by_rows(batch, wanted=[name], path=f"{SEGMENTS}, {name}")

    def _by_rows(self, batch: Batch, *, wanted: Sequence[str], path: str) -> PathOutput:
        vocabulary, head = batch.config.vocabulary, self.candidate.trained.head
        sample = PackedSample.of(batch)
        found: dict[int, Vectors] = {}
        for indices in self._batches([len(row) for row in sample.rows]):
            numbers = self._model.run(padded_rows([sample.rows[i] for i in indices], vocabulary), wanted)
            of_rows = np.split(numbers, np.cumsum([len(sample.parts[i]) for i in indices])[:-1])
            found |= dict(zip(indices, of_rows, strict=True))
        in_order = np.concatenate([found[index] for index in range(len(sample.rows))])
        return PathOutput(
            path=path,
            compare=lambda states: iter([(in_order, sample.expected(states, head, wanted=wanted))]),
            by_head=True,
        )
