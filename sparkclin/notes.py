"""Notes as people have them in a notebook, and rows of a task as the same kind: a Spark DataFrame, which is computed
when it is used, or a pandas DataFrame or a list of texts, which are computed now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pandas as pd

from sparkclin.errors import IncompleteError, InputError, OptionError
from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import engine_of
from sparkclin.models.trust import check_trusted
from sparkclin.runs.corpus import IdCounts, NoteSource, check_ids, default_partitions, such_as
from sparkclin.runs.progress import Work, shown
from sparkclin.runs.run import OWN_PROGRESS, ModelChoice, Task
from sparkclin.runs.sources.notes import check_columns, schema_of, with_texts
from sparkclin.runs.sources.tables import table_notes
from sparkclin.schema import NOTE_ID, PAIR, STATUS, STATUSES, TEXT, VECTOR
from sparkclin.spark import storage
from sparkclin.spark.failures import step
from sparkclin.spark.interrupts import settled
from sparkclin.spark.logs import silence, stay_silent
from sparkclin.spark.session import running_session, spark_session
from sparkclin.text.vectors import HALF
from sparkclin.vectors import is_null, is_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    Notes = DataFrame | pd.DataFrame | Sequence[str | None]

THE_NOTES = "the DataFrame"
"""What errors call them."""

NOT_READ = frozenset(STATUSES[1:])
"""The statuses of notes of which there is nothing."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where notes have what.

    `id_column` None is the column note_id; of a pandas DataFrame without that, the index. `pair` is the other text that
    notes are read with, such as a question: one text for all, or one for each note; `pair_column` is the column that
    has it instead. `pair_option` is the name under which the user knows `pair`.

    Raises OptionError if both `pair` and `pair_column` are given.
    """

    id_column: str | None = None
    text_column: str = TEXT
    pair: str | Sequence[str | None] | None = None
    pair_column: str | None = None
    pair_option: str = "pair"

    def __post_init__(self) -> None:
        if self.pair is not None and self.pair_column is not None:
            option = self.pair_option
            raise OptionError(f"{option} and {option}_column were both given: give the texts or name their column.")

    @property
    def named_columns(self) -> dict[str, str | None]:
        """The columns by the options that name them."""
        return {
            "id_column": self.id_column,
            "text_column": self.text_column,
            f"{self.pair_option}_column": self.pair_column,
        }

    def check_no_columns(self) -> None:
        """Raise OptionError if an option names a column, for notes without columns."""
        defaults = Layout().named_columns
        if given := [option for option, name in self.named_columns.items() if name != defaults.get(option)]:
            raise OptionError(f"a list of texts has no columns: leave out {' and '.join(given)}, or give a DataFrame.")

    def source(self) -> NoteSource:
        """Return the source that a run reads. Raises OptionError for names of columns that are not texts."""
        for option, name in self.named_columns.items():
            if not isinstance(name, str) and not (name is None and option != "text_column"):
                raise OptionError(
                    f"{option} is of the class {class_name(name)}: expected the name of a column as a text; '1' names "
                    "the column 1 of a pandas DataFrame."
                )
        return NoteSource(
            path=THE_NOTES,
            id_column=self.id_column or NOTE_ID,
            text_column=self.text_column,
            pair_column=self.pair_column,
            pair_text=self.pair if isinstance(self.pair, str) else None,
        )

    def pairs(self, n_notes: int) -> list[Any] | None:
        """One for each note where that is said here; None where there are none, or they are in a column. Raises
        OptionError where they are not as many as the notes."""
        if self.pair is None:
            return None
        pairs = [self.pair] * n_notes if isinstance(self.pair, str) else list(self.pair)
        if len(pairs) != n_notes:
            raise OptionError(f"{len(pairs)} texts were given for {n_notes} notes to be read with: one for each.")
        return pairs


@dataclass(frozen=True, kw_only=True)
class Job:
    """A task to be done to notes. `listed` makes of the rows of one text, which was read, what stands for it in a list;
    `progress`: a line says how far it is where notes are computed now."""

    task: Task
    model: ModelChoice | Bundle
    layout: Layout
    listed: Callable[[pd.DataFrame], Any]
    progress: bool = True


def rows_of(notes: Notes, job: Job) -> Any:
    """The rows of a Spark DataFrame as such; those of a pandas DataFrame as such, in the order of the notes; and a list
    of what there is of each text of a list.

    Raises InputError for notes of another kind, a missing column, values that are no texts, and, where they are
    computed now, ids that are null or not of one note alone; and SparkclinError as runs do.
    """
    if isinstance(notes, pd.DataFrame):
        return _of_pandas(notes, job)
    if isinstance(notes, list | tuple):
        return _of_texts(notes, job)
    if is_spark(notes):
        return _of_spark(notes, job)
    alone = " (one text is a list of one: [text])" if isinstance(notes, str) else ""
    raise InputError(
        f"notes of the class {class_name(notes)} cannot be read: expected a Spark DataFrame, a pandas DataFrame or a "
        f"list of texts{alone}."
    )


def _of_spark(notes: DataFrame, job: Job) -> DataFrame:
    from pyspark.sql import functions as F

    source = job.layout.source()
    if job.layout.pair is not None and source.pair_text is None:
        raise OptionError("a Spark DataFrame has no order of rows: give one text for all notes, or name a column.")
    wanted = {name.lower() for name in source.columns if name in notes.columns}
    alike = [name for name in notes.columns if name.lower() in wanted and name not in source.columns]
    if alike and notes.sparkSession.conf.get("spark.sql.caseSensitive") != "true":
        raise InputError(
            f"the DataFrame has columns that differ from those of the notes in case only ({', '.join(alike)}): Spark "
            "takes them for the same. Rename or drop them."
        )
    read = table_notes(notes, source)
    if source.pair_text is not None:
        read = read.withColumn(PAIR, F.lit(source.pair_text))
    return job.task.rows(read, _found(job), _as_it_is)


def _of_pandas(notes: pd.DataFrame, job: Job) -> pd.DataFrame:
    source = job.layout.source()
    names = [str(name) for name in notes.columns]
    by_index = job.layout.id_column is None and NOTE_ID not in names
    check_columns(THE_NOTES, source.columns[by_index:], names)
    found = {name: notes.iloc[:, names.index(name)] for name in source.columns[by_index:]}
    ids = notes.index.to_series() if by_index else found[source.id_column]
    _check_ids(ids)
    pairs = job.layout.pairs(len(notes))
    if source.pair_column is not None:
        pairs = found[source.pair_column].tolist()
    rows = _computed(found[source.text_column].tolist(), pairs, job)
    positions = rows.pop(NOTE_ID).to_numpy()
    rows.insert(0, NOTE_ID, ids.take(positions).array)
    rows.index = notes.index.take(positions)
    if rows.index.name == NOTE_ID:  # pandas merges by no name that is a column's too
        rows.index.name = None
    return rows


def _of_texts(texts: Sequence[str | None], job: Job) -> list[Any]:
    job.layout.check_no_columns()
    _ = job.layout.source()
    rows = _computed(list(texts), job.layout.pairs(len(texts)), job)
    of_texts = rows.groupby(NOTE_ID, sort=True)
    return [None if of_one[STATUS].iat[0] in NOT_READ else job.listed(of_one) for _, of_one in of_texts]


def _computed(texts: list[Any], pairs: list[Any] | None, job: Job) -> pd.DataFrame:
    """The rows of all notes in their order; the id of each is its note's place, from 0."""
    columns = {TEXT: texts} | ({PAIR: pairs} if pairs is not None else {})
    table = pd.DataFrame({NOTE_ID: np.arange(len(texts)), **{name: _bytes(of, name) for name, of in columns.items()}})
    spark, bundle = _opened(job)
    _ = job.task.settings(bundle.manifest)  # what the model does not allow is said before anything is computed
    n_tasks = default_partitions(len(texts), parallelism=spark.sparkContext.defaultParallelism)
    with silence(spark), settled(spark.sparkContext), step(f"in {job.task.name}"):
        schema = schema_of(id_type="bigint", pair=pairs is not None)
        notes = spark.createDataFrame(table if texts else [], schema)
        rows = job.task.rows(with_texts(notes).repartition(n_tasks), bundle, _as_it_is)
        work = Work(name=job.task.name, group=f"sparkclin {uuid4()}", n_notes=len(texts), n_tasks=n_tasks)
        with shown(spark.sparkContext, work) if job.progress else nullcontext():
            found = _with_types(rows, rows.toPandas())
    if found[NOTE_ID].nunique() != len(texts):
        raise IncompleteError(
            f"{len(texts)} notes went in, and {found[NOTE_ID].nunique()} came out. Report this, with the versions."
        )
    by = [NOTE_ID, *([job.task.index] if job.task.index else [])]
    return found.sort_values(by, kind="stable", ignore_index=True)


