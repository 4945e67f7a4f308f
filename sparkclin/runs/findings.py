"""What a run for entities found, for people to read: notes with their entities, and the most frequent variants.

All of it is note text. Nothing here is for reports, logs or errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkclin.models.bundle import Bundle
from sparkclin.models.card import table
from sparkclin.runs.corpus import read_notes
from sparkclin.runs.sink import read_rows
from sparkclin.schema import NOTE_ID, TEXT
from sparkclin.spark.failures import step
from sparkclin.spark.session import spark_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from sparkclin.runs.run import RunRequest

VARIANTS_PER_LABEL = 10

_AROUND = r"^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$"
"""What is no letter and no digit at the ends: a word that ends at a space has its comma with it."""

_NOTE_TEXT, _ENTITIES = "note_text", "entities"


@dataclass(frozen=True)
class Mark:
    """An entity in a note: offsets in code points, end exclusive; `score` is a probability."""

    begin: int
    end: int
    label: str
    score: float


@dataclass(frozen=True)
class MarkedNote:
    """A note and the entities found in it."""

    note_id: str
    text: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Variant:
    """A lexical variant: the words of entities, in lower case, without marks around them. `entities` says how often it
    was found, `notes` in how many notes."""

    label: str
    words: str
    entities: int
    notes: int


@dataclass(frozen=True, kw_only=True)
class Findings:
    """`model` and `description` are the manifest's; `n_notes` is how many notes there were, of which `notes` are some;
    `variants` are the most frequent of each label, over all notes."""

    model: str
    description: str
    n_notes: int
    notes: tuple[MarkedNote, ...]
    variants: tuple[Variant, ...]

    def summary(self) -> str:
        """A table of the variants, below what the model says of itself."""
        head = f"{self.model}: {self.description}" if self.description else self.model
        return "\n\n".join([head, *(_of_label(label, rows) for label, rows in by_label(self.variants))])


def by_label(variants: tuple[Variant, ...]) -> Iterator[tuple[str, list[Variant]]]:
    """Each label in the order of the alphabet, and its variants."""
    for label in sorted({variant.label for variant in variants}):
        yield label, [variant for variant in variants if variant.label == label]


def read_findings(request: RunRequest, *, model: Bundle, most_notes: int) -> Findings:
    """Of a finished run: `most_notes` of its notes, and the variants of all that it wrote."""
    spark = spark_session(spark_nlp=False)
    with step("while reading what was found"):
        rows = read_rows(spark, request.sink)
        # Files may have been added to the input since.
        notes = read_notes(spark, request.source).join(rows.select(NOTE_ID).distinct(), NOTE_ID, "left_semi")
        return Findings(
            model=model.manifest.name,
            description=model.manifest.description,
            n_notes=notes.count(),
            notes=marked_notes(notes, rows, most=most_notes),
            variants=frequent_variants(rows),
        )


def marked_notes(notes: DataFrame, rows: DataFrame, *, most: int) -> tuple[MarkedNote, ...]:
    """The first `most` notes with text, by their ids, and the entities of `rows` in them.

    `notes` has note_id and text, `rows` what find_entities() gives.
    """
    from pyspark.sql import functions as F

    first = _visible(notes).orderBy(NOTE_ID).limit(most)
    entity = F.struct("begin", "end", "label", "score")
    entities = _visible(rows).groupBy(NOTE_ID).agg(F.collect_list(entity).alias(_ENTITIES))
    joined = first.withColumnRenamed(TEXT, _NOTE_TEXT).join(entities, NOTE_ID, "left").orderBy(NOTE_ID)
    return tuple(MarkedNote(str(row[NOTE_ID]), row[_NOTE_TEXT], _marks(row[_ENTITIES])) for row in joined.collect())


def frequent_variants(rows: DataFrame, *, most: int = VARIANTS_PER_LABEL) -> tuple[Variant, ...]:
    """The `most` frequent variants of each label in what find_entities() gives."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    bare = F.regexp_replace(TEXT, _AROUND, "")
    words = F.lower(F.regexp_replace(F.when(bare == "", F.col(TEXT)).otherwise(bare), r"\s+", " "))
    found = _visible(rows).select("label", words.alias("words"), NOTE_ID)
    counted = found.groupBy("label", "words").agg(
        F.count(F.lit(1)).alias("entities"), F.countDistinct(NOTE_ID).alias("notes")
    )
    rank = F.row_number().over(Window.partitionBy("label").orderBy(F.desc("entities"), "words"))
    top = counted.withColumn("rank", rank).filter(F.col("rank") <= most).orderBy("label", "rank")
    return tuple(Variant(row.label, row.words, row.entities, row.notes) for row in top.collect())


def _visible(frame: DataFrame) -> DataFrame:
    """Without the rows whose text is null, as that of a note without entities is, or white space only."""
    from pyspark.sql import functions as F

    return frame.filter(F.coalesce(F.col(TEXT), F.lit("")).rlike(r"\S"))


def _marks(entities: Sequence[Row] | None) -> tuple[Mark, ...]:
    """In the order of the text; null where a note has none."""
    return tuple(sorted((Mark(*entity) for entity in entities or ()), key=lambda mark: (mark.begin, mark.end)))


def _of_label(label: str, variants: list[Variant]) -> str:
    rows = [(f"most frequent: {label}", "FOUND", "IN NOTES")]
    rows += [(_printable(variant.words), f"{variant.entities:,}", f"{variant.notes:,}") for variant in variants]
    return table(rows)


def _printable(text: str) -> str:
    """Without characters that a terminal would obey."""
    return "".join(character if character.isprintable() else "�" for character in text)
