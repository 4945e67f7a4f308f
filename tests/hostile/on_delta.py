"""Delta tables that change during a run: tests that need a JVM with Delta Lake, run by test_delta.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

import sparkclin
from sparkclin.errors import InputError
from sparkclin.runs.corpus import Corpus, NoteSource, count_corpus, read_corpus


@pytest.fixture(scope="session")
def spark() -> SparkSession:
    return sparkclin.spark_session(
        master="local[2]",
        spark_nlp=False,
        settings={
            "spark.jars.packages": "io.delta:delta-spark_2.12:3.3.2",
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.shuffle.partitions": "2",
            "spark.ui.enabled": "false",
        },
    )


@pytest.fixture
def table(spark: SparkSession, tmp_path: Path) -> str:
    path = str(tmp_path / "notes")
    rows_of(spark, "a", "b").write.format("delta").save(path)
    return path


def rows_of(spark: SparkSession, *ids: str) -> DataFrame:
    return spark.createDataFrame([(note_id, "Fever.") for note_id in ids], "note_id string, text string")


def texts(corpus: Corpus) -> dict[str, str]:
    return {row.note_id: row.text for row in corpus.notes.collect()}


def test_an_update_after_the_notes_were_counted_is_not_read(spark: SparkSession, table: str) -> None:
    corpus = read_corpus(spark, NoteSource(path=table))
    assert count_corpus(corpus) == 2
    spark.sql(f"UPDATE delta.`{table}` SET text = 'Chills.'")
    rows_of(spark, "c").write.format("delta").mode("append").save(table)
    assert texts(corpus) == {"a": "Fever.", "b": "Fever."}
    assert corpus.source.version == 0
    assert corpus.check_unchanged() == ("version 1", "version 2")
    assert read_corpus(spark, corpus.source).check_unchanged() == ("version 1", "version 2")
    assert read_corpus(spark, NoteSource(path=table)).check_unchanged() == ()


def test_several_tables_are_refused(spark: SparkSession, table: str, tmp_path: Path) -> None:
    rows_of(spark, "c").write.format("delta").save(f"{table}_of_2026")
    with pytest.raises(InputError, match="matches 2 paths, and a run reads one Delta table"):
        read_corpus(spark, NoteSource(path=str(tmp_path / "notes*"), format="delta"))


def test_a_source_may_name_a_version(spark: SparkSession, table: str) -> None:
    rows_of(spark, "c").write.format("delta").mode("append").save(table)
    assert set(texts(read_corpus(spark, NoteSource(path=table, version=0)))) == {"a", "b"}
    latest = read_corpus(spark, NoteSource(path=table, format="delta"))
    assert (latest.source.version, latest.records) == (1, 3)
