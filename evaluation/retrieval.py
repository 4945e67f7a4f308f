"""How often the nearest notes share a specialty: what document vectors are worth without any training on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sparkclin.errors import InputError

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class SpecialtyAccuracy:
    """Shares of the notes, 0…1, each note left out of its own neighbours, which are those of highest cosine.

    `nearest`: the nearest note shares a specialty. `five_nearest`: among the five nearest, each voting for all its
    specialties, the specialty with most votes is one of the note's own; of equal counts the one whose closest voter is
    nearest wins. `chance`: two different notes drawn at random share a specialty. `most_frequent`: the most frequent
    specialty is one of the note's own, which is what guessing it for every note gets.
    """

    notes: int
    specialties: int
    nearest: float
    five_nearest: float
    chance: float
    most_frequent: float


def specialty_accuracy(vectors: pd.DataFrame, specialties: Mapping[str, Sequence[str]]) -> SpecialtyAccuracy:
    """`vectors` has the columns note_id and vector, one row per note; `specialties` are those of each note_id.

    Raises InputError for missing columns, repeated ids, notes without specialties, fewer than six notes, and vectors
    that are null, zero, not finite or of different lengths.
    """
    check_vectors(vectors, specialties)
    labels = label_matrix([specialties[str(note_id)] for note_id in vectors["note_id"]])
    similarity = cosine_similarity(np.stack([np.asarray(vector, dtype=np.float64) for vector in vectors["vector"]]))
    hits = specialty_hits(similarity, labels)
    return SpecialtyAccuracy(
        notes=len(labels),
        specialties=labels.shape[1],
        nearest=float(hits.nearest.mean()),
        five_nearest=float(hits.five_nearest.mean()),
        chance=chance(shares_label(labels)),
        most_frequent=float(labels.mean(axis=0).max()),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class SpecialtyHits:
    """For each note, (notes,), whether it is one of the share that SpecialtyAccuracy gives under the same name."""

    nearest: Flags
    five_nearest: Flags


def specialty_hits(similarity: Matrix, labels: Flags) -> SpecialtyHits:
    """`similarity` (notes, notes): how near the note of a column is to that of a row; its diagonal is not looked at.
    `labels` (notes, specialties). There are at least six notes."""
    others = similarity.copy()
    np.fill_diagonal(others, -np.inf)
    neighbours = np.argsort(-others, axis=1, kind="stable")[:, :5]
    rows = np.arange(len(labels))
    return SpecialtyHits(
        nearest=shares_label(labels)[rows, neighbours[:, 0]],
        five_nearest=labels[rows, vote(labels, neighbours)],
    )


def check_vectors(vectors: pd.DataFrame, specialties: Mapping[str, Sequence[str]]) -> None:
    missing = sorted({"note_id", "vector"} - set(vectors.columns))
    if missing:
        raise InputError(f"the vectors have no column {' and no '.join(missing)}; expected note_id and vector.")
    problems = []
    if len(vectors) < 6:
        problems.append(f"{len(vectors)} vectors; five neighbours of a note need at least 6")
    repeated = int(vectors["note_id"].duplicated().sum())
    if repeated:
        problems.append(f"{repeated} note ids that occur again; expected one row per note")
    unlabelled = sum(not specialties.get(str(note_id)) for note_id in vectors["note_id"])
    if unlabelled:
        problems.append(f"{unlabelled} notes without a specialty; leave them out or hand in the notes they came from")
    unusable = int(vectors["vector"].map(is_unusable).sum())
    if unusable:
        problems.append(f"{unusable} vectors that are null, zero or not finite; leave those notes out")
    lengths = sorted({len(vector) for vector in vectors["vector"] if vector is not None})
    if len(lengths) > 1:
        problems.append(f"vectors of the lengths {lengths}; expected those of one model and pooling")
    if problems:
        raise InputError("Cannot compare these vectors: " + "; ".join(problems) + ".")


def is_unusable(vector: Sequence[float] | None) -> bool:
    return vector is None or not np.all(np.isfinite(vector)) or not np.any(vector)


def label_matrix(specialties: Sequence[Sequence[str]]) -> Flags:
    """(notes, specialties): whether the note has the specialty; columns in alphabetical order."""
    names = sorted({name for of_note in specialties for name in of_note})
    column = {name: index for index, name in enumerate(names)}
    labels = np.zeros((len(specialties), len(names)), dtype=np.bool_)
    for row, of_note in enumerate(specialties):
        labels[row, [column[name] for name in of_note]] = True
    return labels


def cosine_similarity(vectors: Matrix) -> Matrix:
    """(notes, width) -> (notes, notes)."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


def shares_label(labels: Flags) -> Flags:
    """(notes, specialties) -> (notes, notes): whether two notes have a specialty in common."""
    counts = labels.astype(np.int64)
    return np.asarray(counts @ counts.T > 0)


def vote(labels: Flags, neighbours: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The specialty elected for each note, (notes,). `neighbours` (notes, k), nearest first."""
    votes = labels[neighbours]
    k = neighbours.shape[1]
    # The nearest voter's rank adds less than one vote, so it only decides between equal counts
    nearest_voter = np.where(votes.any(axis=1), votes.argmax(axis=1), k)
    return np.asarray((votes.sum(axis=1) - nearest_voter / (k + 1)).argmax(axis=1))


def chance(shared: Flags) -> float:
    """The share of pairs of different notes that have a specialty in common."""
    notes = len(shared)
    return float((shared.sum() - np.trace(shared)) / (notes * (notes - 1)))
