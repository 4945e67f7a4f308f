"""Entities -> rows of the table `note_nlp` of OMOP's Common Data Model 5.4.

Source: https://ohdsi.github.io/CommonDataModel/cdm54.html#note_nlp. An entity that no row can hold is left out of the
table and counted; nothing is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from pyspark.sql import types as T

from sparkclin.errors import IncompleteError, ModelError, OptionError
from sparkclin.models.bundle import Bundle
from sparkclin.schema import NOTE_ID, STATUS, STATUS_OK, TEXT
from sparkclin.spark.failures import in_udf, step
from sparkclin.tasks.entities import INDEX
from sparkclin.tasks.rows import in_schema
from sparkclin.text.entities import kinds_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NOTE_NLP = T.StructType(
    [
        T.StructField("note_nlp_id", T.LongType()),
        T.StructField("note_id", T.LongType()),
        T.StructField("section_concept_id", T.IntegerType()),
        T.StructField("snippet", T.StringType()),
        T.StructField("offset", T.StringType()),
        T.StructField("lexical_variant", T.StringType()),
        T.StructField("note_nlp_concept_id", T.IntegerType()),
        T.StructField("note_nlp_source_concept_id", T.IntegerType()),
        T.StructField("nlp_system", T.StringType()),
        T.StructField("nlp_date", T.DateType()),
        T.StructField("nlp_datetime", T.TimestampType()),
        T.StructField("term_exists", T.StringType()),
        T.StructField("term_temporal", T.StringType()),
        T.StructField("term_modifiers", T.StringType()),
    ]
)
"""The columns in the standard's order. The two ids of rows have 64 bits where the standard's `integer` leaves the width
to the database: a large corpus has more entities than fit in 32."""

WIDTHS = {
    "snippet": 250,
    "offset": 50,
    "lexical_variant": 250,
    "nlp_system": 250,
    "term_exists": 1,
    "term_temporal": 50,
    "term_modifiers": 2000,
}
"""The most characters (code points) that a column may have."""

NO_CONCEPT = 0
"""The concept of what is not mapped to one."""

LARGEST_FIRST_ID = 2**62
RANGE_BITS = 14
LONGEST_MODIFIERS = "label={label};end=2147483647;score=0.0000"


def nlp_system(bundle: Bundle) -> str:
    """What found the terms: `sparkclin 0.1.0; a_model onnx fp32; sha256 0123456789abcdef`, the first 16 digits of
    `sha256sum sparkclin.json` in the model's folder.

    Raises ModelError where the model's name or its labels are too long for their columns.
    """
    manifest = bundle.manifest
    model = f"{manifest.name} {manifest.engine} {manifest.precision}"
    system = f"sparkclin {version('sparkclin')}; {model}; sha256 {bundle.digest}"
    longest = max(kinds_of(manifest.labels), key=len, default="")
    values = {"nlp_system": system, "term_modifiers": LONGEST_MODIFIERS.format(label=longest)}
    if too_long := [name for name, value in values.items() if len(value) > WIDTHS[name]]:
        listed = ", ".join(
            f"{name} would have {len(values[name])} characters, more than the {WIDTHS[name]} of OMOP"
            for name in too_long
        )
        raise ModelError(f"{listed}. Export {manifest.name} with a shorter name or shorter labels.")
    return system


def check_first_id(first_id: int) -> None:
    """Raises OptionError for a first note_nlp_id that leaves no room, or is none."""
    if not 1 <= first_id <= LARGEST_FIRST_ID:
        raise OptionError(f"the first note_nlp_id is {first_id}: expected 1 to {LARGEST_FIRST_ID}.")


@step("in note_nlp()")
def note_nlp(entities: DataFrame, notes: DataFrame, *, system: str, at: datetime, first_id: int = 1) -> DataFrame:
    """The entities as find_entities() gives them, with bigint ids, and their notes (note_id, text) -> a row per entity.

    `note_nlp_id` numbers the rows from `first_id` on, without gaps, in the order of note_id and of the entities in
    their note: the same entities get the same ids. `snippet` is the 250 characters of the note around the entity, which
    is in their middle unless the note begins or ends before; of a shorter note it is the whole. `offset` counts code
    points from 0. An entity of more than 250 characters is left out. `at` is when the run began, in UTC.
    """
    from pyspark.sql import functions as F

    made = {
        "section_concept_id": F.lit(NO_CONCEPT),
        "offset": F.col("begin"),
        "note_nlp_concept_id": F.lit(NO_CONCEPT),
        "note_nlp_source_concept_id": F.lit(NO_CONCEPT),
        "nlp_system": F.lit(system),
        "nlp_date": F.lit(at.date()),
        "nlp_datetime": F.lit(at),
        "term_exists": F.lit(None),
        "term_temporal": F.lit(None),
        "term_modifiers": F.format_string("label=%s;end=%d;score=%.4f", "label", "end", "score"),
    }
    rows = _with_snippets(_numbered(_fitting(entities), first_id=first_id), notes)
    return in_schema(rows, NOTE_NLP, made)


def _with_snippets(entities: DataFrame, notes: DataFrame) -> DataFrame:
    """Return the entities with what the note says: `snippet` and `lexical_variant`.

    A note meets all its entities at once, in Python. In Spark each entity's row would hold the whole text, and Spark
    would count the text's characters for each.
    """
    from pyspark.sql import functions as F

    snippets = F.udf(in_udf(_snippets), T.ArrayType(T.StructType([NOTE_NLP["snippet"], NOTE_NLP["lexical_variant"]])))
    kept = F.struct("note_nlp_id", "begin", "end", "label", "score")
    found = entities.groupBy(NOTE_ID).agg(F.collect_list(kept).alias("kept"))
    of_note = found.join(notes.select(NOTE_ID, TEXT), NOTE_ID)
    said = of_note.select(NOTE_ID, "kept", snippets(TEXT, "kept.begin", "kept.end").alias("said"))
    zipped = said.select(NOTE_ID, F.inline(F.arrays_zip("kept", "said")))
    return zipped.select(NOTE_ID, "kept.*", "said.*")


def _snippets(text: str | None, begins: Sequence[int], ends: Sequence[int]) -> list[tuple[str, str]]:
    """Return the snippet and the text of each entity of a note. Offsets count code points, as Python does."""
    known = text or ""
    width, found = WIDTHS["snippet"], []
    for begin, end in zip(begins, ends, strict=True):
        first = max(0, min(begin - (width - (end - begin)) // 2, len(known) - width))
        found.append((known[first : first + width], known[begin:end]))
    return found


def check_note_nlp(written: DataFrame, entities: DataFrame, *, first_id: int = 1) -> dict[str, int]:
    """Counts of the rows that were written, and of the entities that are `too_long` and left out.

    Raises IncompleteError, with counts, unless every other entity has one row, with its offset and text, and the rows
    are numbered from `first_id` on.
    """
    from pyspark.sql import functions as F

    place = ("note_id", "offset", "lexical_variant")
    expected = _fitting(entities).select("note_id", F.col("begin").cast("string"), TEXT, F.lit(1)).toDF(*place, "n")
    differences = expected.union(written.select(*place, F.lit(-1))).groupBy(*place).agg(F.sum("n").alias("missing"))
    missing = F.col("missing")
    places = differences.agg(
        F.coalesce(F.sum(F.when(missing > 0, missing)), F.lit(0)).alias("missing"),
        F.coalesce(F.sum(F.when(missing < 0, -missing)), F.lit(0)).alias("surplus"),
    ).first()
    number = F.col("note_nlp_id")
    ids = written.agg(
        F.count(F.lit(1)).alias("rows"),
        F.countDistinct(number).alias("distinct"),
        F.coalesce(F.min(number), F.lit(first_id)).alias("first"),
        F.coalesce(F.max(number), F.lit(first_id - 1)).alias("last"),
    ).first()
    assert places is not None  # an aggregation without grouping always gives a row
    assert ids is not None
    is_numbered = ids.distinct == ids.rows and (ids.first, ids.last) == (first_id, first_id + ids.rows - 1)
    if places.missing or places.surplus or not is_numbered:
        raise IncompleteError(
            f"note_nlp has {ids.rows} rows with {ids.distinct} ids: {places.missing} entities are missing and "
            f"{places.surplus} rows belong to no entity or occur twice. The output was discarded: run again, and let "
            "nothing write to --input until the run ends."
        )
    return {"rows": int(ids.rows), "too_long": entities.filter(_is_entity() & ~_fits()).count()}


def _fitting(entities: DataFrame) -> DataFrame:
    """The rows that are entities, and not too long."""
    return entities.filter(_is_entity() & _fits())


def _is_entity() -> Column:
    from pyspark.sql import functions as F

    return F.col(STATUS) == STATUS_OK


def _fits() -> Column:
    from pyspark.sql import functions as F

    return F.length(TEXT) <= WIDTHS["lexical_variant"]


def _numbered(entities: DataFrame, *, first_id: int) -> DataFrame:
    """With note_nlp_id: within each range of notes by itself, so that no task has to sort all of them."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    ranged = entities.withColumn("range", F.shiftright(NOTE_ID, RANGE_BITS))
    smaller = Window.orderBy("range").rowsBetween(Window.unboundedPreceding, -1)
    earlier = F.coalesce(F.sum("count").over(smaller), F.lit(0))
    ranges = ranged.groupBy("range").count().select("range", earlier.alias("earlier"))
    number = F.row_number().over(Window.partitionBy("range").orderBy(NOTE_ID, INDEX))
    return ranged.join(ranges, "range").withColumn("note_nlp_id", F.lit(first_id - 1) + F.col("earlier") + number)
