"""What a precision below fp32 changes, on real notes: the vectors, and what they are good for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sparkclin.engines import BF16, INT8
from sparkclin.errors import InputError
from sparkclin.evaluation.notes import Note
from sparkclin.evaluation.retrieval import SpecialtyAccuracy, specialty_accuracy
from sparkclin.export.engines import Ids
from sparkclin.export.families.family import Reference
from sparkclin.export.graph.encoder import EncoderConfig
from sparkclin.export.routes.route import States
from sparkclin.export.steps import SILENT, Steps
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.windows import cut
from sparkclin.wire.packed import padded, plan_batches

Matrix = npt.NDArray[np.float64]

# Five nearest notes of a note.
MIN_LABELLED_NOTES = 6


@dataclass(frozen=True, kw_only=True)
class Least:
    """What cosines must reach, on average and at worst."""

    mean: float
    worst: float

    def met_by(self, found: Agreement) -> bool:
        return found.mean_cosine >= self.mean and found.worst_cosine >= self.worst


@dataclass(frozen=True, kw_only=True)
class NoteLimits:
    """Of the vectors of documents and of pieces."""

    documents: Least
    pieces: Least

    def to_text(self) -> str:
        parts = {"documents": self.documents, "pieces": self.pieces}
        return "; ".join(f"{name}: mean ≥ {least.mean:g}, worst ≥ {least.worst:g}" for name, least in parts.items())


_SMALL = Least(mean=0.999, worst=0.995)

LIMITS = {
    BF16: NoteLimits(documents=Least(mean=0.9999, worst=0.9999), pieces=Least(mean=0.999, worst=0.999)),
    INT8: NoteLimits(documents=_SMALL, pieces=_SMALL),
}
"""By precision."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Cosines of vectors with those of fp32."""

    vectors: int
    mean_cosine: float
    worst_cosine: float

    @classmethod
    def of(cls, cosines: npt.NDArray[np.float64]) -> Agreement:
        return cls(vectors=len(cosines), mean_cosine=float(cosines.mean()), worst_cosine=float(cosines.min()))

    def to_text(self, name: str, *, least: Least) -> str:
        verdict = "" if least.met_by(self) else "  FAILED"
        return f"{name:<22}{self.vectors:>7}{self.mean_cosine:>12.6f}{self.worst_cosine:>14.6f}{verdict}"


@dataclass(frozen=True, kw_only=True)
class SpecialtyChange:
    """How often the nearest notes share a specialty, by fp32 vectors and by the exported ones."""

    fp32: SpecialtyAccuracy
    exported: SpecialtyAccuracy

    def to_dict(self) -> dict[str, Any]:
        return {
            "fp32": asdict(self.fp32),
            "exported": asdict(self.exported),
            "difference": {
                "nearest": self.exported.nearest - self.fp32.nearest,
                "five_nearest": self.exported.five_nearest - self.fp32.five_nearest,
            },
        }

    def to_text(self) -> str:
        return (
            f"specialty accuracy of {self.fp32.notes} notes, fp32 and exported: "
            f"nearest {self.fp32.nearest:.3f} and {self.exported.nearest:.3f}, "
            f"five nearest {self.fp32.five_nearest:.3f} and {self.exported.five_nearest:.3f}"
        )


@dataclass(frozen=True, kw_only=True)
class QuantizationReport:
    """`documents` are means over a note's pieces; `specialty` is None where too few notes have one."""

    notes: int
    documents: Agreement
    pieces: Agreement
    specialty: SpecialtyChange | None
    limits: NoteLimits

    @property
    def passed(self) -> bool:
        return self.limits.documents.met_by(self.documents) and self.limits.pieces.met_by(self.pieces)

    def to_dict(self) -> dict[str, Any]:
        """For the manifest: the figures with the limits they were held to."""
        return {
            "notes": self.notes,
            "documents": asdict(self.documents),
            "pieces": asdict(self.pieces),
            "limits": asdict(self.limits),
            "specialty": self.specialty.to_dict() if self.specialty else None,
        }

    def to_text(self) -> str:
        lines = [f"{self.notes} notes against fp32 (cosines of {self.limits.to_text()}):"]
        lines.append(f"{'vectors':<22}{'count':>7}{'mean':>12}{'worst':>14}")
        lines.append(self.documents.to_text("documents", least=self.limits.documents))
        lines.append(self.pieces.to_text("pieces", least=self.limits.pieces))
        return "\n".join([*lines, *([self.specialty.to_text()] if self.specialty else [])])


