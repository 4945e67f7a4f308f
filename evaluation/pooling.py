"""Which level and pooling to choose: what each is worth for search, classification and clustering by specialty.

    python -m sparkclin.evaluation.pooling NOTES --model NAME [--models DIR] [--engine ENGINE] [--window-pieces N]
        [--json]

NOTES is a .jsonl or .parquet with note_id, text and specialties (a note may have several). The specialties are never
shown to the model; how often a measure finds them says what the vectors are worth. Four measures, each of all poolings:

- the nearest note shares a specialty, and the five nearest elect one of the note's own (evaluation/retrieval.py);
- a linear probe, ridge regression on standardized vectors with five-fold cross-validation, gives one of the note's own
  specialties the highest score;
- the clusters of k-means, as many as there are classes, agree with the notes' classes. A note's class is the rarest of
  its specialties. Agreement is adjusted mutual information: the V-measure without what comes by chance (Romano et al.,
  JMLR 17, 2016, advise it where classes differ in size, as here).

A note of several windows or sentences has one vector by `average`, the mean of theirs. Without one vector, notes are as
near as their `closest pair` of segments, or by `best matches`: each segment of a note looks for the nearest in the
other note, and the cosines are averaged (as in ColBERT; Khattab and Zaharia, SIGIR 2020).

Standard errors are those of 200 random halves of the notes: the spread of a mean over halves is that of the mean over
all (Shao and Wu, Annals of Statistics 17, 1989). Differences are judged on the same halves.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkclin.engines import ENGINES
from sparkclin.errors import InputError, exit_status
from sparkclin.evaluation.notes import Note, read_notes
from sparkclin.evaluation.retrieval import Flags, Matrix, cosine_similarity, label_matrix, specialty_hits
from sparkclin.tasks.embed import EmbedOptions, embed

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

    from sparkclin.models.bundle import Bundle

POOLINGS = ("mean", "cls", "max", "mean_max")
MEASURES = {
    "nearest": "Search: the nearest note shares a specialty",
    "five_nearest": "Search: the five nearest elect one of the note's specialties",
    "probe": "Classification: a linear probe names one of the note's specialties",
    "clusters": "Clustering: agreement of k-means with the notes' classes",
}
WINDOW_PIECES = 254
LEAST_NOTES = 10
"""Five-fold cross-validation in a half, and five neighbours."""

HALVES, FOLDS, CLUSTERINGS, SEED = 200, 5, 10, 7
NOTES_AT_ONCE = 16
NOTES_PER_TASK = 100
FIRM = 2.576
"""A difference of so many standard errors comes by chance once in a hundred times."""

Ints = npt.NDArray[np.intp]
Statistic = Callable[[Ints], float]


@dataclass(frozen=True, eq=False)
class Segments:
    """The vectors of all notes' segments, (segments, width), and the index of the note that each is of, rising."""

    vectors: Matrix
    note: Ints


@dataclass(frozen=True, eq=False)
class Score:
    """A measure of all notes, and of each half of them, (HALVES,)."""

    value: float
    of_halves: Matrix

    @property
    def error(self) -> float:
        """Its standard error."""
        return float(self.of_halves.std())

    def differs_from(self, other: Score) -> int:
        """1 where it is larger beyond chance, −1 where it is smaller, else 0."""
        difference, error = self.value - other.value, float((self.of_halves - other.of_halves).std())
        return int(np.sign(difference)) if abs(difference) > FIRM * error else 0


Table = dict[str, dict[str, dict[str, Score]]]
"""measure -> row (level, and how notes of several segments are compared) -> pooling -> score."""


@dataclass(frozen=True, eq=False)
class Judge:
    """What the notes' specialties say of vectors. `labels` (notes, specialties), `halves` (HALVES, notes // 2)."""

    labels: Flags
    halves: Ints

    def of_similarity(self, similarity: Matrix) -> dict[str, Score]:
        """`similarity` (notes, notes)."""
        hits = specialty_hits(similarity, self.labels)
        return {"nearest": self._share(hits.nearest), "five_nearest": self._share(hits.five_nearest)}

    def of_vectors(self, vectors: Matrix) -> dict[str, Score]:
        """`vectors` (notes, width)."""
        return {"probe": self._share(probe_hits(vectors, self.labels)), "clusters": self._agreement(vectors)}

    def _share(self, hits: Flags) -> Score:
        return self._score(lambda notes: float(hits[notes].mean()))

    def _agreement(self, vectors: Matrix) -> Score:
        from sklearn.metrics import adjusted_mutual_info_score

        classes = rarest(self.labels)
        found = clusterings(vectors, n_clusters=len(np.unique(classes)))
        return self._score(
            lambda notes: float(np.mean([adjusted_mutual_info_score(classes[notes], one[notes]) for one in found]))
        )

    def _score(self, statistic: Statistic) -> Score:
        everyone = np.arange(len(self.labels))
        return Score(statistic(everyone), np.array([statistic(half) for half in self.halves]))