def _with_types(rows: DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Vectors as NumPy arrays, and whole numbers and truth values as such where some are missing: pandas would make
    floats and objects of them."""
    from pyspark.sql import types as T

    for field in rows.schema:
        column = found[field.name]
        if field.name == VECTOR:
            dtype = HALF if isinstance(field.dataType, T.BinaryType) else np.dtype(np.float32)
            found[field.name] = pd.Series([_vector(value, dtype) for value in column], dtype=object)
        elif isinstance(field.dataType, T.IntegralType) and column.isna().any():
            found[field.name] = column.astype("Int32")
        elif isinstance(field.dataType, T.BooleanType) and column.isna().any():
            found[field.name] = column.astype("boolean")
    return found


def _vector(value: Any, dtype: np.dtype[Any]) -> Any:
    if is_null(value):
        return None
    return np.frombuffer(value, dtype) if isinstance(value, bytes | bytearray) else np.asarray(value, dtype)


def _bytes(texts: list[Any], column: str) -> list[bytes | None]:
    """Texts as bytes: a lone half of a surrogate pair is none of UTF-8, and costs its own note alone. Raises InputError
    for what is no text."""
    odd = [class_name(text) for text in texts if not isinstance(text, str) and not is_null(text)]
    if odd:
        classes = ", ".join(sorted(set(odd)))
        raise InputError(f"{len(odd)} of {len(texts)} values of {column} are no texts, but of the class {classes}.")
    return [text.encode("utf-8", "surrogatepass") if isinstance(text, str) else None for text in texts]


def _check_ids(ids: pd.Series[Any]) -> None:
    if odd := {class_name(value) for value in ids if isinstance(value, list | dict | set | np.ndarray)}:
        raise InputError(
            f"ids of {THE_NOTES} are of the class {', '.join(sorted(odd))}: an id is one value of its own. Choose "
            "another id_column."
        )
    null = ids.isna()
    double = ids[~null & ids.duplicated(keep=False)]
    counts = IdCounts(
        notes=len(ids), null_ids=int(null.sum()), duplicates=len(double), duplicate_ids=int(double.nunique())
    )
    check_ids(counts, shown=lambda: such_as(sorted(map(str, double.unique()))))


@step("while starting")
def _opened(job: Job) -> tuple[SparkSession, Bundle]:
    """The running session, or a new one, without Spark NLP's jars where neither model nor task needs them; and the
    model, which is looked at first where it is on the local disk."""
    if isinstance(job.model, ModelChoice) and storage.is_remote(job.model.where().root):
        return _session(job), _found(job)
    bundle = _found(job)
    return _session(job, spark_nlp=engine_of(bundle).spark_nlp is not None or job.task.needs_spark_nlp), bundle


def _session(job: Job, *, spark_nlp: bool = True) -> SparkSession:
    name = f"sparkclin {job.task.name}"
    if running_session() is not None:
        return spark_session(app_name=name, spark_nlp=spark_nlp)
    # Spark's own bar, of its stages, would stand in the same line as ours, and Java's words below the cell.
    ours = spark_session(app_name=name, settings=OWN_PROGRESS, spark_nlp=spark_nlp)
    stay_silent(ours)
    return ours


def _found(job: Job) -> Bundle:
    """The model. Raises ModelError for one of another task."""
    bundle = job.model.find(task=job.task.model_task) if isinstance(job.model, ModelChoice) else job.model
    if job.task.model_task is not None:
        bundle.manifest.check_task(job.task.model_task)
    return bundle


def chosen(
    model: str | Bundle | None,
    *,
    models: str | None,
    language: str | None,
    engine: str | None,
    precision: str | None,
    trust: str | Sequence[str],
) -> ModelChoice | Bundle:
    """A model by its name, or itself. Raises OptionError where more is said of one that is given itself, and ModelError
    where it is not trusted."""
    digests = (trust,) if isinstance(trust, str) else tuple(trust)
    if not isinstance(model, Bundle):
        return ModelChoice(
            repository=models, name=model, language=language, engine=engine, precision=precision, trust=digests
        )
    if any(narrowing is not None for narrowing in (models, language, engine, precision)):
        raise OptionError(
            "models, language, engine and precision choose one of the versions of a name; here is the bundle itself."
        )
    check_trusted(model.manifest_sha256, location=model.location, trust=digests)
    return model


def _as_it_is(frame: DataFrame) -> DataFrame:
    """For a task that is not observed."""
    return frame


def class_name(value: object) -> str:
    """As errors show it: that of a value says nothing of its content."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