def measure(
    notes: Sequence[Note],
    *,
    graph: States,
    reference: Reference,
    config: EncoderConfig,
    tokenizer_json: str,
    precision: str,
    separators: Sequence[int] = (),
    most_pieces: int | None = None,
    steps: Steps = SILENT,
) -> QuantizationReport:
    """Runs the exported graph and the fp32 reference over notes, each cut into windows that do not overlap.

    With `separators`, each window stands behind a question: its note's first pieces. With `most_pieces` only the first
    windows are read, of so many pieces and at least one.

    Raises InputError where no note has a piece.
    """
    compared = note_batches(
        notes, tokenizer_json=tokenizer_json, config=config, separators=separators, most_pieces=most_pieces
    )
    sums = Sums(exported=np.zeros((len(notes), config.width)), fp32=np.zeros((len(notes), config.width)))
    of_pieces, kept = [], set()
    for batch in steps.each(compared, "batches of notes"):
        found, expected = graph.states(batch.ids, batch.mask), reference(batch.ids, batch.mask)
        for row, size, ours, theirs in zip(batch.rows, batch.sizes, found, expected, strict=True):
            exported, fp32 = (vectors[1 : size - 1].astype(np.float64) for vectors in (ours, theirs))
            of_pieces.append(cosines(exported, fp32))
            sums.exported[row.note] += exported.sum(0)
            sums.fp32[row.note] += fp32.sum(0)
            kept.add(row.note)
    with_text = sorted(kept)
    return QuantizationReport(
        notes=len(with_text),
        documents=Agreement.of(cosines(sums.exported[with_text], sums.fp32[with_text])),
        pieces=Agreement.of(np.concatenate(of_pieces)),
        specialty=specialty_change([notes[index] for index in with_text], sums.only(with_text)),
        limits=LIMITS[precision],
    )


@dataclass(frozen=True)
class Row:
    """A window with its special pieces, of the note of this index."""

    note: int
    ids: Ids


@dataclass(frozen=True, kw_only=True)
class NoteBatch:
    """Rows padded to the longest, (R, P); `sizes` are their lengths."""

    rows: Sequence[Row]
    ids: Ids
    mask: Ids

    @property
    def sizes(self) -> list[int]:
        return [len(row.ids) for row in self.rows]


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Of the vectors of each note's pieces, (notes, W)."""

    exported: Matrix
    fp32: Matrix

    def only(self, notes: Sequence[int]) -> Sums:
        return Sums(exported=self.exported[notes], fp32=self.fp32[notes])


def note_batches(
    notes: Sequence[Note],
    *,
    tokenizer_json: str,
    config: EncoderConfig,
    separators: Sequence[int],
    most_pieces: int | None = None,
) -> list[NoteBatch]:
    """As measure() reads notes. Raises InputError where no note has a piece."""
    rows = list(to_rows(notes, tokenizer_json=tokenizer_json, config=config, separators=separators))
    if not rows:
        raise InputError("there is no note to compare vectors on: expected notes with text.")
    if most_pieces is not None:
        before = np.cumsum([0, *(len(row.ids) for row in rows)])[:-1]
        rows = [row for row, so_far in zip(rows, before, strict=True) if so_far < most_pieces]
    return list(batches(rows, config=config))


QUESTION_PIECES = 12


def to_rows(
    notes: Sequence[Note], *, tokenizer_json: str, config: EncoderConfig, separators: Sequence[int]
) -> Iterator[Row]:
    for index, pieces in enumerate(PieceEncoder(tokenizer_json).encode([note.text for note in notes])):
        before = [*pieces.ids[:QUESTION_PIECES], *separators] if separators else []
        for begin, end in cut(len(pieces), config.max_pieces - len(before), stride=0):
            ids = [config.cls_id, *before, *pieces.ids[begin:end], config.sep_id]
            yield Row(index, np.array(ids, np.int32))


def batches(rows: Sequence[Row], *, config: EncoderConfig) -> Iterator[NoteBatch]:
    for indices in plan_batches([len(row.ids) for row in rows]):
        chosen = [rows[index] for index in indices]
        ids = padded([row.ids for row in chosen], padding=config.pad_id)
        mask = padded([np.ones_like(row.ids) for row in chosen], padding=0)
        yield NoteBatch(rows=chosen, ids=ids, mask=mask)


def cosines(a: Matrix, b: Matrix) -> npt.NDArray[np.float64]:
    """(N, W), (N, W) -> (N,)"""
    found: npt.NDArray[np.float64] = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return found


def specialty_change(notes: Sequence[Note], sums: Sums) -> SpecialtyChange | None:
    """Only the direction of a document vector counts here, so a sum is as good as a mean."""
    labelled = [index for index, note in enumerate(notes) if note.specialties]
    if len(labelled) < MIN_LABELLED_NOTES:
        return None
    specialties = {notes[index].note_id: notes[index].specialties for index in labelled}

    def accuracy(vectors: Matrix) -> SpecialtyAccuracy:
        return specialty_accuracy(
            pd.DataFrame({"note_id": list(specialties), "vector": list(vectors[labelled])}), specialties
        )

    return SpecialtyChange(fp32=accuracy(sums.fp32), exported=accuracy(sums.exported))