def judge(notes: Sequence[Note]) -> Judge:
    """Raises InputError for too few notes, and for notes without specialties."""
    unlabelled = sum(not note.specialties for note in notes)
    if unlabelled or len(notes) < LEAST_NOTES:
        raise InputError(
            f"{len(notes)} notes, {unlabelled} of them without a specialty; expected at least {LEAST_NOTES}, "
            "each with one or more in the list specialties."
        )
    draw = np.random.default_rng(SEED)
    halves = [np.sort(draw.permutation(len(notes))[: len(notes) // 2]) for _ in range(HALVES)]
    return Judge(label_matrix([note.specialties for note in notes]), np.array(halves))


def rarest(labels: Flags) -> Ints:
    """For each note, (notes,), the column of the rarest of its specialties; of equally rare ones the first."""
    counts = labels.sum(axis=0)
    return np.asarray(np.where(labels, counts, len(labels) + 1).argmin(axis=1))


def probe_hits(vectors: Matrix, labels: Flags) -> Flags:
    """Whether the specialty of highest score, by a probe that has not seen the note, is one of its own, (notes,)."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(0, 5, 6)))
    folds = KFold(FOLDS, shuffle=True, random_state=SEED)
    scores = cross_val_predict(probe, vectors, labels.astype(np.float64), cv=folds)
    return np.asarray(labels[np.arange(len(labels)), scores.argmax(axis=1)])


def clusterings(vectors: Matrix, *, n_clusters: int) -> list[Ints]:
    """k-means on vectors of length 1, from several beginnings."""
    from sklearn.cluster import KMeans

    unit = unit_vectors(vectors)
    return [KMeans(n_clusters, n_init=1, random_state=seed).fit_predict(unit) for seed in range(CLUSTERINGS)]


def unit_vectors(vectors: Matrix) -> Matrix:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def averages(segments: Segments) -> Matrix:
    """The mean vector of each note's segments, (notes, width)."""
    starts = starts_of_notes(segments)
    sizes = np.diff(starts, append=len(segments.note))
    return np.asarray(np.add.reduceat(segments.vectors, starts, axis=0) / sizes[:, None])


def starts_of_notes(segments: Segments) -> Ints:
    """The row of each note's first segment."""
    return np.flatnonzero(np.diff(segments.note, prepend=-1))


@dataclass(frozen=True, eq=False)
class Matches:
    """Two similarities of notes by their segments, (notes, notes)."""

    closest_pair: Matrix
    best_matches: Matrix


def matches(segments: Segments) -> Matches:
    """Some notes at a time: the cosines of all segments with all would take gigabytes."""
    unit = unit_vectors(segments.vectors).astype(np.float32)
    starts = starts_of_notes(segments)
    closest, best = [], []
    for begin in range(0, len(starts), NOTES_AT_ONCE):
        of_these = starts[begin : begin + NOTES_AT_ONCE]
        end = starts[begin + NOTES_AT_ONCE] if begin + NOTES_AT_ONCE < len(starts) else len(unit)
        # (segments of these notes, notes)
        per_segment = np.maximum.reduceat(unit[of_these[0] : end] @ unit.T, starts, axis=1)
        local = of_these - of_these[0]
        sizes = np.diff(local, append=end - of_these[0])
        closest.append(np.maximum.reduceat(per_segment, local, axis=0))
        best.append(np.add.reduceat(per_segment, local, axis=0) / sizes[:, None])
    return Matches(np.concatenate(closest).astype(np.float64), np.concatenate(best).astype(np.float64))


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A level of vectors, and how notes are read for it; `name` is what the table calls it."""

    name: str
    level: str
    context: str = "note"
    max_pieces: int | None = None

    def poolings(self) -> tuple[str, ...]:
        """Those that a run is made for: the vector of mean_max has those of mean and max in it."""
        return ("mean_max",) if (self.level, self.context) == ("sentence", "note") else ("mean_max", "cls")


def readings(window_pieces: int) -> list[Reading]:
    return [
        Reading(name="document", level="document"),
        Reading(name=f"window of {window_pieces} pieces", level="window", max_pieces=window_pieces),
        Reading(name="sentence", level="sentence"),
        Reading(name="sentence, read alone", level="sentence", context="sentence"),
    ]


def table_of(judged_by: Judge, found: Iterable[tuple[Reading, Mapping[str, Segments]]]) -> Table:
    """`found` gives each reading's segments by their pooling."""
    table: Table = {measure: {} for measure in MEASURES}
    for reading, by_pooling in found:
        for pooling, segments in by_pooling.items():
            for way, scores in ways(judged_by, segments, level=reading.level):
                for measure, score in scores.items():
                    table[measure].setdefault(f"{reading.name}{way}", {})[pooling] = score
    return table


def ways(judged_by: Judge, segments: Segments, *, level: str) -> Iterator[tuple[str, dict[str, Score]]]:
    """Each way to compare notes at a level, and what comes of it."""
    vectors = averages(segments)
    by_cosine = judged_by.of_similarity(cosine_similarity(vectors)) | judged_by.of_vectors(vectors)
    if level == "document":
        yield "", by_cosine
        yield ", dot product", judged_by.of_similarity(vectors @ vectors.T)
        return
    yield ", average", by_cosine
    matched = matches(segments)
    yield ", closest pair", judged_by.of_similarity(matched.closest_pair)
    yield ", best matches", judged_by.of_similarity(matched.best_matches)


def embedded(
    notes: Sequence[Note], reading: Reading, *, spark: SparkSession, bundle: Bundle
) -> tuple[Reading, dict[str, Segments]]:
    """The segments of all notes by embed(), by their pooling. Raises InputError for a note that has none."""
    made = {pooling: _segments(notes, reading, pooling, spark=spark, bundle=bundle) for pooling in reading.poolings()}
    both = made["mean_max"]
    mean, most = np.split(both.vectors, 2, axis=1)
    return reading, {"mean": Segments(mean, both.note), **made, "max": Segments(most, both.note)}


def _segments(
    notes: Sequence[Note], reading: Reading, pooling: str, *, spark: SparkSession, bundle: Bundle
) -> Segments:
    tasks = -(-len(notes) // NOTES_PER_TASK)
    texts = spark.sparkContext.parallelize([(index, note.text) for index, note in enumerate(notes)], tasks)
    options = EmbedOptions(level=reading.level, pooling=pooling, context=reading.context, max_pieces=reading.max_pieces)
    rows = embed(spark.createDataFrame(texts, "note_id long, text string"), bundle=bundle, options=options)
    vectors = rows.select("note_id", "vector")
    return gathered(vectors.toPandas(), notes)


def gathered(table: pd.DataFrame, notes: Sequence[Note]) -> Segments:
    """`table` has note_id, the index of a note, and vector, null for a segment without one."""
    there = table[table["vector"].notna()].sort_values("note_id", kind="stable")
    silent = sorted(set(range(len(notes))) - set(there["note_id"]))
    if silent:
        raise InputError(
            f"{len(silent)} notes have no vector (the first has the note_id {notes[silent[0]].note_id}). "
            "Leave them out."
        )
    return Segments(np.stack(there["vector"].to_list()).astype(np.float64), there["note_id"].to_numpy(dtype=np.intp))


def markdown(table: Table) -> str:
    """A table per measure: a row per level and way, a column per pooling. Arrows: firmly above or below the first."""
    parts = []
    for measure, title in MEASURES.items():
        rows = table[measure]
        reference = rows["document"]["mean"]
        largest = max(score.error for by_pooling in rows.values() for score in by_pooling.values())
        lines = [f"| {row} | {' | '.join(_cell(by.get(p), reference) for p in POOLINGS)} |" for row, by in rows.items()]
        parts.append(
            f"{title} (standard errors up to {largest:.3f})\n\n"
            f"| level | {' | '.join(f'`{pooling}`' for pooling in POOLINGS)} |\n|---|---|---|---|---|\n"
            + "\n".join(lines)
        )
    return "\n\n".join(parts)


def _cell(score: Score | None, reference: Score) -> str:
    if score is None:
        return ""
    return f"{score.value:.3f}{('', ' ↑', ' ↓')[score.differs_from(reference)]}"


def as_numbers(table: Table) -> dict[str, Any]:
    return {
        measure: {
            row: {pooling: {"value": score.value, "error": score.error} for pooling, score in by_pooling.items()}
            for row, by_pooling in rows.items()
        }
        for measure, rows in table.items()
    }


def run(asked: argparse.Namespace) -> str:
    """What is printed. Raises SparkclinError for what the user can mend."""
    import sparkclin

    notes = read_notes(asked.notes)
    judged_by = judge(notes)
    repository = sparkclin.ModelRepository(asked.models) if asked.models else sparkclin.active_repository()
    bundle = repository.find(asked.model, engine=asked.engine)
    spark = sparkclin.spark_session(app_name="sparkclin pooling")
    found = (embedded(notes, reading, spark=spark, bundle=bundle) for reading in readings(asked.window_pieces))
    table = table_of(judged_by, found)
    return json.dumps(as_numbers(table), indent=2) if asked.json else markdown(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 for what the user can mend, 2 for wrong usage."""
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m sparkclin.evaluation.pooling", description=summary)
    parser.add_argument("notes", type=Path, help=".jsonl or .parquet with note_id, text and specialties")
    parser.add_argument("--model", required=True, metavar="NAME", help="whose vectors")
    parser.add_argument("--models", metavar="DIR", help="default: $SPARKCLIN_MODELS, else the demo models")
    parser.add_argument("--engine", choices=ENGINES, help="default: the fastest that the model was exported for")
    parser.add_argument(
        "--window-pieces", type=int, default=WINDOW_PIECES, metavar="N", help="at level window (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="values with their standard errors, instead of tables")
    asked = parser.parse_args(arguments)
    return exit_status(lambda: print(run(asked)))


if __name__ == "__main__":
    sys.exit(main())
